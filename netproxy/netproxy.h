/* SPDX-License-Identifier: Apache-2.0 */
/* The one state of the process, passed down to everything. */
#ifndef GONDOLIN_NETPROXY_NETPROXY_H
#define GONDOLIN_NETPROXY_NETPROXY_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "egress/policy.h"
#include "ipc/channel.h"
#include "ipc/netproxy.pb-c.h"
#include "netproxy/ca.h"
#include "netproxy/client_hello.h"
#include "netproxy/conn.h"
#include "netproxy/dns.h"
#include "netproxy/http1_parse.h"
#include "netproxy/link.h"
#include "netproxy/outbound.h"
#include "netproxy/profile.h"
#include "netproxy/stack.h"
#include "netproxy/stream.h"
#include "netproxy/synthetic.h"

#define NETPROXY_TCP_MAX     256u
#define NETPROXY_LOOKUPS_MAX 256u /* names looked up at once */
#define NETPROXY_SCRATCH     65536u

/* States of the supervisor's channel. */
enum {
	SUPERVISOR_SETUP = 1 << 0,  /* before the jail: nothing was said */
	SUPERVISOR_POLICY = 1 << 1, /* before the jail: patterns and maps */
	SUPERVISOR_SERVE = 1 << 2,
	SUPERVISOR_SERVING = 1 << 3,
};

enum netproxy_dns {
	NETPROXY_DNS_SYNTHETIC,
	NETPROXY_DNS_TRUSTED,
	NETPROXY_DNS_OPEN,
};

/* The guest's side of a `tcp` section. */
struct netproxy_tcp {
	char host[HTTP_HOST_MAX + 1];
	uint16_t port;
};

struct netproxy {
	struct ev_loop *loop;
	struct ipc_channel supervisor;
	bool confined; /* the set-up is complete */
	bool ended;
	int exit_code;

	/* Set-up. */
	enum netproxy_dns dns;
	uint32_t mtu;
	uint32_t handshake_ms, request_ms, idle_ms;
	struct policy policy;
	struct netproxy_tcp tcp[NETPROXY_TCP_MAX];
	unsigned n_tcp;

	struct ca *ca;
	struct stream_tls tls;
	struct synthetic *synthetic;
	struct stack_config stack_config;
	struct stack *stack;
	struct link_socket link;
	struct outbound outbound;
	struct conn *conns; /* all of them */
	struct conn *dead;  /* of these: to be freed in this round */
	unsigned n_lookups;
	unsigned http2_large;   /* connections with large windows */
	unsigned http2_streams; /* of all connections */
	size_t http2_buffered;  /* bytes that wait for egress or the guest, of all connections */

	ev_io link_readable, link_writable;
	ev_timer stack_timer;
	ev_timer sweep; /* once a second while there are connections */
	ev_prepare flush;

	uint32_t records_second; /* second of the clock in which records_n were sent */
	unsigned records_n, records_held;

	/* Scratch of a call, of no use after it. */
	struct http1_request request;
	uint8_t hello[CLIENT_HELLO_MAX];
	uint8_t head[HTTP1_HEAD_MAX];
	uint8_t out[NETPROXY_SCRATCH];
};

extern const struct ipc_table supervisor_table;

/* Before the jail: what needs randomness and OpenSSL's own set-up.  Returns 0 or -errno. */
int netproxy_prepare(struct netproxy *np);

/* The event loop's parts.  The loop stays the caller's. */
void netproxy_init(struct netproxy *np, struct ev_loop *loop);

/* Frees everything. */
void netproxy_clear(struct netproxy *np);

/* The supervisor's channel, from inside the jail. */
void netproxy_serve(struct netproxy *np, int fd);

/* Takes the link, whose buffers its maker widened, and the edge to egress, and starts.  Returns 0
 * or -errno (both stay open). */
int netproxy_start(struct netproxy *np, int *link_fd, int *egress_fd);

/* Ends the event loop; why (NULL: nothing is wrong) goes to the log. */
void netproxy_end(struct netproxy *np, const char *why);

/* Microseconds of the monotonic clock, as of this round of the loop. */
uint64_t netproxy_now(struct netproxy *np);

/* A line for the audit log.  Many in a second are counted rather than sent. */
void netproxy_record(struct netproxy *np, Gondolin__NetproxyRecord *r);

/* Whether `tcp` maps this name or address and port. */
bool netproxy_is_mapped(const struct netproxy *np, const char *host, uint16_t port);

/* names.c: the guest's resolver. */
bool names_on_datagram(
    struct netproxy *np, const struct flow_addresses *a, const uint8_t *bytes, size_t n);

/*
 * What a destination address stands for: the name that it was given out for, or itself in text
 * (written to text); NULL where it is synthetic and stands for nothing.
 */
const char *names_of_address(
    const struct netproxy *np, const uint8_t address[16], char text[HTTP_HOST_MAX + 1]);

#endif
