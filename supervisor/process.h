/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a sandbox: one table (process.c), and what the supervisor keeps of each one that
 * runs: its pidfd, its log pipe, and for a program that is not ours its seccomp notifier.
 */
#ifndef GONDOLIN_SUPERVISOR_PROCESS_H
#define GONDOLIN_SUPERVISOR_PROCESS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ipc/log.h"
#include "jail/jail.h"
#include "supervisor/config.h"

enum process_id {
	PROCESS_VMRUNNER,
	PROCESS_QEMU,
	PROCESS_VFSD,
	PROCESS_NETPROXY,
	PROCESS_EGRESS,
	PROCESSES,
	PROCESS_SUPERVISOR = PROCESSES, /* an end of edges; never a child */
};

struct process_row {
	const char *name;
	const struct jail_profile *profile;
	const char *program; /* file beside the supervisor's own; NULL = QEMU, found in PATH */
	bool (*asked)(const struct config *c); /* NULL = by every configuration */
};

extern const struct process_row process_rows[PROCESSES];

/* Whether a sandbox of this configuration has this process. */
bool process_is_asked(enum process_id id, const struct config *c);

/* How to start one. */
struct process_start {
	const char *program; /* path */
	char *const *argv;
	struct jail_identity identity;
	const int *fds; /* its descriptors 3 and up */
	size_t n_fds;   /* at most JAIL_SPAWN_FDS_MAX - 3 */
	const struct jail_profile
	    *profile;  /* NULL: the row's; else that with binds and limits added */
	int cgroup_fd; /* -1 = none */
};

struct process {
	enum process_id id;
	pid_t pid; /* 0 = does not run */
	int pidfd, log_fd, notify_fd;
	uid_t uid; /* outside */
	gid_t gid;
	ev_io exited, logged, notified;
	struct ev_loop *loop;
	/* Of the log: the line that is not whole yet, and the last whole one. */
	char line[LOG_LINE_MAX], last_line[LOG_LINE_MAX];
	size_t line_length;
	unsigned tokens, dropped; /* rate limit */
	ev_tstamp refilled;
	char violation[LOG_LINE_MAX]; /* the seccomp report, where there was one */
	int status;                   /* as waitid(2) gives it, once it ended */
	void *ctx;
	void (*ended)(void *ctx, struct process *p);
};

void process_init(struct process *p, enum process_id id);

/*
 * Starts it with descriptor 2 as its log and 0 and 1 on /dev/null.  `ended` is called once, when it
 * has ended and its log has been read to the end.  Returns 0, or -errno with a line in error.
 */
int process_start(struct process *p, struct ev_loop *loop, const struct process_start *how,
    void *ctx, void (*ended)(void *ctx, struct process *p), char *error, size_t error_size);

/* SIGKILL; `ended` follows.  Nothing where it does not run. */
void process_kill(struct process *p);

/* Kills it, waits for its end and forgets it; `ended` is not called.  Nothing where it does not
 * run. */
void process_end_now(struct process *p);

/* How it ended, for people: "was killed by signal 9 (Killed)", "broke its seccomp filter:
 * openat(...)". */
void process_describe_end(const struct process *p, char *out, size_t size);

#endif
