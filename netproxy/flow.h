/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP connection of the guest and the table of them.  tcp.c tells the theory.
 *
 * Sequence numbers are compared with the inline functions below, never with <.
 */
#ifndef GONDOLIN_NETPROXY_FLOW_H
#define GONDOLIN_NETPROXY_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netproxy/ring.h"
#include "netproxy/stack.h"
#include "netproxy/timer.h"

struct packet;

static inline bool
seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool
seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* RFC 9293 3.3.2.  There is no LISTEN or SYN_SENT: every address listens, and we never call. */
enum tcp_state {
	TCP_CLOSED,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSING,
	TCP_TIME_WAIT,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
};

/* What hashes and compares.  No padding. */
struct flow_key {
	uint8_t guest[16];
	uint8_t destination[16];
	uint16_t guest_port;
	uint16_t destination_port;
};

/* Received out of order: [start, end). */
struct tcp_range {
	uint32_t start, end;
};

#define TCP_RANGES_MAX 64u

struct tcp_reassembly {
	unsigned n;
	unsigned newest; /* index of the range that changed last */
	struct tcp_range
	    ranges[TCP_RANGES_MAX]; /* in order, apart from each other, after rcv_nxt */
};

/* Sent and not known to have arrived: [start, end); [start, next) was sent again when snd_nxt was
 * mark. */
struct tcp_hole {
	uint32_t start, end, next, mark;
};

#define TCP_HOLES_MAX 128u

struct tcp_scoreboard {
	unsigned n;
	uint32_t forward; /* the highest sequence number known to have arrived, plus one */
	struct tcp_hole holes[TCP_HOLES_MAX]; /* in order; all before forward */
};

enum tcp_recovery {
	TCP_OPEN,     /* no loss in sight */
	TCP_RECOVERY, /* RFC 6675 or RFC 6582 until snd_una reaches recover */
	TCP_LOSS,     /* after a timeout, likewise */
};

enum tcp_timer {
	TCP_TIMER_RETRANSMIT, /* bytes in flight, a window that is shut, or an unanswered SYN-ACK */
	TCP_TIMER_DELAYED_ACK,
	TCP_TIMER_KEEPALIVE,
	TCP_TIMER_END, /* TIME_WAIT, FIN_WAIT_2 and closed flows that do not get rid of bytes */
	TCP_TIMERS,
};

enum tcp_wait {
	TCP_WAIT_TIMEOUT, /* TCP_TIMER_RETRANSMIT is RFC 6298's */
	TCP_WAIT_TAIL,    /* RFC 8985 7's probe comes first */
	TCP_WAIT_WINDOW,  /* the window is shut: RFC 9293 3.8.6.1 */
};

struct flow_link {
	struct flow *next, *previous;
};

/* A first-in first-out list through one of a flow's links. */
struct flow_list {
	struct flow *first, *last;
	uint32_t n;
};

enum flow_list_index {
	FLOW_LIST_READY, /* has something to send */
	FLOW_LIST_EVENT, /* has events for the application */
	FLOW_LIST_AGE, /* half-open, in TIME_WAIT, or free to be freed: in order of arrival there */
	FLOW_LISTS,
};

struct flow {
	struct timer timer; /* the earliest of deadlines, or earlier; must stay first */
	struct stack *stack;
	struct flow *hash_next;
	struct flow_link links[FLOW_LISTS];
	bool listed[FLOW_LISTS];
	struct flow_list *age_list; /* which list FLOW_LIST_AGE is */
	struct flow_key key;
	void *context;
	uint64_t deadlines[TCP_TIMERS];
	enum tcp_state state;
	enum tcp_recovery recovery;
	enum tcp_wait wait;
	int error;
	unsigned events; /* not delivered yet */
	bool v6;
	bool hashed;
	bool delivered; /* FLOW_OPENED was */
	bool released;  /* the application gave it back */
	bool closed_told;

	/* Negotiated. */
	bool scale_ok, sack_ok, timestamp_ok;
	uint8_t snd_scale, rcv_scale;
	uint32_t mss; /* bytes of a segment with its options */

	/* Sending: the ring holds [snd_una, snd_una + queued). */
	struct ring send;
	uint32_t queued;
	uint32_t iss, snd_una, snd_nxt;
	uint32_t snd_wnd, snd_wl1, snd_wl2, snd_wnd_max;
	bool syn_due; /* SYN-ACK to send */
	bool fin_queued, fin_sent;
	bool want_room; /* FLOW_WRITABLE is owed */
	bool probe_window,
	    probed_window; /* to send; sent, so that one byte more may be acknowledged */
	bool probe_tail, probed_tail;
	bool probe_keepalive;
	bool reset_due;

	/* Congestion control and loss, RFC 5681, 6675, 6298. */
	uint32_t cwnd, ssthresh, recover;
	uint32_t duplicates; /* duplicate ACKs, without SACK */
	uint32_t reorder;    /* segments: RFC 6675's DupThresh, raised where the path reorders */
	struct tcp_scoreboard *board; /* NULL: nothing is missing */
	bool timing;
	uint32_t timed_seq;
	uint64_t timed_at;
	uint32_t srtt, rttvar, rto; /* microseconds; srtt 0 = no sample */
	uint32_t retries, backoff;
	bool repair_due;     /* the first segment of a recovery goes whatever cwnd says */
	uint32_t room_limit; /* bytes of the send ring; grows with the windows */
	uint32_t keepalive_sent;

	/* Receiving: the ring holds [rcv_nxt - buffered, rcv_nxt) and the reassembly's ranges. */
	struct ring receive;
	uint32_t buffered;
	uint32_t irs, rcv_nxt;
	uint32_t rcv_edge;       /* right edge of the window that was offered; never goes back */
	uint32_t unacknowledged; /* bytes since the last ACK that we sent */
	uint32_t quick;          /* ACKs that still go at once */
	bool ack_now;
	bool fin_seen, fin_taken; /* FIN came, at fin_seq; all before it came too */
	uint32_t fin_seq;
	struct tcp_reassembly *reassembly; /* NULL: nothing is out of order */
	bool duplicate_seen;               /* RFC 2883: report it */
	struct tcp_range duplicate;
	uint32_t ts_recent, ts_offset;
	uint64_t ts_recent_at;
	uint32_t last_ack_sent;
	uint64_t challenge_at; /* earliest time of the next challenge ACK */
	uint64_t heard_at;     /* last segment of the guest */
};

struct flow_table {
	struct flow **buckets;
	uint32_t mask;
	uint32_t n;          /* flows that exist, also closed ones that the application holds */
	struct flow *latest; /* the flow found last: bulk transfers hit it */
	struct flow *free;   /* for reuse, through hash_next */
	struct flow_list ready, events, half_open, time_wait, dead;
};

/* ---- The table (flow.c) ---- */

int flow_table_init(struct flow_table *t, uint32_t flows_max);
void flow_table_clear(struct stack *s);

void flow_key_make(struct flow_key *k, const struct flow_addresses *a);
struct flow *flow_find(struct stack *s, const struct flow_key *k);

/* A zeroed flow in the table, or NULL where there is no room even after evicting. */
struct flow *flow_add(struct stack *s, const struct flow_key *k);

/* TCP is done with it: out of the table, no timers, no buffers for sending; freed once released. */
void flow_done(struct flow *f, int error);

/* Frees the flows that are done and released.  Only where nobody holds a pointer. */
void flow_reap(struct stack *s);

/* Appends to a list (no-op where it is on it); takes out of its list. */
void flow_list_add(struct flow_list *l, struct flow *f, enum flow_list_index which);
void flow_list_remove(struct flow_list *l, struct flow *f, enum flow_list_index which);

/* Puts the flow on the half-open or the TIME_WAIT list (NULL: on neither). */
void flow_age(struct flow *f, struct flow_list *l);

/* There is something to send; there is something to tell. */
void flow_schedule(struct flow *f);
void flow_tell(struct flow *f, unsigned events);

/* Delivers the events of all flows. */
void flow_deliver(struct stack *s);

void flow_deadline_set(struct flow *f, enum tcp_timer t, uint64_t deadline);
void flow_deadline_clear(struct flow *f, enum tcp_timer t);

/* ---- TCP ---- */

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u

struct tcp_options {
	bool has_mss, has_scale, sack_ok, has_timestamp;
	uint16_t mss;
	uint8_t scale;
	uint32_t ts_value, ts_echo;
	unsigned n_sack;
	struct tcp_range sack[4];
};

struct tcp_segment {
	uint32_t seq, ack, window; /* window: as on the wire, not scaled */
	uint8_t flags;
	const uint8_t *data;
	uint32_t length; /* of data */
	struct tcp_options options;
};

/* tcp_options.c: reads options of n bytes.  Returns 0, or -EPROTO where a length is wrong. */
int tcp_options_parse(struct tcp_options *o, const uint8_t *p, size_t n, bool syn);

/* tcp_receive.c: takes the segment's bytes and FIN into the reassembly. */
void tcp_receive(struct flow *f, const struct tcp_segment *g);
uint32_t tcp_receive_window(struct flow *f); /* bytes to offer now; moves rcv_edge */
void tcp_receive_consumed(struct flow *f);
unsigned tcp_sack_ranges(struct flow *f, struct tcp_range out[4], unsigned max);

/* tcp_ack.c: takes the segment's acknowledgment, window and SACK blocks. */
void tcp_acknowledge(struct flow *f, const struct tcp_segment *g);
void tcp_loss_timeout(struct flow *f);
void tcp_congestion_init(struct flow *f);

/* tcp_sack.c: the scoreboard. */
bool tcp_board_sack(struct flow *f, uint32_t start, uint32_t end);
void tcp_board_advance(struct flow *f);
void tcp_board_all_lost(struct flow *f);
bool tcp_board_add(struct flow *f, uint32_t start, uint32_t end);
bool tcp_board_loss_seen(const struct flow *f);
uint32_t tcp_board_in_flight(const struct flow *f);
struct tcp_hole *tcp_board_next(struct flow *f);
void tcp_board_clear(struct flow *f);

/* tcp_output.c */
bool tcp_output(struct flow *f); /* false: the link is full, or others are due first */
void tcp_unsent(struct flow *f, uint32_t seq, unsigned kind); /* the link did not take it */
void tcp_ack_at_once(struct flow *f);
void tcp_reset_reply(struct stack *s, const struct packet *p, const struct tcp_segment *g);
uint32_t tcp_send_room(struct flow *f);

/* tcp_timer.c */
void tcp_timer_fired(struct flow *f);
void tcp_retransmit_arm(struct flow *f);
void tcp_rtt_sample(struct flow *f, uint32_t microseconds);
void tcp_keepalive_arm(struct flow *f);

/* tcp.c */
void tcp_closed_by_application(struct flow *f); /* flow_shutdown and flow_close */
void tcp_fin_received(struct flow *f);
void tcp_fin_acknowledged(struct flow *f);
void tcp_time_wait(struct flow *f);
bool tcp_challenge(struct flow *f);

#endif
