/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's LAN: Ethernet, ARP, neighbour discovery, DHCP, IPv4, IPv6, ICMP, UDP and TCP, for one
 * guest on one link.  The stack is every host that the guest can name: it ends each TCP connection
 * itself, whatever the destination, and hands the bytes up.
 *
 * All frames are written by the untrusted guest.  The stack reads no clock, opens nothing, and
 *holds no state outside `struct stack`: time comes in as microseconds of a monotonic clock that
 *never goes back, frames come and go through a link, and everything else is a callback.
 *
 * Driving it:
 *	stack_input	when the link is readable
 *	stack_timer	when the clock reaches stack_deadline()
 *	stack_flush	after either, after any flow_* call from outside a callback, and when the
 *link is writable again after stack_blocked() was true Callbacks run inside stack_input and
 *stack_timer only, once for all that a batch of frames brought, and may call any flow_* function
 *and stack_datagram, but none of the three above.
 */
#ifndef GONDOLIN_NETPROXY_STACK_H
#define GONDOLIN_NETPROXY_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "netproxy/link.h"
#include "netproxy/siphash.h"

#define STACK_MTU_MIN 1280u /* RFC 8200 5 */
#define STACK_MTU_MAX 65520u

struct stack;
struct flow;

/* IPv6, or IPv4 as ::ffff:a.b.c.d (the guest can send no such IPv6 address: it is a martian). */
struct stack_endpoint {
	uint8_t address[16];
	uint16_t port;
};

/* An IPv4 address in host byte order as 16 bytes; whether 16 bytes are one; and back. */
void stack_address_from_v4(uint8_t out[16], uint32_t v4);
bool stack_address_is_v4(const uint8_t address[16]);
uint32_t stack_address_to_v4(const uint8_t address[16]);

struct flow_addresses {
	struct stack_endpoint guest;
	struct stack_endpoint destination; /* as the guest wrote it */
};

/* ---- Configuration ---- */

struct stack_config {
	uint32_t mtu; /* STACK_MTU_MIN..STACK_MTU_MAX, offered by DHCP and router advertisement */
	uint8_t gateway_mac[6]; /* unicast */
	uint32_t gateway4;      /* host byte order; gateway, resolver and DHCP server */
	uint32_t guest4;        /* in the gateway's network */
	unsigned prefix4;       /* 8..30 */
	uint8_t prefix6[8];     /* the /64 of the LAN, in fc00::/7; the gateway is ::1 in it */
	uint8_t key[SIPHASH_KEY_SIZE];     /* random: flow table */
	uint8_t isn_key[SIPHASH_KEY_SIZE]; /* random: initial sequence numbers, RFC 6528 */
	uint32_t flows_max;     /* flows at once, TIME_WAIT and half-open ones included */
	uint32_t half_open_max; /* of these: no ACK after our SYN-ACK yet; the oldest goes first */
	uint32_t time_wait_max; /* of these: in TIME_WAIT; the oldest goes first */
	size_t buffers_max;     /* bytes of all flows' buffers */
	uint32_t receive_max;   /* bytes buffered of one flow, 64 KiB..4 MiB */
	uint32_t send_max;      /* likewise */
	uint32_t keepalive_idle_s; /* 0 = no keep-alive */
	uint32_t keepalive_interval_s;
	uint32_t keepalive_probes;
	uint32_t time_wait_ms;
	bool fixed_isn; /* tests: every flow starts at isn */
	uint32_t isn;
};

/* Sound values for everything but the keys, which are left zero. */
void stack_config_default(struct stack_config *c);

/* ---- Callbacks ---- */

enum flow_event {
	FLOW_OPENED = 1 << 0,   /* the handshake is complete; the flow is the application's now */
	FLOW_READABLE = 1 << 1, /* bytes came since the last event */
	FLOW_WRITABLE = 1 << 2, /* there is room again after a call found too little */
	FLOW_ENDED = 1 << 3,    /* the guest sent its FIN: after what is readable comes nothing */
	FLOW_CLOSED = 1 << 4,   /* nothing more will move; flow_error says why */
};

struct stack_handlers {
	void *context;
	/*
	 * A SYN: true = answer it, false = RST at once.  The guest may repeat it as often as it
	 * likes; nothing of the flow exists yet.
	 */
	bool (*connect)(void *context, const struct flow_addresses *a);
	/*
	 * Events (a mask of enum flow_event) of a flow.  From FLOW_OPENED on the application owns
	 * the flow and gives it back with exactly one flow_close or flow_abort, also after
	 * FLOW_CLOSED.  A flow that never opened has no events.
	 */
	void (*event)(void *context, struct flow *f, unsigned events);
	/*
	 * A UDP datagram of the guest.  True = taken (an answer goes by stack_datagram, now or
	 * later); false = an ICMP unreachable goes back at once.
	 */
	bool (*datagram)(
	    void *context, const struct flow_addresses *a, const uint8_t *bytes, size_t n);
};

/* ---- The stack ---- */

/*
 * Makes a stack.  The link stays the caller's and must outlive it.  Returns 0; -EINVAL where the
 * configuration is out of range; -ENOMEM.
 */
int stack_new(struct stack **out, const struct stack_config *c, struct link *link,
    const struct stack_handlers *h, uint64_t now);

/* Frees everything, flows included; nothing is sent and no callback runs. */
void stack_free(struct stack *s);

/*
 * Receives frames until the link has no more or `budget` batches were taken, then runs the
 * callbacks. Returns 1 where more may be waiting, 0 where none is, or the link's -errno.
 */
int stack_input(struct stack *s, unsigned budget, uint64_t now);

/* The same for one frame that the caller holds. */
void stack_frame(struct stack *s, const uint8_t *bytes, size_t n, uint64_t now);

/* When stack_timer wants to be called; UINT64_MAX where nothing waits for time. */
uint64_t stack_deadline(const struct stack *s);
void stack_timer(struct stack *s, uint64_t now);

/* Sends what there is to send.  Returns 0, or the link's -errno. */
int stack_flush(struct stack *s, uint64_t now);

/* True where frames wait for a link that was full. */
bool stack_blocked(const struct stack *s);

/*
 * Sends a UDP datagram to the guest: a->destination is its source.  A datagram that does not fit
 * the MTU is refused with -EMSGSIZE (there is no fragmentation); -ENOBUFS where the link is full.
 */
int stack_datagram(struct stack *s, const struct flow_addresses *a, const void *bytes, size_t n);

/* The gateway's addresses, as endpoints carry them. */
void stack_gateway(const struct stack *s, uint8_t v4[16], uint8_t v6[16]);

/* ---- Flows ---- */

void flow_addresses(const struct flow *f, struct flow_addresses *a);

/* A pointer of the application; NULL at first. */
void flow_set_context(struct flow *f, void *context);
void *flow_context(const struct flow *f);

/*
 * The bytes that were received and not consumed, in order, in place, in at most two pieces. Returns
 * their sum.  The pieces are valid until flow_consume or the return from the callback.
 */
size_t flow_peek(const struct flow *f, struct iovec iov[2], unsigned *pieces);

/* Takes the first n of them; the window opens. */
void flow_consume(struct flow *f, size_t n);

/* True once the guest's FIN came and everything before it was consumed. */
bool flow_ended(const struct flow *f);

/*
 * Room for bytes to send, in place, in at most two pieces, `want` at most.  Returns the sum, 0
 * where there is none now (FLOW_WRITABLE follows) or never again (after flow_shutdown or
 * FLOW_CLOSED). The pieces are valid until the next call of any function of this file.
 */
size_t flow_reserve(struct flow *f, size_t want, struct iovec iov[2], unsigned *pieces);

/* Says that the first n bytes of the room were filled: they will be sent. */
void flow_commit(struct flow *f, size_t n);

/* Copies in what fits.  Returns how much did (see flow_reserve for 0). */
size_t flow_write(struct flow *f, const void *bytes, size_t n);

/* No more will be written: FIN follows what was.  Reading goes on. */
void flow_shutdown(struct flow *f);

/*
 * Gives the flow back.  What was written is still delivered, then FIN; where received bytes were
 * not consumed, or more come, RST (RFC 2525 2.17).
 */
void flow_close(struct flow *f);

/* RST, and gives the flow back. */
void flow_abort(struct flow *f);

/* After FLOW_CLOSED: 0 = both sides closed in order, -ECONNRESET, -ETIMEDOUT. */
int flow_error(const struct flow *f);

/* Bytes written and not acknowledged by the guest yet. */
size_t flow_unacknowledged(const struct flow *f);

/* ---- Counters ---- */

/* X(name, what it counts). */
#define STACK_COUNTERS(X)                                                      \
	X(frames_in, "frames received")                                        \
	X(frames_out, "frames sent")                                           \
	X(bytes_in, "bytes of frames received")                                \
	X(bytes_out, "bytes of frames sent")                                   \
	X(runt, "frames shorter than their headers say")                       \
	X(giant, "frames longer than the link allows")                         \
	X(ethernet_other, "frames for another station or of an unknown type")  \
	X(spoofed, "source address that is not the guest's")                   \
	X(martian, "destination that cannot exist here")                       \
	X(multicast, "group traffic nobody here listens to")                   \
	X(ip_malformed, "IP header that breaks the standard")                  \
	X(ip_options, "IPv4 options or IPv6 extension headers, refused")       \
	X(ip_fragment, "fragments, refused")                                   \
	X(checksum, "wrong checksum at any layer")                             \
	X(arp_malformed, "ARP that breaks the standard or claims the gateway") \
	X(ndp_malformed, "neighbour discovery that breaks the standard")       \
	X(dhcp_malformed, "DHCP that breaks the standard")                     \
	X(icmp_malformed, "ICMP that breaks the standard")                     \
	X(udp_malformed, "UDP that breaks the standard")                       \
	X(udp_refused, "datagrams answered with unreachable")                  \
	X(tcp_malformed, "TCP that breaks the standard")                       \
	X(tcp_accepted, "SYNs answered")                                       \
	X(tcp_refused, "SYNs refused by policy")                               \
	X(tcp_opened, "handshakes completed")                                  \
	X(tcp_no_flow, "segments without a flow")                              \
	X(tcp_full, "SYNs refused since the flow table was full")              \
	X(tcp_half_open_evicted, "half-open flows dropped for newer ones")     \
	X(tcp_out_of_window, "segments outside the window")                    \
	X(tcp_paws, "segments with an old timestamp")                          \
	X(tcp_challenge, "challenge ACKs, RFC 5961")                           \
	X(tcp_out_of_order, "segments kept for later")                         \
	X(tcp_duplicate, "segments received again")                            \
	X(tcp_no_buffer, "segments dropped for want of buffer")                \
	X(tcp_retransmitted, "segments sent again")                            \
	X(tcp_timeouts, "retransmission timeouts")                             \
	X(tcp_probes, "window, tail and keep-alive probes")                    \
	X(tcp_resets_in, "connections reset by the guest")                     \
	X(tcp_resets_out, "resets sent")                                       \
	X(link_full, "times the link was full")                                \
	X(link_dropped, "datagrams and control frames dropped as it was full")

struct stack_counters {
#define X(name, what) uint64_t name;
	STACK_COUNTERS(X)
#undef X
	uint32_t flows;     /* now */
	uint32_t half_open; /* now */
	uint32_t time_wait; /* now */
	size_t buffers;     /* bytes now */
};

void stack_counters(const struct stack *s, struct stack_counters *c);

#endif
