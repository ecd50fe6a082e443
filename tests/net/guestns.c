/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guestns - makes a TAP in a network namespace look like a virtual machine's interface.
 *
 * Carries Ethernet frames between the TAP and a socket of the program under test:
 *	--stream PATH		connects; 4 bytes of length, big-endian, before each frame (QEMU,
 *passt)
 *	--stream-listen PATH	the same framing; takes one connection
 *	--spawn-dgram CMD ...	a socketpair, one frame a datagram; CMD has its end as descriptor 3
 * Programs then run as the guest with `ip netns exec NAME ...`.  One thread a direction, blocking.
 * --impair L,D,R spoils both directions: so many frames of 10,000 are lost, doubled, held back for
 * three others.  Without it no frame is ever lost here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_MAX   (65535u + 18u)
#define BATCH       64u
#define STREAM_MOST (256u * 1024)
#define HELD_FOR    3u
#define TICK_MS     5

struct pump;

/* One direction. */
struct lane {
	struct pump *pump;
	void (*out)(struct lane *l, const uint8_t *frame, size_t n);
	uint64_t random;
	uint8_t *buffer;
	uint8_t *held;
	size_t held_size; /* 0: none is held */
	unsigned held_left;
	unsigned long long frames, lost, doubled, moved;
};

struct pump {
	const char *netns, *interface, *address, *gateway, *mac;
	const char *stream, *stream_listen, *ready;
	char **command;
	int mtu, buffer_size, queue;
	bool datagrams, spoils;
	unsigned loss, doubling, moving; /* of 10,000 */
	int tap, socket;
	pid_t child;
	struct lane to_socket, to_tap;
};

static volatile sig_atomic_t stopped;

static void
on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "guestns: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- Spoiling ---- */

static bool
chance(struct lane *l, unsigned of_10000)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random % 10000 < of_10000;
}

static void
release(struct lane *l)
{
	if (l->held_size > 0)
		l->out(l, l->held, l->held_size);
	l->held_size = 0;
}

static void
pass(struct lane *l, const uint8_t *frame, size_t n)
{
	const struct pump *p = l->pump;

	l->frames++;
	if (!p->spoils) {
		l->out(l, frame, n);
		return;
	}
	if (chance(l, p->loss)) {
		l->lost++;
		return;
	}
	if (l->held_size == 0 && chance(l, p->moving)) {
		memcpy(l->held, frame, n);
		l->held_size = n;
		l->held_left = HELD_FOR;
		l->moved++;
		return;
	}
	l->out(l, frame, n);
	if (chance(l, p->doubling)) {
		l->doubled++;
		l->out(l, frame, n);
	}
	if (l->held_size > 0 && --l->held_left == 0)
		release(l);
}

/* ---- Frames out ---- */

static bool
send_all(int fd, const uint8_t *bytes, size_t n)
{
	ssize_t r;

	while (n > 0 && !stopped) {
		r = send(fd, bytes, n, MSG_NOSIGNAL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return false;
		bytes += r;
		n -= (size_t)r;
	}
	return true;
}

static void
out_socket(struct lane *l, const uint8_t *frame, size_t n)
{
	uint32_t length = htonl((uint32_t)n);
	struct iovec iov[2] = {{&length, sizeof(length)}, {NULL, n}};
	struct msghdr m = {.msg_iov = l->pump->datagrams ? iov + 1 : iov,
	    .msg_iovlen = l->pump->datagrams ? 1 : 2};
	size_t whole = l->pump->datagrams ? n : n + sizeof(length);
	ssize_t r;

	memcpy(&iov[1].iov_base, &(const void *){frame}, sizeof(void *));
	do {
		r = sendmsg(l->pump->socket, &m, MSG_NOSIGNAL);
	} while (r < 0 && (errno == EINTR || errno == ENOBUFS) && !stopped);
	if (r >= 0 && (size_t)r < whole && (size_t)r >= sizeof(length) &&
	    send_all(l->pump->socket, frame + ((size_t)r - sizeof(length)), whole - (size_t)r))
		return;
	if (r < 0 || (size_t)r < whole)
		stopped = 1;
}

static void
out_tap(struct lane *l, const uint8_t *frame, size_t n)
{
	struct pollfd writable = {l->pump->tap, POLLOUT, 0};

	while (write(l->pump->tap, frame, n) < 0 && !stopped) {
		if (errno == EAGAIN)
			poll(&writable, 1, TICK_MS);
		else if (errno != EINTR)
			return; /* the interface refuses it: an interface may */
	}
}

/* ---- Guest to program ---- */

/* Reads up to a batch of frames from the TAP and sends them in one call. */
static void
batch_to_socket(struct lane *l)
{
	const struct pump *p = l->pump;
	struct mmsghdr messages[BATCH] = {0};
	struct iovec iov[BATCH];
	size_t used = 0, head = p->datagrams ? 0 : 4;
	unsigned n = 0, sent = 0;
	ssize_t r;

	while (n < BATCH && used < STREAM_MOST &&
	       (r = read(p->tap, l->buffer + used + head, FRAME_MAX)) > 0) {
		uint32_t length = htonl((uint32_t)r);

		memcpy(l->buffer + used, &length, head);
		iov[n] = (struct iovec){l->buffer + used, (size_t)r + head};
		messages[n].msg_hdr.msg_iov = &iov[n];
		messages[n].msg_hdr.msg_iovlen = 1;
		used += (size_t)r + head;
		l->frames++;
		n++;
	}
	if (!p->datagrams) {
		if (!send_all(p->socket, l->buffer, used))
			stopped = 1;
		return;
	}
	while (sent < n && !stopped) {
		int k = sendmmsg(p->socket, messages + sent, n - sent, MSG_NOSIGNAL);

		if (k > 0)
			sent += (unsigned)k;
		else if (errno != EINTR && errno != ENOBUFS)
			stopped = 1;
	}
}

static void *
guest_to_program(void *argument)
{
	struct pump *p = argument;
	struct lane *l = &p->to_socket;
	struct pollfd readable = {p->tap, POLLIN, 0};
	ssize_t r;

	while (!stopped) {
		if (poll(&readable, 1, p->spoils ? TICK_MS : 500) <= 0) {
			release(l);
			continue;
		}
		if (!p->spoils) {
			batch_to_socket(l);
			continue;
		}
		while ((r = read(p->tap, l->buffer, FRAME_MAX)) > 0)
			pass(l, l->buffer, (size_t)r);
	}
	shutdown(p->socket, SHUT_RDWR);
	return NULL;
}

/* ---- Program to guest ---- */

static bool
datagrams_to_tap(struct lane *l)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec iov[BATCH];
	size_t stride = ((size_t)l->pump->mtu + 18 + 63) & ~(size_t)63;
	int i, n;

	for (i = 0; i < (int)BATCH; i++) {
		/* No further apart than frames are long: the caches like it. */
		iov[i] = (struct iovec){l->buffer + (size_t)i * stride, stride};
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(l->pump->socket, messages, BATCH, MSG_WAITFORONE, NULL);
	if (n < 0)
		return errno == EINTR;
	for (i = 0; i < n; i++) {
		if (messages[i].msg_len == 0)
			return false;
		pass(l, iov[i].iov_base, messages[i].msg_len);
	}
	return true;
}

/* *have bytes of the stream are at the buffer's start. */
static bool
stream_to_tap(struct lane *l, size_t *have)
{
	size_t at = 0, length;
	uint32_t head;
	ssize_t r = recv(l->pump->socket, l->buffer + *have, 2 * STREAM_MOST - *have, 0);

	if (r <= 0)
		return r < 0 && errno == EINTR;
	*have += (size_t)r;
	while (*have - at >= sizeof(head)) {
		memcpy(&head, l->buffer + at, sizeof(head));
		length = ntohl(head);
		if (length == 0 || length > FRAME_MAX)
			return false;
		if (*have - at - sizeof(head) < length)
			break;
		pass(l, l->buffer + at + sizeof(head), length);
		at += sizeof(head) + length;
	}
	memmove(l->buffer, l->buffer + at, *have - at);
	*have -= at;
	return true;
}

static void *
program_to_guest(void *argument)
{
	struct pump *p = argument;
	struct lane *l = &p->to_tap;
	struct pollfd readable = {p->socket, POLLIN, 0};
	size_t have = 0;
	bool good = true;

	while (good && !stopped) {
		if (l->held_size > 0 && poll(&readable, 1, TICK_MS) == 0) {
			release(l);
			continue;
		}
		good = p->datagrams ? datagrams_to_tap(l) : stream_to_tap(l, &have);
	}
	stopped = 1;
	return NULL;
}

/* ---- The interface ---- */

static void
set_address(struct ifreq *r, in_addr_t address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};

	memcpy(&r->ifr_addr, &in, sizeof(in));
}

static void
set(int s, unsigned long what, struct ifreq *r)
{
	if (ioctl(s, what, r) != 0)
		die("setting up the interface");
}

static void
add_default_route(int s, const struct pump *p)
{
	struct sockaddr_in any = {.sin_family = AF_INET}, gateway = any;
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
	char name[IFNAMSIZ];

	gateway.sin_addr.s_addr = inet_addr(p->gateway);
	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	memcpy(&route.rt_gateway, &gateway, sizeof(gateway));
	snprintf(name, sizeof(name), "%s", p->interface);
	route.rt_dev = name;
	if (ioctl(s, SIOCADDRT, &route) != 0)
		die("setting the default route");
}

static void
set_up_interface(const struct pump *p)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	char address[16];
	unsigned m[6];
	int i, prefix;

	set(s, SIOCSIFFLAGS, &r);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", p->interface);
	if (sscanf(p->mac, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
		die("--mac");
	set(s, SIOCGIFHWADDR, &r);
	for (i = 0; i < 6; i++)
		r.ifr_hwaddr.sa_data[i] = (char)m[i];
	set(s, SIOCSIFHWADDR, &r);
	r.ifr_mtu = p->mtu;
	set(s, SIOCSIFMTU, &r);
	r.ifr_qlen = p->queue;
	set(s, SIOCSIFTXQLEN, &r);
	if (sscanf(p->address, "%15[0-9.]/%d", address, &prefix) != 2 || prefix < 1 || prefix > 32)
		die("--addr");
	set_address(&r, inet_addr(address));
	set(s, SIOCSIFADDR, &r);
	set_address(&r, htonl(~0u << (32 - prefix)));
	set(s, SIOCSIFNETMASK, &r);
	set(s, SIOCGIFFLAGS, &r);
	r.ifr_flags |= IFF_UP | IFF_RUNNING;
	set(s, SIOCSIFFLAGS, &r);
	if (*p->gateway != '\0')
		add_default_route(s, p);
	close(s);
}

static void
open_tap(struct pump *p)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", p->netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		die(path);
	close(fd);
	p->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->tap < 0)
		die("/dev/net/tun");
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", p->interface);
	set(p->tap, TUNSETIFF, &r);
	set_up_interface(p);
}

/* ---- The socket ---- */

static struct sockaddr_un
unix_address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s", path) >= (int)sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	return a;
}

static int
connect_stream(const char *path)
{
	struct sockaddr_un a = unix_address(path);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), tries;

	/* The path is there a moment before somebody listens. */
	for (tries = 0; connect(s, (struct sockaddr *)&a, sizeof(a)) != 0; tries++) {
		if ((errno != ECONNREFUSED && errno != ENOENT) || tries == 1000)
			die(path);
		poll(NULL, 0, 10);
	}
	return s;
}

static int
accept_stream(const char *path)
{
	struct sockaddr_un a = unix_address(path);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), c;

	if (bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 1) != 0)
		die(path);
	c = accept4(s, NULL, NULL, SOCK_CLOEXEC);
	if (c < 0)
		die(path);
	close(s);
	return c;
}

static void
spawn(struct pump *p)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0)
		die("socketpair");
	p->child = fork();
	if (p->child < 0)
		die("fork");
	if (p->child == 0) {
		if (dup2(pair[1], 3) != 3 || fcntl(3, F_SETFD, 0) != 0)
			die("dup2");
		execvp(p->command[0], p->command);
		die(p->command[0]);
	}
	close(pair[1]);
	p->socket = pair[0];
	p->datagrams = true;
}

static void
open_socket(struct pump *p)
{
	int size = p->buffer_size;

	if (p->stream != NULL)
		p->socket = connect_stream(p->stream);
	else if (p->stream_listen != NULL)
		p->socket = accept_stream(p->stream_listen);
	else
		spawn(p);
	if (size > 0)
		setsockopt(p->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* ---- Start and end ---- */

static void
options(struct pump *p, int argc, char **argv)
{
	static const struct option names[] = {{"netns", 1, NULL, 'n'}, {"if", 1, NULL, 'i'},
	    {"mac", 1, NULL, 'm'}, {"addr", 1, NULL, 'a'}, {"gw", 1, NULL, 'g'},
	    {"mtu", 1, NULL, 'M'}, {"sockbuf", 1, NULL, 'b'}, {"ready", 1, NULL, 'r'},
	    {"stream", 1, NULL, 's'}, {"stream-listen", 1, NULL, 'S'}, {"impair", 1, NULL, 'I'},
	    {"spawn-dgram", 0, NULL, 'x'}, {NULL, 0, NULL, 0}};
	const char **texts[128] = {['n'] = &p->netns,
	    ['i'] = &p->interface,
	    ['m'] = &p->mac,
	    ['a'] = &p->address,
	    ['g'] = &p->gateway,
	    ['r'] = &p->ready,
	    ['s'] = &p->stream,
	    ['S'] = &p->stream_listen};
	bool spawns = false;
	int c;

	while ((c = getopt_long(argc, argv, "+", names, NULL)) != -1) {
		if (c == '?')
			exit(2);
		if (texts[c] != NULL)
			*texts[c] = optarg;
		else if (c == 'M')
			p->mtu = atoi(optarg);
		else if (c == 'b')
			p->buffer_size = atoi(optarg);
		else if (c == 'I')
			p->spoils =
			    sscanf(optarg, "%u,%u,%u", &p->loss, &p->doubling, &p->moving) == 3;
		else
			spawns = true;
	}
	p->command = argv + optind;
	if (p->stream == NULL && p->stream_listen == NULL && (!spawns || argv[optind] == NULL)) {
		fprintf(stderr, "guestns: no socket and no command given\n");
		exit(2);
	}
}

static void
lane_init(struct lane *l, struct pump *p, void (*out)(struct lane *, const uint8_t *, size_t))
{
	l->pump = p;
	l->out = out;
	l->random = 0x9e3779b97f4a7c15u + (uint64_t)(out == out_tap);
	l->buffer = malloc((size_t)BATCH * FRAME_MAX);
	l->held = malloc(FRAME_MAX);
	if (l->buffer == NULL || l->held == NULL)
		die("malloc");
}

static void
report(const char *name, const struct lane *l)
{
	fprintf(stderr, "guestns: %s %llu frames, %llu lost, %llu doubled, %llu moved\n", name,
	    l->frames, l->lost, l->doubled, l->moved);
}

static void
say_ready(const char *path)
{
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path);
	close(fd);
}

int
main(int argc, char **argv)
{
	struct pump p = {.netns = "nb-guest",
	    .interface = "tap0",
	    .mac = "02:00:00:00:00:01",
	    .address = "192.168.127.3/24",
	    .gateway = "192.168.127.1",
	    .mtu = 1500,
	    .queue = 10000};
	const struct sigaction stop = {.sa_handler = on_signal};
	pthread_t threads[2];

	options(&p, argc, argv);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	open_socket(&p);
	open_tap(&p);
	lane_init(&p.to_socket, &p, out_socket);
	lane_init(&p.to_tap, &p, out_tap);
	if (pthread_create(&threads[0], NULL, guest_to_program, &p) != 0 ||
	    pthread_create(&threads[1], NULL, program_to_guest, &p) != 0)
		die("pthread_create");
	say_ready(p.ready);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	report("to the program:", &p.to_socket);
	report("to the guest:", &p.to_tap);
	if (p.child > 0) {
		kill(p.child, SIGTERM);
		waitpid(p.child, NULL, 0);
	}
	return 0;
}
