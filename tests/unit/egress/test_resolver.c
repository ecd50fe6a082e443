/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for an answer: together, and no more once it was cancelled. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/resolver.h"
#include "suites.h"

/* A server that knows no name. */
struct server {
	int fd;
	ev_io w;
	unsigned asked;
};

struct asker {
	struct resolver *resolver;
	struct resolver_query *query, *other; /* other: cancelled by the answer */
	const char *again;                    /* asked by the answer */
	unsigned answers, packets;
	int error;
};

static void
on_question(struct ev_loop *loop, ev_io *w, int events)
{
	struct server *s = w->data;
	struct sockaddr_storage from;
	socklen_t n = sizeof(from);
	uint8_t packet[512];
	ssize_t got;

	(void)loop;
	(void)events;
	got = recvfrom(s->fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &n);
	if (got < 12)
		return;
	s->asked++;
	packet[2] |= 0x80;
	packet[3] = 3;
	(void)!sendto(s->fd, packet, (size_t)got, 0, (struct sockaddr *)&from, n);
}

static void
set_up(struct server *s, struct ev_loop *loop, struct resolver **r)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(in);
	char text[32], error[256];
	const char *servers[] = {text};
	struct resolver_options o = {.servers = servers, .n_servers = 1, .hosts = "/dev/null"};

	*s = (struct server){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	CU_ASSERT_FATAL(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&in, sizeof(in)) == 0 &&
			getsockname(s->fd, (struct sockaddr *)&in, &n) == 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)ntohs(in.sin_port));
	ev_io_init(&s->w, on_question, s->fd, EV_READ);
	s->w.data = s;
	ev_io_start(loop, &s->w);
	CU_ASSERT_EQUAL_FATAL(resolver_open(r, &o, error, sizeof(error)), 0);
	resolver_start(*r, loop);
}

static void
tear_down(struct server *s, struct ev_loop *loop, struct resolver *r)
{
	resolver_close(r);
	ev_io_stop(loop, &s->w);
	close(s->fd);
	ev_loop_destroy(loop);
}

static void
on_answer(void *ctx, const struct resolver_answer *a)
{
	struct asker *k = ctx;
	const char *again = k->again;
	struct resolver_answer now;

	k->query = NULL;
	k->answers++;
	k->error = a->error;
	if (k->other != NULL)
		resolver_cancel(k->other);
	k->other = NULL;
	k->again = NULL;
	if (again != NULL)
		k->query = resolver_ask(k->resolver, again, &now, on_answer, k);
}

static void
on_packet(void *ctx, int error, const uint8_t *packet, size_t length)
{
	struct asker *k = ctx;

	k->packets += packet != NULL && length > 0;
	k->error = error;
	k->answers++;
}

static void
test_together(void)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct asker one = {0}, two = {0}, three = {0}, four = {0};
	struct resolver_query *gone;
	struct resolver_answer a;
	struct resolver *r;
	struct server s;

	set_up(&s, loop, &r);
	one.resolver = two.resolver = r;
	one.query = resolver_ask(r, "a.test", &a, on_answer, &one);
	gone = resolver_ask(r, "a.test", &a, on_answer, &three);
	two.query = resolver_ask(r, "a.test", &a, on_answer, &two);
	CU_ASSERT_PTR_NOT_NULL_FATAL(one.query);
	CU_ASSERT_PTR_NOT_NULL_FATAL(gone);
	CU_ASSERT_PTR_NOT_NULL_FATAL(two.query);
	CU_ASSERT_PTR_NOT_NULL(resolver_ask_raw(r, "a.test", 16, on_packet, &four));
	CU_ASSERT_PTR_NOT_NULL(resolver_ask_raw(r, "a.test", 16, on_packet, &four));
	resolver_cancel(gone);
	/* Whichever of the two hears first, the other one does not; both names are asked. */
	one.other = two.query;
	two.other = one.query;
	one.again = two.again = "b.test";
	while (one.answers + two.answers < 2 || four.answers < 2)
		ev_run(loop, EVRUN_ONCE);
	CU_ASSERT(one.answers == 2 || two.answers == 2);
	CU_ASSERT_EQUAL(three.answers, 0);
	CU_ASSERT_EQUAL(four.packets, 2);
	CU_ASSERT_EQUAL(one.answers > 0 ? one.error : two.error, -ENOENT);
	/* A and AAAA of two names, and a TXT; more where the machine was slow. */
	CU_ASSERT(s.asked >= 5);
	tear_down(&s, loop, r);
}

static void
test_bound(void)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct resolver_query *q[RESOLVER_PENDING_MAX];
	struct asker k = {0}, raw = {0}, late = {0};
	struct resolver_answer a;
	struct resolver *r;
	struct server s;
	char name[32];
	size_t i;

	set_up(&s, loop, &r);
	for (i = 0; i < RESOLVER_PENDING_MAX; i++) {
		snprintf(name, sizeof(name), "n%zu.test", i);
		q[i] = resolver_ask(r, name, &a, on_answer, &k);
		CU_ASSERT_PTR_NOT_NULL_FATAL(q[i]);
		if (i > 0)
			resolver_cancel(q[i]);
	}
	CU_ASSERT_PTR_NULL(resolver_ask(r, "one-more.test", &a, on_answer, &k));
	CU_ASSERT_EQUAL(a.error, -EBUSY);
	CU_ASSERT_PTR_NULL(resolver_ask_raw(r, "n0.test", 16, on_packet, &raw));
	CU_ASSERT(raw.answers == 1 && raw.packets == 0 && raw.error == -EBUSY);
	/* One that is asked already is no question more, even where nobody waits for it. */
	CU_ASSERT_PTR_NOT_NULL(resolver_ask(r, "n5.test", &a, on_answer, &late));
	while (k.answers == 0 || late.answers == 0)
		ev_run(loop, EVRUN_ONCE);
	CU_ASSERT_EQUAL(k.answers, 1);
	CU_ASSERT_EQUAL(late.error, -ENOENT);
	late.answers = 0;
	CU_ASSERT_PTR_NOT_NULL(resolver_ask(r, "one-more.test", &a, on_answer, &late));
	while (late.answers == 0)
		ev_run(loop, EVRUN_ONCE);
	tear_down(&s, loop, r);
}

CU_TestInfo resolver_tests[] = {
    {"questions are shared", test_together},
    {"questions are bounded", test_bound},
    CU_TEST_INFO_NULL,
};
