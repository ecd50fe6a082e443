/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for gondolin-supervisor, vmrunner and a guest, for the tests of the library: it makes
 * a real session directory, answers on a real control socket, and runs "commands" itself, one after
 * the other.  What it does is said by the label in its configuration and by the command's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc/control.pb-c.h"
#include "ipc/message.h"
#include "ipc/packet.h"
#include "ipc/session.h"
#include "ipc/tar.h"

#define LIFELINE 4
#define OPTIONS  3

struct stand_in {
	char options[4096];
	struct session session;
	int listening, lifeline;
	bool ended;
};

/* One connection's Exec. */
struct job {
	int control;
	int streams[3];
	char path[4096]; /* argv[0] */
};

static void
answer(int control, Gondolin__VmrunnerToClient *m)
{
	/* A client that gave up is gone already. */
	(void)ipc_packet_send(control, &m->base, NULL, 0);
}

static void
say_started(const struct job *j)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlStarted s = GONDOLIN__CONTROL_STARTED__INIT;

	s.exec = 1;
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STARTED;
	m.started = &s;
	answer(j->control, &m);
}

static void
say_exited(const struct job *j, int status)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlExited e = GONDOLIN__CONTROL_EXITED__INIT;

	e.status = status;
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_EXITED;
	m.exited = &e;
	answer(j->control, &m);
}

/* ---- Archives that a guest should not send ---- */

/* A client that has seen enough reads no more. */
static void
put(int fd, const void *bytes, size_t n)
{
	if (write(fd, bytes, n) != (ssize_t)n && errno != EPIPE)
		exit(1);
}

/* A ustar header; the sum is right, so that it is the name that is refused. */
static void
put_header(int fd, const char *name, char type, const char *target, unsigned size)
{
	unsigned char block[512] = "";
	unsigned sum = 0;
	size_t i;

	memcpy(block, name, strnlen(name, 100));
	memcpy(block + 100, "0000644", 8);
	memcpy(block + 108, "0000000", 8);
	memcpy(block + 116, "0000000", 8);
	snprintf((char *)block + 124, 12, "%011o", size);
	memcpy(block + 136, "00000000000", 12);
	memset(block + 148, ' ', 8);
	block[156] = (unsigned char)type;
	memcpy(block + 157, target, strnlen(target, 100));
	memcpy(block + 257,
	    "ustar\0"
	    "00",
	    8);
	for (i = 0; i < sizeof(block); i++)
		sum += block[i];
	snprintf((char *)block + 148, 7, "%06o", sum & 0777777);
	put(fd, block, sizeof(block));
}

static void
put_file(int fd, const char *name, const char *text)
{
	char block[512] = "";

	put_header(fd, name, '0', "", (unsigned)strlen(text));
	memcpy(block, text, strlen(text));
	put(fd, block, sizeof(block));
}

static void
put_end(int fd)
{
	char blocks[1024] = "";

	put(fd, blocks, sizeof(blocks));
}

static void
evil_parent(int fd)
{
	put_file(fd, "../evil", "out");
	put_end(fd);
}

static void
evil_absolute(int fd)
{
	put_file(fd, "/evil", "out");
	put_end(fd);
}

/* Another name than the one that was asked for. */
static void
evil_name(int fd)
{
	put_file(fd, "authorized_keys", "key");
	put_end(fd);
}

static void
evil_link(int fd)
{
	put_header(fd, "evil-link", '5', "", 0);
	put_header(fd, "evil-link/up", '2', "..", 0);
	put_file(fd, "evil-link/up/evil", "out");
	put_end(fd);
}

static void
evil_hardlink(int fd)
{
	put_header(fd, "evil-hardlink", '1', "../secret", 0);
	put_end(fd);
}

static void
evil_device(int fd)
{
	put_header(fd, "evil-device", '3', "", 0);
	put_end(fd);
}

static void
evil_end(int fd)
{
	put_header(fd, "evil-end", '0', "", 100000);
}

static const struct {
	const char *path;
	void (*write)(int fd);
} evils[] = {
    {"/evil-parent", evil_parent},
    {"/evil-absolute", evil_absolute},
    {"/evil-name", evil_name},
    {"/evil-link", evil_link},
    {"/evil-hardlink", evil_hardlink},
    {"/evil-device", evil_device},
    {"/evil-end", evil_end},
};

/* ---- Commands ---- */

static int
run_tar_in(struct job *j)
{
	const struct tar_source source = tar_source_fd(&j->streams[0]);
	struct tar_extract_options options;
	char name[256], why[TAR_WHY_MAX] = "";
	int dir, rc = tar_open_destination(j->path, &dir, &options, name);

	if (rc == 0) {
		rc = tar_extract(dir, &source, &options, why);
		close(dir);
	}
	if (rc < 0)
		dprintf(j->streams[2], "%s: %s\n", j->path, why[0] != '\0' ? why : strerror(-rc));
	return rc < 0 ? 1 : 0;
}

static int
run_tar_out(struct job *j)
{
	const struct tar_sink sink = tar_sink_fd(&j->streams[1]);
	const struct tar_write_options options = {.warn = NULL};
	char name[256];
	size_t i;
	int dir, rc;

	for (i = 0; i < sizeof(evils) / sizeof(evils[0]); i++)
		if (strcmp(evils[i].path, j->path) == 0) {
			evils[i].write(j->streams[1]);
			return 0;
		}
	rc = tar_open_source(j->path, &dir, name);
	if (rc == 0 && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -ENOENT;
	if (rc == 0)
		rc = tar_write_tree(dir, name, name, &sink, &options);
	if (rc < 0)
		dprintf(j->streams[2], "%s: %s\n", j->path, strerror(-rc));
	return rc < 0 ? 1 : 0;
}

/* The only command: cat, which also says something on stderr and exits with 7. */
static int
run_cat(struct job *j)
{
	char block[4096];
	ssize_t n;

	dprintf(j->streams[2], "meow\n");
	while ((n = read(j->streams[0], block, sizeof(block))) > 0)
		if (write(j->streams[1], block, (size_t)n) != n)
			return 1;
	return 7;
}

static void
on_exec(struct job *j, const Gondolin__ControlExec *e)
{
	int status, i;

	snprintf(j->path, sizeof(j->path), "%.*s", (int)e->argv[0].len, e->argv[0].data);
	say_started(j);
	if (e->builtin == GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_IN)
		status = run_tar_in(j);
	else if (e->builtin == GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_OUT)
		status = run_tar_out(j);
	else
		status = run_cat(j);
	for (i = 0; i < 3; i++)
		close(j->streams[i]);
	say_exited(j, status);
}

static void
on_status(const struct job *j)
{
	Gondolin__VmrunnerToClient m = GONDOLIN__VMRUNNER_TO_CLIENT__INIT;
	Gondolin__ControlStatusReply s = GONDOLIN__CONTROL_STATUS_REPLY__INIT;

	s.state = GONDOLIN__CONTROL_STATUS_REPLY__STATE__RUNNING;
	s.running = 3;
	s.detached = 1;
	m.body_case = GONDOLIN__VMRUNNER_TO_CLIENT__BODY_STATUS;
	m.status = &s;
	answer(j->control, &m);
}

static void
serve_one(struct stand_in *s)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	struct job j = {.control = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC)};
	Gondolin__ClientToVmrunner *m;

	if (j.control < 0 || ipc_packet_receive(j.control, &p) <= 0)
		goto out;
	m = (Gondolin__ClientToVmrunner *)ipc_message_decode(
	    &gondolin__client_to_vmrunner__descriptor, p.bytes, p.length);
	if (m == NULL)
		goto out;
	memcpy(j.streams, p.fds, sizeof(j.streams));
	if (m->body_case == GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC && p.n_fds == 3)
		on_exec(&j, m->exec);
	else if (m->body_case == GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STATUS)
		on_status(&j);
	else if (m->body_case == GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STOP)
		s->ended = true;
	protobuf_c_message_free_unpacked(&m->base, NULL);
out:
	if (j.control >= 0)
		close(j.control);
}

/* ---- The supervisor's part ---- */

static void
on_lifeline(struct stand_in *s)
{
	char packet[64];
	ssize_t n = recv(s->lifeline, packet, sizeof(packet), 0);

	close(s->lifeline);
	s->lifeline = -1;
	if (n != 7 || memcmp(packet, "release", 7) != 0)
		s->ended = true;
}

static void
start(struct stand_in *s)
{
	struct session_info info = {.pid = getpid(), .created = time(NULL), .image = "img"};
	char error[SESSION_ERROR_SIZE], packet[256];

	if (session_create(&s->session, NULL, error, sizeof(error)) < 0) {
		fprintf(stderr, "%s\n", error);
		exit(125);
	}
	memcpy(info.id, s->session.id, sizeof(info.id));
	info.start_time = session_process_start_time(getpid());
	info.state = SESSION_RUNNING;
	snprintf(info.label, sizeof(info.label), "a \"label\"");
	session_write(&s->session, &info);
	s->listening = session_listen(&s->session, 8);
	snprintf(packet, sizeof(packet), "ready %s /nowhere\n", s->session.id);
	send(s->lifeline, packet, strlen(packet), MSG_NOSIGNAL);
}

int
main(void)
{
	struct stand_in s = {.session = SESSION_EMPTY, .listening = -1, .lifeline = LIFELINE};
	struct pollfd fds[2];

	signal(SIGPIPE, SIG_IGN);
	if (pread(OPTIONS, s.options, sizeof(s.options) - 1, 0) < 0)
		return 1;
	if (strstr(s.options, "\"silent\"") != NULL)
		return 125;
	if (strstr(s.options, "\"killed\"") != NULL)
		raise(SIGKILL);
	if (strstr(s.options, "\"failed\"") != NULL) {
		send(LIFELINE, "failed no image\n", 16, MSG_NOSIGNAL);
		return 125;
	}
	if (strstr(s.options, "\"other\"") != NULL) {
		send(LIFELINE, "hello\n", 6, MSG_NOSIGNAL);
		return 0;
	}
	start(&s);
	while (!s.ended) {
		fds[0] = (struct pollfd){.fd = s.listening, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = s.lifeline, .events = POLLIN};
		if (poll(fds, 2, -1) < 0)
			break;
		if (fds[0].revents != 0)
			serve_one(&s);
		if (fds[1].revents != 0)
			on_lifeline(&s);
	}
	session_remove(&s.session);
	return 0;
}
