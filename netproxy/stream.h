/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one connection of the guest, plain or below TLS, without copies where that can be:
 * plain bytes are read and written where the flow keeps them; TLS decrypts to and encrypts from one
 * scratch buffer that all streams share.
 */
#ifndef GONDOLIN_NETPROXY_STREAM_H
#define GONDOLIN_NETPROXY_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "netproxy/ca.h"
#include "netproxy/stack.h"

#define STREAM_SCRATCH 65536u

struct stream;

/* What all streams share. */
struct stream_tls {
	SSL_CTX *context;
	BIO_METHOD *method;
	struct ca *ca;         /* the owner's */
	uint8_t *in, *out;     /* STREAM_SCRATCH each */
	struct stream *reader; /* whose plain text is in `in` */
};

struct stream {
	struct flow *flow;
	struct stream_tls *tls;
	SSL *ssl;                       /* NULL: plain */
	bool broken;                    /* TLS failed: nothing more comes or goes */
	bool ended;                     /* TLS said that no more comes */
	bool h2_offered, http1_offered; /* by the guest's ClientHello */
	const uint8_t *bytes;           /* TLS: read and not consumed; in tls->in or own */
	size_t n;
	uint8_t *own; /* n bytes that had to leave tls->in */
};

/* Makes what streams share; ca stays the caller's.  Returns 0 or -EIO. */
int stream_tls_open(struct stream_tls *t, struct ca *ca);
void stream_tls_close(struct stream_tls *t);

/* A plain stream.  The flow stays the caller's. */
void stream_init(struct stream *s, struct flow *f, struct stream_tls *t);
void stream_clear(struct stream *s);

/*
 * Puts TLS on top: the ClientHello is still in the flow.  name is what the certificate is for, and
 * what sessions are bound to.  Returns 0 or -EIO.
 */
int stream_start_tls(struct stream *s, const char *name, bool h2, bool http1);

/* Goes on with the handshake.  Returns 1 when done, 0 while more is needed, -EPROTO. */
int stream_handshake(struct stream *s);

/* Whether the handshake chose HTTP/2. */
bool stream_is_h2(const struct stream *s);

/*
 * The next bytes, in place, in one piece (there may be more behind them).  Returns their number, 0
 * where there are none now.  Valid until stream_consume or a call for another stream.
 */
size_t stream_peek(struct stream *s, const uint8_t **bytes);
void stream_consume(struct stream *s, size_t n);

/* No more will come, and all that came was consumed. */
bool stream_ended(struct stream *s);

/*
 * Room for up to `want` bytes, in at most two pieces; returns the sum, 0 where there is none now.
 * What is committed is sent.  Valid until the next call for any stream.
 */
size_t stream_reserve(struct stream *s, size_t want, struct iovec iov[2], unsigned *pieces);
void stream_commit(struct stream *s, size_t n);

/* Copies bytes in, all or nothing.  Returns whether there was room. */
bool stream_write(struct stream *s, const void *bytes, size_t n);

/* Says that no more follows. */
void stream_shutdown(struct stream *s);

#endif
