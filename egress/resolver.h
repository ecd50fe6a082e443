/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses, after policy allowed the name: the hosts file that was read before the jail,
 * then DNS by c-ares, with answers kept for their time to live.  Nothing here checks an address.
 */
#ifndef GONDOLIN_EGRESS_RESOLVER_H
#define GONDOLIN_EGRESS_RESOLVER_H

#include <ev.h>

#include "egress/address.h"

#define RESOLVER_ADDRESSES_MAX 16u
#define RESOLVER_SERVERS_MAX   8u
#define RESOLVER_TTL_MAX       300u       /* seconds that an answer is kept */
#define RESOLVER_HOSTS_MAX     (4u << 20) /* bytes of a hosts file */
#define RESOLVER_PACKET_MAX    16384u
#define RESOLVER_PENDING_MAX   512u /* questions that the servers have not answered */

struct resolver;
struct resolver_query;

struct resolver_answer {
	/*
	 * 0; -ENOENT: no such name; -ENODATA: it has no address; -ETIMEDOUT; -EIO; -EBUSY: there
	 * are RESOLVER_PENDING_MAX questions already
	 */
	int error;
	struct address v[RESOLVER_ADDRESSES_MAX];
	size_t n;
	unsigned ttl; /* seconds */
};

struct resolver_options {
	const char *const *servers; /* "ADDRESS", "ADDRESS:PORT", "[IPv6]:PORT" */
	size_t n_servers;           /* 0: resolv.conf's */
	const char *resolv_conf;    /* NULL: the system's */
	const char *hosts;          /* NULL: the system's; one that is missing is empty */
};

/*
 * Before the jail: reads what is to be read.  Returns 0 and sets *out, or -errno and fills error
 * with one line.
 */
int resolver_open(
    struct resolver **out, const struct resolver_options *o, char *error, size_t error_size);

/* From now on questions may be asked. */
void resolver_start(struct resolver *r, struct ev_loop *loop);
void resolver_close(struct resolver *r);

/*
 * Asks for the addresses of a canonical name.  Where the answer is known, fills *a and returns
 * NULL; else done is called once, later, unless the query is cancelled before.  Who asks what was
 * asked already and has no answer yet waits for the same one.
 */
struct resolver_query *resolver_ask(struct resolver *r, const char *name, struct resolver_answer *a,
    void (*done)(void *ctx, const struct resolver_answer *a), void *ctx);

/*
 * done will not be called; q is gone.  The question itself cannot be taken back: it counts until
 * the servers have answered it or it has timed out.
 */
void resolver_cancel(struct resolver_query *q);

/*
 * Asks the servers for a record of any type (not 0).  done gets the whole answer; or NULL where
 * there was none, and why: -EIO or -EBUSY.  Where that is before this returns, it returns NULL.
 */
struct resolver_query *resolver_ask_raw(struct resolver *r, const char *name, unsigned type,
    void (*done)(void *ctx, int error, const uint8_t *packet, size_t length), void *ctx);

#endif
