/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, logging and reaping the processes of a sandbox. */
#include "supervisor/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "egress/profile.h"
#include "netproxy/profile.h"
#include "vfsd/profile.h"
#include "vmrunner/profile.h"
#include "vmrunner/qemu/qemu.h"

_Static_assert(QEMU_FDS_MAX <= JAIL_SPAWN_FDS_MAX, "QEMU can have a device for each mount");

static bool
has_mounts(const struct config *c)
{
	return c->n_mounts > 0;
}

static bool
has_network(const struct config *c)
{
	return c->network != NULL;
}

const struct process_row process_rows[PROCESSES] = {
    [PROCESS_VMRUNNER] = {"vmrunner", &vmrunner_profile, "gondolin-vmrunner", NULL},
    [PROCESS_QEMU] = {"qemu", &qemu_profile, NULL, NULL},
    [PROCESS_VFSD] = {"vfsd", &vfsd_profile, "gondolin-vfsd", has_mounts},
    [PROCESS_NETPROXY] = {"netproxy", &netproxy_profile, "gondolin-netproxy", has_network},
    [PROCESS_EGRESS] = {"egress", &egress_profile, "gondolin-egress", has_network},
};

/* A helper may say this many lines at once, and this many a second for long. */
#define LOG_BURST      50u
#define LOG_PER_SECOND 10u

bool
process_is_asked(enum process_id id, const struct config *c)
{
	return process_rows[id].asked == NULL || process_rows[id].asked(c);
}

void
process_init(struct process *p, enum process_id id)
{
	memset(p, 0, sizeof(*p));
	p->id = id;
	p->pidfd = p->log_fd = p->notify_fd = -1;
}

static bool
may_log(struct process *p)
{
	ev_tstamp now = ev_now(p->loop);
	unsigned due = (unsigned)((now - p->refilled) * LOG_PER_SECOND);

	if (due > 0) {
		p->tokens = p->tokens + due > LOG_BURST ? LOG_BURST : p->tokens + due;
		p->refilled = now;
	}
	if (p->tokens == 0) {
		p->dropped++;
		return false;
	}
	p->tokens--;
	if (p->dropped > 0)
		log_line(
		    "gondolin: %s: %u more lines dropped", process_rows[p->id].name, p->dropped);
	p->dropped = 0;
	return true;
}

/* QEMU's own lines are kept for the reason of a failure; a helper's are for people. */
static void
whole_line(struct process *p)
{
	static const char report[] = "seccomp: ";

	p->line[p->line_length] = '\0';
	p->line_length = 0;
	if (p->line[0] == '\0')
		return;
	memcpy(p->last_line, p->line, sizeof(p->line));
	if (strncmp(p->line, report, strlen(report)) == 0)
		memcpy(p->violation, p->line + strlen(report), sizeof(p->line) - strlen(report));
	else if (process_rows[p->id].program != NULL && may_log(p))
		log_line("gondolin: %s: %s", process_rows[p->id].name, p->line);
}

/* Returns false at the end of the log. */
static bool
read_log(struct process *p)
{
	char buf[4096];
	ssize_t i, n;

	n = read(p->log_fd, buf, sizeof(buf));
	if (n <= 0)
		return n < 0 && errno == EINTR;
	for (i = 0; i < n; i++) {
		if (buf[i] == '\n')
			whole_line(p);
		else if (p->line_length + 1 < sizeof(p->line))
			p->line[p->line_length++] = buf[i];
	}
	return true;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Reaps; the log's other end is closed by now, so what it still holds is all there will be. */
static void
reap(struct process *p)
{
	siginfo_t info = {0};

	while (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	p->status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
	while (read_log(p))
		;
	if (p->line_length > 0)
		whole_line(p);
	ev_io_stop(p->loop, &p->exited);
	ev_io_stop(p->loop, &p->logged);
	ev_io_stop(p->loop, &p->notified);
	close_fd(&p->pidfd);
	close_fd(&p->log_fd);
	close_fd(&p->notify_fd);
	p->pid = 0;
}

static void
on_exited(struct ev_loop *loop, ev_io *w, int events)
{
	struct process *p = w->data;

	(void)loop;
	(void)events;
	reap(p);
	p->ended(p->ctx, p);
}

static void
on_logged(struct ev_loop *loop, ev_io *w, int events)
{
	struct process *p = w->data;

	(void)events;
	if (!read_log(p) && errno != EAGAIN)
		ev_io_stop(loop, w);
}

static void
on_notified(struct ev_loop *loop, ev_io *w, int events)
{
	struct process *p = w->data;
	int rc;

	(void)events;
	rc = jail_notified(p->notify_fd, p->pidfd, p->violation, sizeof(p->violation));
	if (rc != 0)
		ev_io_stop(loop, w);
}

static void
watch(struct process *p, ev_io *w, void (*on)(struct ev_loop *, ev_io *, int), int fd)
{
	ev_io_init(w, on, fd, EV_READ);
	w->data = p;
	if (fd >= 0)
		ev_io_start(p->loop, w);
}

int
process_start(struct process *p, struct ev_loop *loop, const struct process_start *how, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size)
{
	const struct process_row *row = &process_rows[p->id];
	int log_fds[2], fds[JAIL_SPAWN_FDS_MAX] = {-1, -1};
	struct jail_spawn spawn = {
	    .profile = how->profile != NULL ? how->profile : row->profile,
	    .identity = how->identity,
	    .program = how->program,
	    .argv = how->argv,
	    .fds = fds,
	    .n_fds = 3 + how->n_fds,
	    .cgroup_fd = how->cgroup_fd,
	    .notify_fd = row->program == NULL ? &p->notify_fd : NULL,
	};
	pid_t pid;

	assert(how->n_fds <= JAIL_SPAWN_FDS_MAX - 3);
	process_init(p, p->id);
	if (pipe2(log_fds, O_CLOEXEC) < 0) {
		snprintf(error, error_size, "%s: pipe: %s", row->name, strerror(errno));
		return -errno;
	}
	fds[2] = log_fds[1];
	memcpy(fds + 3, how->fds, how->n_fds * sizeof(fds[0]));
	pid = jail_spawn(&spawn, &p->pidfd, error, error_size);
	close(log_fds[1]);
	if (pid < 0) {
		close(log_fds[0]);
		return (int)pid;
	}
	p->pid = pid;
	p->log_fd = log_fds[0];
	p->uid = how->identity.uid;
	p->gid = how->identity.gid;
	p->loop = loop;
	p->tokens = LOG_BURST;
	p->refilled = ev_now(loop);
	p->ctx = ctx;
	p->ended = ended;
	(void)fcntl(p->log_fd, F_SETFL, O_NONBLOCK);
	watch(p, &p->exited, on_exited, p->pidfd);
	watch(p, &p->logged, on_logged, p->log_fd);
	watch(p, &p->notified, on_notified, p->notify_fd);
	return 0;
}

void
process_kill(struct process *p)
{
	if (p->pid > 0)
		(void)pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
}

void
process_end_now(struct process *p)
{
	if (p->pid <= 0)
		return;
	process_kill(p);
	reap(p);
}

void
process_describe_end(const struct process *p, char *out, size_t size)
{
	if (p->violation[0] != '\0')
		snprintf(out, size, "broke its seccomp filter: %s", p->violation);
	else if (WIFSIGNALED(p->status))
		snprintf(out, size, "was killed by signal %d (%s)%s%s", WTERMSIG(p->status),
		    strsignal(WTERMSIG(p->status)), p->last_line[0] != '\0' ? "; it said: " : "",
		    p->last_line);
	else
		snprintf(out, size, "ended with code %d%s%s", WEXITSTATUS(p->status),
		    p->last_line[0] != '\0' ? "; it said: " : "", p->last_line);
}
