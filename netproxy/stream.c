/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of one connection of the guest, plain or below TLS. */
#include "netproxy/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX      16384u
#define RECORD_OVERHEAD 64u   /* header, content type, tag, and IV with TLS 1.2; rounded up */
#define RECORD_LEAST    1024u /* a record of less is not worth its overhead: wait for room */

/* ---- A BIO over a flow ---- */

static int
flow_bio_read(BIO *b, char *out, size_t n, size_t *read)
{
	struct stream *s = BIO_get_data(b);
	struct iovec iov[2];
	unsigned pieces;
	size_t have = flow_peek(s->flow, iov, &pieces), taken = 0;

	BIO_clear_retry_flags(b);
	if (have == 0) {
		if (!flow_ended(s->flow))
			BIO_set_retry_read(b);
		*read = 0;
		return 0;
	}
	for (unsigned i = 0; i < pieces && taken < n; i++) {
		size_t m = iov[i].iov_len < n - taken ? iov[i].iov_len : n - taken;

		memcpy(out + taken, iov[i].iov_base, m);
		taken += m;
	}
	flow_consume(s->flow, taken);
	*read = taken;
	return 1;
}

static int
flow_bio_write(BIO *b, const char *bytes, size_t n, size_t *written)
{
	struct stream *s = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*written = flow_write(s->flow, bytes, n);
	if (*written == 0)
		BIO_set_retry_write(b);
	return *written > 0;
}

static long
flow_bio_ctrl(BIO *b, int command, long n, void *p)
{
	(void)b;
	(void)n;
	(void)p;
	return command == BIO_CTRL_FLUSH;
}

/* ---- What streams share ---- */

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
    unsigned int in_n, void *arg)
{
	const struct stream *s = SSL_get_app_data(ssl);

	(void)in;
	(void)in_n;
	(void)arg;
	if (s->h2_offered) {
		*out = (const unsigned char *)"h2";
		*out_n = 2;
		return SSL_TLSEXT_ERR_OK;
	}
	if (s->http1_offered) {
		*out = (const unsigned char *)"http/1.1";
		*out_n = 8;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
}

static BIO_METHOD *
make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "flow");

	if (m == NULL || BIO_meth_set_read_ex(m, flow_bio_read) != 1 ||
	    BIO_meth_set_write_ex(m, flow_bio_write) != 1 ||
	    BIO_meth_set_ctrl(m, flow_bio_ctrl) != 1) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

static SSL_CTX *
make_context(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	/*
	 * Level 0 for clients that name no signature algorithms, as busybox's: to those TLS 1.2
	 * signs with SHA-1 (RFC 5246 7.4.1.4.1).  Versions and ciphers are named here, and nobody
	 * else is on the guest's link.
	 */
	if (c == NULL || SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(c,
		"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
		"ECDHE-ECDSA-CHACHA20-POLY1305:@SECLEVEL=0") != 1 ||
	    SSL_CTX_set_ciphersuites(
		c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") !=
		1 ||
	    SSL_CTX_set1_groups_list(c, "X25519:P-256") != 1 ||
	    SSL_CTX_set_num_tickets(c, 1) != 1) {
		SSL_CTX_free(c);
		return NULL;
	}
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
				   SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				SSL_MODE_RELEASE_BUFFERS);
	/* Tickets carry the session: nothing is kept here for one. */
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
	return c;
}

int
stream_tls_open(struct stream_tls *t, struct ca *ca)
{
	memset(t, 0, sizeof(*t));
	t->ca = ca;
	t->context = make_context();
	t->method = make_method();
	t->in = malloc(STREAM_SCRATCH);
	t->out = malloc(STREAM_SCRATCH);
	if (t->context != NULL && t->method != NULL && t->in != NULL && t->out != NULL)
		return 0;
	stream_tls_close(t);
	return -EIO;
}

void
stream_tls_close(struct stream_tls *t)
{
	SSL_CTX_free(t->context);
	BIO_meth_free(t->method);
	free(t->in);
	free(t->out);
	memset(t, 0, sizeof(*t));
}

/* ---- A stream ---- */

void
stream_init(struct stream *s, struct flow *f, struct stream_tls *t)
{
	memset(s, 0, sizeof(*s));
	s->flow = f;
	s->tls = t;
}

void
stream_clear(struct stream *s)
{
	if (s->tls != NULL && s->tls->reader == s)
		s->tls->reader = NULL;
	SSL_free(s->ssl);
	s->ssl = NULL;
	free(s->own);
	s->own = NULL;
	s->bytes = NULL;
	s->n = 0;
}

int
stream_start_tls(struct stream *s, const char *name, bool h2, bool http1)
{
	unsigned char id[32];
	BIO *b = BIO_new(s->tls->method);

	s->ssl = SSL_new(s->tls->context);
	if (b == NULL || s->ssl == NULL)
		goto fail;
	BIO_set_data(b, s);
	BIO_set_init(b, 1);
	SSL_set_app_data(s->ssl, s);
	s->h2_offered = h2;
	s->http1_offered = http1;
	/* A ticket of another name's session starts a new one: no name inherits what another had.
	 */
	if (EVP_Digest(name, strlen(name), id, NULL, EVP_sha256(), NULL) != 1 ||
	    SSL_set_session_id_context(s->ssl, id, sizeof(id)) != 1 ||
	    ca_use(s->tls->ca, s->ssl, name) < 0)
		goto fail;
	SSL_set_bio(s->ssl, b, b);
	SSL_set_accept_state(s->ssl);
	return 0;
fail:
	BIO_free(b);
	s->broken = true;
	ERR_clear_error();
	return -EIO;
}

/* Whether a call that moved nothing may be made again. */
static bool
may_retry(struct stream *s, int rc)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return true;
	case SSL_ERROR_ZERO_RETURN:
		s->ended = true;
		return true;
	default:
		/* RFC 8446 6.1 wants a close_notify; those who just end the connection are many. */
		if (flow_ended(s->flow))
			s->ended = true;
		else
			s->broken = true;
		ERR_clear_error();
		return !s->broken;
	}
}

int
stream_handshake(struct stream *s)
{
	int rc = s->broken ? 0 : SSL_do_handshake(s->ssl);

	if (rc == 1)
		return 1;
	if (s->broken || !may_retry(s, rc) || s->ended)
		return -EPROTO;
	return 0;
}

bool
stream_is_h2(const struct stream *s)
{
	const unsigned char *protocol = NULL;
	unsigned n = 0;

	if (s->ssl != NULL)
		SSL_get0_alpn_selected(s->ssl, &protocol, &n);
	return n == 2 && memcmp(protocol, "h2", 2) == 0;
}

/* ---- Reading ---- */

/* The buffer that all read into is wanted by another: what is left moves. */
static void
move_out(struct stream *s)
{
	if (s->n == 0)
		return;
	s->own = malloc(s->n);
	if (s->own == NULL)
		abort();
	memcpy(s->own, s->bytes, s->n);
	s->bytes = s->own;
}

static void
decrypt(struct stream *s)
{
	struct stream_tls *t = s->tls;
	size_t n = 0, got;

	if (t->reader != NULL && t->reader != s)
		move_out(t->reader);
	t->reader = s;
	while (n + RECORD_MAX <= STREAM_SCRATCH && !s->ended && !s->broken) {
		if (SSL_read_ex(s->ssl, t->in + n, STREAM_SCRATCH - n, &got) != 1) {
			(void)may_retry(s, 0);
			break;
		}
		n += got;
	}
	s->bytes = t->in;
	s->n = n;
}

size_t
stream_peek(struct stream *s, const uint8_t **bytes)
{
	struct iovec iov[2];
	unsigned pieces;

	if (s->ssl == NULL) {
		if (flow_peek(s->flow, iov, &pieces) == 0)
			return 0;
		*bytes = iov[0].iov_base;
		return iov[0].iov_len;
	}
	if (s->n == 0)
		decrypt(s);
	*bytes = s->bytes;
	return s->n;
}

void
stream_consume(struct stream *s, size_t n)
{
	if (s->ssl == NULL) {
		flow_consume(s->flow, n);
		return;
	}
	s->bytes += n;
	s->n -= n;
	if (s->n > 0)
		return;
	free(s->own);
	s->own = NULL;
	if (s->tls->reader == s)
		s->tls->reader = NULL;
}

bool
stream_ended(struct stream *s)
{
	if (s->ssl == NULL)
		return flow_ended(s->flow);
	return s->n == 0 && (s->ended || s->broken);
}

/* ---- Writing ---- */

/* Plain text that fits the flow's room when it is encrypted in full records. */
static size_t
plain_room(size_t room)
{
	size_t full = room / (RECORD_MAX + RECORD_OVERHEAD), rest;

	rest = room - full * (RECORD_MAX + RECORD_OVERHEAD);
	return full * RECORD_MAX + (rest > RECORD_OVERHEAD ? rest - RECORD_OVERHEAD : 0);
}

size_t
stream_reserve(struct stream *s, size_t want, struct iovec iov[2], unsigned *pieces)
{
	size_t room;

	*pieces = 0;
	if (s->ssl == NULL)
		return flow_reserve(s->flow, want, iov, pieces);
	if (want > STREAM_SCRATCH)
		want = STREAM_SCRATCH;
	if (s->broken || want == 0)
		return 0;
	room = plain_room(
	    flow_reserve(s->flow, want + (want / RECORD_MAX + 1) * RECORD_OVERHEAD, iov, pieces));
	*pieces = 0;
	if (room < want && room < RECORD_LEAST)
		return 0;
	*pieces = 1;
	iov[0].iov_base = s->tls->out;
	iov[0].iov_len = room < want ? room : want;
	return iov[0].iov_len;
}

void
stream_commit(struct stream *s, size_t n)
{
	size_t done = 0, wrote;

	if (s->ssl == NULL) {
		flow_commit(s->flow, n);
		return;
	}
	while (done < n && !s->broken) {
		if (SSL_write_ex(s->ssl, s->tls->out + done, n - done, &wrote) == 1) {
			done += wrote;
			continue;
		}
		/* There was room for all: what is not taken now never will be. */
		(void)may_retry(s, 0);
		s->broken = true;
	}
}

bool
stream_write(struct stream *s, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	struct iovec iov[2];
	unsigned pieces;

	if (s->broken)
		return true; /* it goes where all bytes of a broken connection go */
	if (n > STREAM_SCRATCH || stream_reserve(s, n, iov, &pieces) < n)
		return false;
	for (unsigned i = 0; i < pieces; i++) {
		size_t m = iov[i].iov_len;

		memcpy(iov[i].iov_base, p, m);
		p += m;
	}
	stream_commit(s, n);
	return true;
}

void
stream_shutdown(struct stream *s)
{
	if (s->ssl != NULL && !s->broken && SSL_is_init_finished(s->ssl))
		(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
	flow_shutdown(s->flow);
}
