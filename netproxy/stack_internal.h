/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the stack share: packets on their way in and out, and the stack itself. */
#ifndef GONDOLIN_NETPROXY_STACK_INTERNAL_H
#define GONDOLIN_NETPROXY_STACK_INTERNAL_H

#include "netproxy/checksum.h"
#include "netproxy/flow.h"
#include "netproxy/ring.h"
#include "netproxy/stack.h"
#include "netproxy/timer.h"
#include "netproxy/wire.h"

#define ETHERNET_HEADER 14u
#define ETHERTYPE_IPV4  0x0800u
#define ETHERTYPE_ARP   0x0806u
#define ETHERTYPE_IPV6  0x86ddu
#define IPV4_HEADER     20u
#define IPV6_HEADER     40u
#define UDP_HEADER      8u
#define HOP_LIMIT       64u

enum ip_protocol {
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ICMPV6 = 58,
};

/* A packet of the guest whose IP header was checked. */
struct packet {
	const uint8_t *mac;    /* the frame's source */
	const uint8_t *ip;     /* IP header, for what ICMP quotes */
	size_t ip_length;      /* header and payload, without padding */
	const uint8_t *source; /* 4 or 16 bytes, in place */
	const uint8_t *destination;
	const uint8_t *payload;
	size_t length;
	bool v6;
	bool to_gateway; /* one of the gateway's addresses */
	bool martian;    /* nothing can be there: refused at once, never handed up */
	uint8_t protocol;
	uint8_t hop_limit;
};

/* ---- Frames on their way out (transmit.c) ---- */

enum transmit_kind {
	TRANSMIT_CONTROL, /* lost where the link is full */
	TRANSMIT_ACK,     /* a flow's: owed again where it is */
	TRANSMIT_NEW,     /* a flow's bytes or FIN for the first time */
	TRANSMIT_AGAIN,   /* a flow's bytes once more */
};

#define TRANSMIT_HEADER 128u
#define TRANSMIT_ARENA  (128u * 1024)

/* Whose a queued frame is, so that what the link did not take can be taken back. */
struct transmit_note {
	struct flow *flow;
	uint32_t seq;
	enum transmit_kind kind;
};

struct transmit {
	unsigned n;
	size_t arena_used;
	bool blocked;
	int error; /* the link's end: -errno */
	struct link_frame frames[LINK_BATCH];
	struct transmit_note notes[LINK_BATCH];
	uint8_t headers[LINK_BATCH][TRANSMIT_HEADER];
	uint8_t arena[TRANSMIT_ARENA]; /* frames that are not a flow's */
};

struct stack {
	struct stack_config config;
	struct stack_handlers handlers;
	struct link *link;
	uint64_t now;
	uint64_t started; /* when RFC 6528's clock began */
	uint8_t guest_mac[6];
	uint8_t gateway6[16]; /* in the LAN's prefix */
	uint8_t gateway6_link[16];
	struct timer advertise; /* the next unsolicited router advertisement */
	struct timer_heap timers;
	struct flow_table flows;
	struct ring_pool pool;
	struct stack_counters counters;
	struct transmit transmit;
};

/*
 * Room for a whole frame of n bytes whose Ethernet header is filled in (for the guest); what
 * follows is the caller's to fill, at once.  NULL where the link is full or n is too long.
 */
uint8_t *transmit_frame(struct stack *s, size_t n, uint16_t ethertype);

/*
 * Room for a flow's frame: a header of TRANSMIT_HEADER bytes, to be described by *frame.  NULL
 * where the link is full.
 */
uint8_t *
transmit_segment(struct stack *s, const struct transmit_note *note, struct link_frame **frame);

/* Hands what is queued to the link.  What it does not take goes back to the flows. */
void transmit_flush(struct stack *s);

/* ---- Frames on their way in ---- */

void ethernet_input(struct stack *s, const uint8_t *bytes, size_t n);
/* A whole frame, of which n bytes follow the Ethernet header. */
void arp_input(struct stack *s, const uint8_t *frame, size_t n);
void ipv4_input(struct stack *s, const uint8_t *frame, size_t n);
void ipv6_input(struct stack *s, const uint8_t *frame, size_t n);
void icmp_input(struct stack *s, const struct packet *p);
void icmpv6_input(struct stack *s, const struct packet *p);
void udp_input(struct stack *s, const struct packet *p);
void tcp_input(struct stack *s, const struct packet *p);
void ndp_input(struct stack *s, const struct packet *p);
void dhcp_input(struct stack *s, const struct packet *p);

/* ---- Building ---- */

void ethernet_header(const struct stack *s, uint8_t *p, uint16_t ethertype);

/* Fills an IPv4 header without options for `length` bytes of payload. */
void ipv4_header(
    uint8_t *p, uint8_t protocol, const uint8_t source[4], const uint8_t to[4], size_t length);
void ipv6_header(uint8_t *p, uint8_t protocol, uint8_t hop_limit, const uint8_t source[16],
    const uint8_t to[16], size_t length);

/* Partial sum of a pseudo header (RFC 9293 3.1, RFC 8200 8.1). */
uint64_t pseudo_sum(
    const uint8_t *source, const uint8_t *to, size_t address_size, uint8_t protocol, size_t length);
uint64_t packet_pseudo_sum(const struct packet *p);

/* What ICMP says about a packet that goes nowhere. */
enum unreachable {
	UNREACHABLE_PORT,
	UNREACHABLE_PROHIBITED,
	UNREACHABLE_PROTOCOL,
	UNREACHABLE_SCOPE, /* IPv6 only */
};

/* Answers a packet with ICMP or ICMPv6 unreachable, quoting it. */
void icmp_unreachable(struct stack *s, const struct packet *p, enum unreachable why);

/* Sends an ICMPv6 message of n bytes (checksum left 0 by the caller) built at p, a frame's payload.
 */
void icmpv6_finish(uint8_t *ip, const uint8_t source[16], const uint8_t to[16], size_t n);

/* Endpoints of a packet with ports. */
void packet_addresses(
    const struct packet *p, uint16_t from_port, uint16_t to_port, struct flow_addresses *a);

void ndp_advertise(struct stack *s, const uint8_t to[16]);

extern const uint8_t ipv6_all_nodes[16];

#endif
