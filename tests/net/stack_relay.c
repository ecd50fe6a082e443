/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_relay - the network stack with plain TCP sockets behind it, for tests and measurements.
 *
 * Every connection that the guest opens is made again from this process to the same IPv4
 * destination, and bytes, half-closes and resets are carried both ways.  There is no policy here at
 * all.  SIGUSR1 ends it once every flow is over, SIGTERM at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netproxy/stack.h"
#include "netproxy/wire.h"

#define EVENTS        256
#define INPUT_BUDGET  4u
#define READ_MOST     (512u * 1024)
#define SOCKET_BUFFER (4 * 1024 * 1024)

struct relay {
	struct flow *flow;
	int fd;
	bool host_readable, host_writable; /* as far as epoll said and no call has denied */
	bool host_hangs_up; /* its FIN is behind what is readable: no edge will tell */
	bool host_ended, guest_ended;
	bool dead; /* in this round; freed at its end */
	struct relay *next_dead;
};

struct program {
	struct stack_config config;
	struct link_socket link;
	struct stack *stack;
	int epoll;
	const char *ready;
	struct relay *dead;
};

static volatile sig_atomic_t stopped, settling;

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		settling = 1;
	else
		stopped = 1;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- One connection ---- */

static void
relay_end(struct program *g, struct relay *r, bool reset)
{
	struct linger hard = {1, 0};

	if (r->dead)
		return;
	if (reset)
		setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(r->fd);
	r->fd = -1;
	if (reset)
		flow_abort(r->flow);
	else
		flow_close(r->flow);
	r->flow = NULL;
	r->dead = true;
	r->next_dead = g->dead;
	g->dead = r;
}

/* Guest to host.  False where the connection is over. */
static bool
carry_out(struct program *g, struct relay *r)
{
	struct iovec iov[2];
	unsigned pieces;
	ssize_t n;

	while (r->host_writable && flow_peek(r->flow, iov, &pieces) > 0) {
		n = writev(r->fd, iov, (int)pieces);
		if (n > 0) {
			flow_consume(r->flow, (size_t)n);
		} else if (errno == EAGAIN) {
			r->host_writable = false;
		} else {
			relay_end(g, r, true);
			return false;
		}
	}
	if (r->host_writable && flow_ended(r->flow) && !r->guest_ended) {
		r->guest_ended = true;
		shutdown(r->fd, SHUT_WR);
	}
	return true;
}

/* Host to guest. */
static bool
carry_in(struct program *g, struct relay *r)
{
	struct iovec iov[2];
	unsigned pieces;
	size_t room;
	ssize_t n;

	while (r->host_readable && !r->host_ended) {
		room = flow_reserve(r->flow, READ_MOST, iov, &pieces);
		if (room == 0)
			break;
		n = readv(r->fd, iov, (int)pieces);
		if (n > 0) {
			flow_commit(r->flow, (size_t)n);
			if ((size_t)n < room && !r->host_hangs_up)
				r->host_readable = false; /* edge-triggered: told when more comes */
		} else if (n == 0) {
			r->host_ended = true;
			flow_shutdown(r->flow);
		} else if (errno == EAGAIN) {
			r->host_readable = false;
		} else {
			relay_end(g, r, true);
			return false;
		}
	}
	return true;
}

static void
relay_move(struct program *g, struct relay *r)
{
	if (!carry_out(g, r) || !carry_in(g, r))
		return;
	if (r->guest_ended && r->host_ended)
		relay_end(g, r, false);
}

static void
relay_open(struct program *g, struct flow *f)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	struct flow_addresses a;
	struct relay *r = calloc(1, sizeof(*r));
	int one = 1;

	if (r == NULL)
		die("calloc");
	flow_addresses(f, &a);
	to.sin_addr.s_addr = htonl(stack_address_to_v4(a.destination.address));
	to.sin_port = htons(a.destination.port);
	r->flow = f;
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->fd < 0)
		die("socket");
	flow_set_context(f, r);
	setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	e.data.ptr = r;
	if ((connect(r->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS) ||
	    epoll_ctl(g->epoll, EPOLL_CTL_ADD, r->fd, &e) != 0)
		relay_end(g, r, true);
}

/* ---- The stack's callbacks ---- */

static bool
on_connect(void *context, const struct flow_addresses *a)
{
	(void)context;
	return stack_address_is_v4(a->destination.address);
}

static void
on_event(void *context, struct flow *f, unsigned events)
{
	struct program *g = context;
	struct relay *r;

	if ((events & FLOW_OPENED) != 0)
		relay_open(g, f);
	r = flow_context(f);
	if (r == NULL || r->dead)
		return;
	if ((events & FLOW_CLOSED) != 0 && flow_error(f) != 0)
		relay_end(g, r, true);
	else
		relay_move(g, r);
}

static bool
on_datagram(void *context, const struct flow_addresses *a, const uint8_t *bytes, size_t n)
{
	(void)context;
	(void)a;
	(void)bytes;
	(void)n;
	return false;
}

/* ---- The loop ---- */

static void
host_event(struct program *g, const struct epoll_event *e)
{
	struct relay *r = e->data.ptr;

	if (r == NULL || r->dead)
		return;
	if ((e->events & EPOLLERR) != 0) {
		relay_end(g, r, true);
		return;
	}
	if ((e->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0)
		r->host_readable = true;
	if ((e->events & (EPOLLRDHUP | EPOLLHUP)) != 0)
		r->host_hangs_up = true;
	if ((e->events & EPOLLOUT) != 0)
		r->host_writable = true;
	relay_move(g, r);
}

static void
reap(struct program *g)
{
	struct relay *r;

	while ((r = g->dead) != NULL) {
		g->dead = r->next_dead;
		free(r);
	}
}

static void
link_watch(struct program *g, int operation, bool write)
{
	struct epoll_event e = {.events = EPOLLIN | (write ? EPOLLOUT : 0u)};

	if (epoll_ctl(g->epoll, operation, g->link.fd, &e) != 0)
		die("epoll_ctl");
}

static int
timeout_ms(const struct program *g, uint64_t now)
{
	uint64_t deadline = stack_deadline(g->stack);

	if (deadline == UINT64_MAX)
		return -1;
	if (deadline <= now)
		return 0;
	return deadline - now > 3600000000u ? 3600000 : (int)((deadline - now + 999) / 1000);
}

/* Every flow is over: the last acknowledgement of each came, too. */
static bool
is_settled(const struct program *g)
{
	struct stack_counters c;

	stack_counters(g->stack, &c);
	return c.flows == c.time_wait;
}

static void
serve(struct program *g)
{
	struct epoll_event events[EVENTS];
	bool more = false, blocked = false;
	uint64_t now = clock_us();
	int i, n;

	link_watch(g, EPOLL_CTL_ADD, false);
	while (!stopped && !(settling && is_settled(g))) {
		n = epoll_wait(g->epoll, events, EVENTS, more ? 0 : timeout_ms(g, now));
		now = clock_us();
		i = stack_input(g->stack, INPUT_BUDGET, now);
		if (i < 0)
			break;
		more = i > 0;
		for (i = 0; i < n; i++)
			host_event(g, &events[i]);
		stack_timer(g->stack, now);
		if (stack_flush(g->stack, now) != 0)
			break;
		reap(g);
		if (stack_blocked(g->stack) != blocked) {
			blocked = !blocked;
			link_watch(g, EPOLL_CTL_MOD, blocked);
		}
	}
}

/* ---- Start and end ---- */

static void
print_counters(const struct program *g)
{
	struct stack_counters c;

	stack_counters(g->stack, &c);
	fprintf(stderr, "stack:");
#define X(name, what)    \
	if (c.name != 0) \
		fprintf(stderr, " " #name "=%llu", (unsigned long long)c.name);
	STACK_COUNTERS(X)
#undef X
	fprintf(stderr, " flows=%u half_open=%u time_wait=%u buffers=%zu\n", c.flows, c.half_open,
	    c.time_wait, c.buffers);
}

static unsigned long
number(const char *text)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 0);
	if (*text == '\0' || *end != '\0' || errno != 0) {
		fprintf(stderr, "stack_relay: %s: not a number\n", text);
		exit(2);
	}
	return v;
}

static int
options(struct program *g, int argc, char **argv)
{
	static const struct option names[] = {{"fd", 1, NULL, 'f'}, {"mtu", 1, NULL, 'm'},
	    {"isn", 1, NULL, 'i'}, {"ready", 1, NULL, 'r'}, {NULL, 0, NULL, 0}};
	int c, fd = 3;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'f') {
			fd = (int)number(optarg);
		} else if (c == 'm') {
			g->config.mtu = (uint32_t)number(optarg);
		} else if (c == 'i') {
			g->config.fixed_isn = true;
			g->config.isn = (uint32_t)number(optarg);
		} else if (c == 'r') {
			g->ready = optarg;
		} else {
			fprintf(stderr, "usage: stack_relay [--fd N] [--mtu N] [--isn N] "
					"[--ready FILE]\n");
			exit(2);
		}
	}
	return fd;
}

static void
prepare(struct program *g, int fd)
{
	const struct sigaction stop = {.sa_handler = on_signal};
	struct rlimit files;
	int size = SOCKET_BUFFER;

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGUSR1, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (getrandom(g->config.key, sizeof(g->config.key), 0) < 0 ||
	    getrandom(g->config.isn_key, sizeof(g->config.isn_key), 0) < 0)
		die("getrandom");
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (g->epoll < 0)
		die("epoll_create1");
}

int
main(int argc, char **argv)
{
	struct program g = {.epoll = -1};
	const struct stack_handlers h = {&g, on_connect, on_event, on_datagram};
	int fd, r;

	stack_config_default(&g.config);
	fd = options(&g, argc, argv);
	prepare(&g, fd);
	r = link_socket_open(&g.link, fd, g.config.mtu + 14);
	if (r == 0)
		r = stack_new(&g.stack, &g.config, &g.link.link, &h, clock_us());
	if (r != 0) {
		fprintf(stderr, "stack_relay: %s\n", strerror(-r));
		return 1;
	}
	if (g.ready != NULL) {
		fd = open(g.ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			die(g.ready);
		close(fd);
	}
	serve(&g);
	print_counters(&g);
	stack_free(g.stack);
	reap(&g);
	link_socket_close(&g.link);
	return 0;
}
