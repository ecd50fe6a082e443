/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's byte stream against the guest's agent: decoder, dispatch, streams and credit, without
 * processes.  What would be a command is three pipes, of which the outputs hold a few bytes and
 * their end, and an event descriptor that says that it has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/agent.h"
#include "ipc/agent_frame.h"

/* Everything fits into the socket's buffer, and so do the answers. */
#define INPUT_MAX 16384u
/* The kernel may queue no more than ten packets for a socket (net.unix.max_dgram_qlen). */
#define PACKETS_MAX 10u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
filled_pipe(const void *bytes, size_t n)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    (n > 0 && write(fds[1], bytes, n) != (ssize_t)n))
		abort();
	close(fds[1]);
	return fds[0];
}

/* What a request says decides how its command ends: each way is one letter of argv[0]. */
static int
fake_spawn(const struct spawn_request *r, struct spawn_child *child)
{
	struct spawn_failure failure = {.error = ENOENT, .message = "not found"};
	const char how = r->argv[0][0];
	int input[2];

	for (char **v = r->variables; v != NULL && *v != NULL; v++)
		if (strchr(*v, '=') == NULL)
			abort();
	if (how == 'e')
		return -EAGAIN;
	if (pipe2(input, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	/* 'b' breaks its stdin; the others never read it. */
	close(input[0]);
	if (how != 'b') {
		close(input[1]);
		input[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	*child = (struct spawn_child){
	    .pid = 1,
	    .pidfd = eventfd(how != 'r', EFD_CLOEXEC | EFD_NONBLOCK),
	    .status = filled_pipe(&failure, how == 'f' ? sizeof(failure) : 0),
	    .input = input[1],
	    .output = filled_pipe("output", 6),
	    .error = r->tty ? -1 : filled_pipe("error", 5),
	};
	return 0;
}

static void
fake_signal(pid_t pid, int signal)
{
	if (pid != 1 || signal < 1 || signal > 64)
		abort();
}

static int
fake_reap(pid_t pid, int *wait_status)
{
	if (pid != 1)
		abort();
	*wait_status = 0;
	return 0;
}

static int
fake_network(const struct network_settings *s, char *why, size_t why_size)
{
	if (s->n_ca == 0 || s->n_ca > AGENT_CA_MAX || s->mtu < AGENT_MTU_MIN ||
	    s->mtu > AGENT_MTU_MAX)
		abort();
	/* The CA's first letter decides, as a command's does. */
	if (s->ca[0] != 'f')
		return 0;
	snprintf(why, why_size, "the machine has no eth0");
	return -ENODEV;
}

/*
 * Most frames need an answer before the next one may come: each read of the agent gets one frame,
 * the last one all that is left.
 */
static void
send_frames(int fd, const uint8_t *data, size_t size)
{
	struct agent_header h;
	size_t n;
	unsigned i;

	for (i = 1; size > 0; i++, data += n, size -= n) {
		n = size;
		if (i < PACKETS_MAX && size >= AGENT_HEADER_SIZE &&
		    agent_header_decode(data, &h) == 0 && AGENT_HEADER_SIZE + h.length < size)
			n = AGENT_HEADER_SIZE + h.length;
		if (write(fd, data, n) != (ssize_t)n)
			abort();
	}
	shutdown(fd, SHUT_WR);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct agent_system fake = {fake_spawn, fake_signal, fake_reap, fake_network};
	struct agent_options options = {.kill_after_ms = 1, .system = &fake};
	uint32_t grace_ms;
	char why[256];
	int pair[2];

	if (size > INPUT_MAX || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	send_frames(pair[1], data, size);
	options.port = pair[0];
	(void)agent_run(&options, &grace_ms, why, sizeof(why));
	if (strchr(why, '\n') != NULL)
		abort();
	close(pair[0]);
	close(pair[1]);
	return 0;
}
