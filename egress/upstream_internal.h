/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the way out share. */
#ifndef GONDOLIN_EGRESS_UPSTREAM_INTERNAL_H
#define GONDOLIN_EGRESS_UPSTREAM_INTERNAL_H

#include <curl/curl.h>

#include "egress/decode.h"
#include "egress/upstream.h"

#define ASK_BUCKETS 1024u
#define POOL_MAX    64u

enum ask_kind { ASK_EXCHANGE, ASK_LOOKUP, ASK_CONNECT };

/* Anything with an id. */
struct ask {
	struct ask *next; /* of the bucket */
	struct upstream *u;
	uint64_t id;
	enum ask_kind kind;
};

enum exchange_state {
	EXCHANGE_RESOLVING,
	EXCHANGE_ACTIVE, /* libcurl has it */
	EXCHANGE_DONE,   /* libcurl is done; what is held still goes out */
};

struct exchange {
	struct ask ask;
	struct exchange *next, *previous; /* of all */
	enum exchange_state state;
	struct resolver_query *query;
	CURL *easy;
	bool in_multi;
	struct curl_slist *headers, *pins;
	char curl_error[CURL_ERROR_SIZE];
	CURLcode result;

	char host[POLICY_HOST_MAX + 1];
	char method[40];
	uint16_t port;
	bool https, internal, upgrade;
	const struct policy_pattern *pattern;
	const struct secret_set *set;
	struct budget_host *budget;
	struct secret_use use;
	char path[UPSTREAM_PATH_MAX]; /* as the guest wrote it */
	size_t path_length;
	bool path_cut;
	char address[ADDRESS_TEXT_SIZE];
	ev_tstamp began, progress;
	struct refusal refusal; /* cause CAUSE_NONE: none */
	/* Of one attempt to connect: the exchange's only where no other attempt succeeds. */
	struct refusal unopened;

	/* The request's body. */
	bool has_body, has_length;
	uint64_t body_length; /* where has_length */
	/* The request said how long it is: so many bytes come by the stream, whatever the scan
	 * makes of them. */
	bool declared;
	uint64_t declared_streamed;
	struct buffer upload; /* what is to be sent next, from upload_at on */
	size_t upload_at;
	bool upload_inline;       /* no byte came by the stream so far */
	uint64_t upload_streamed; /* bytes read from the stream */
	bool upload_last;         /* RequestEnd came, with this length: */
	uint64_t upload_total;
	bool upload_done;
	bool upload_paused;
	bool scan; /* through `outgoing` */
	struct replacer outgoing;

	int stream;        /* our end, or -1 */
	bool stream_given; /* the peer's end was handed over */
	ev_io readable, writable;

	/* The answer. */
	unsigned status;
	struct fields head, trailers;
	bool head_done, answered, streaming;
	bool answer_has_length; /* towards netproxy */
	uint64_t answer_length;
	bool framed; /* by a length: so many bytes are the body, as the origin sends it */
	uint64_t framed_length, body_in;
	bool no_body;
	struct decoder *decoder;
	bool scrub;
	struct replacer incoming;
	struct buffer in;  /* came, and was not decoded yet */
	struct buffer out; /* to be given out */
	bool in_ended;     /* the scrubber gave out all */
	bool download_paused;
	bool listed; /* in u->turn */
	struct exchange *turn_next;
	uint64_t bytes_in, bytes_out, written;
	uint64_t scrubbed;

	struct websocket *websocket; /* NULL: none */
};

struct upstream {
	struct upstream_config *config;
	struct resolver *resolver;
	struct locals *locals;
	struct ev_loop *loop;
	const struct upstream_events *events;
	void *ctx;
	CURLM *multi;
	struct x509_store_st *store;
	ev_timer timer; /* libcurl's */
	ev_timer sweep; /* time-outs */
	ev_prepare prepare;
	CURL *pool[POOL_MAX];
	size_t n_pool;
	struct ask *asks[ASK_BUCKETS];
	size_t n_asks;
	uint64_t last_id;
	struct exchange *exchanges; /* all */
	struct exchange *turn;      /* something to give out before the loop waits */
	struct budget budget;
	size_t decoding;              /* bytes that decoders hold */
	struct budget_host **sockets; /* by descriptor: whose budget it counts to */
	size_t n_sockets;
	struct upstream_counters counters;
};

/* asks.c */
int ask_add(struct upstream *u, struct ask *a, uint64_t id, enum ask_kind kind);
void ask_remove(struct ask *a);
struct ask *ask_find(struct upstream *u, uint64_t id);

/*
 * Counts one to the budgets of requests, of the sandbox and of the host.  Sets *of to the host's
 * budget (NULL: it has none) and returns NULL, or which one is used up.
 */
const char *ask_spend(struct upstream *u, const char *host, struct budget_host **of);

/* One line of the audit log for a thing that was refused. */
void ask_record_refused(struct upstream *u, struct upstream_record *r, const struct refusal *why);

/* exchange.c */
/* Ends it with its refusal, or the one of an answer that broke off; frees it. */
void exchange_fail(struct exchange *x);
void exchange_finish(struct exchange *x);
/* Its final message was sent already. */
void exchange_end_answered(struct exchange *x);
/* The host that is connected to, without brackets: its own, or the proxy's. */
void exchange_peer_host(const struct exchange *x, char *host, size_t size);
void exchange_curl_done(struct exchange *x, CURLcode result);
void exchange_free(struct exchange *x);

/*
 * The addresses of a that may be connected to stay, the others go.  Returns false and fills *r
 * where none is left.
 */
bool addresses_check(struct upstream *u, const char *host, bool internal, struct resolver_answer *a,
    struct refusal *r);

/* Fills *r for a name that could not be resolved. */
void refuse_unresolved(struct refusal *r, const char *host, int error);

/* transport.c: libcurl's side. */
int transport_init(struct upstream *u, const char *ca_bundle, char *error, size_t error_size);
void transport_start(struct upstream *u);
void transport_clear(struct upstream *u);
CURL *transport_take(struct upstream *u);
void transport_give_back(struct upstream *u, CURL *easy);

/* Configures libcurl for the exchange with the checked addresses and starts it. */
void transport_send(struct exchange *x, const struct resolver_answer *a);

/* answer.c: libcurl's callbacks for what comes, and what is done with it. */
size_t answer_on_header(char *line, size_t size, size_t n, void *ctx);
size_t answer_on_body(char *bytes, size_t size, size_t n, void *ctx);
/* Gives out what is there; true where nothing is left. */
bool answer_flush(struct exchange *x);
/* What was taken of the answer until now, its body not yet given out; the caller says where it
 * ends.
 */
struct upstream_answer answer_of(const struct exchange *x);
/* libcurl gave us all of the answer; false also where it alone can know. */
bool answer_is_whole(const struct exchange *x);
/* The end of a turn of the loop: sends the head, and what is held. */
void answer_turn(struct exchange *x);
/* Not from libcurl's callbacks: lets libcurl go on where there is room again. */
void answer_resume(struct exchange *x);
/* One whole line of a head, without its end. */
bool answer_take_line(struct exchange *x, const char *line, size_t n);
/* The head is whole: checks, scrubs.  False where it is refused. */
bool answer_take_head(struct exchange *x);
/* They are whole: the same. */
void answer_take_trailers(struct exchange *x);
/* Hands the stream over where that was not done; false where there is none to have. */
bool stream_open(struct exchange *x, int *peer);
void stream_close(struct exchange *x);
void answer_clear(struct exchange *x);

/* upload.c */
void upload_init(struct exchange *x, const struct request *q);
size_t upload_on_read(char *bytes, size_t size, size_t n, void *ctx);
int upload_on_seek(void *ctx, curl_off_t offset, int origin);
void upload_on_stream(struct exchange *x);
/* RequestEnd said so.  False where it is refused. */
bool upload_end(struct exchange *x, uint64_t length);
/* RequestEnd, or what it counts, is still to come; bytes of the body are still to come. */
bool upload_is_open(const struct exchange *x);
bool upload_lacks_bytes(const struct exchange *x);
void upload_clear(struct exchange *x);

/* websocket.c */
void websocket_connected(struct exchange *x);
void websocket_flush(struct exchange *x);
void websocket_free(struct exchange *x);
#endif
