/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the audit tell each other. */
#ifndef GONDOLIN_JAIL_AUDIT_H
#define GONDOLIN_JAIL_AUDIT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "jail/internal.h"

struct audit {
	const struct jail_expectation *e;
	void (*differs)(void *ctx, const char *line);
	void *ctx;
	int proc_fd;    /* /proc/PID */
	int count;      /* of differences */
	bool ruleset;   /* a Landlock ruleset was among the descriptors */
	dev_t memory;   /* the device of what memfd_create(2) makes */
	char *status;   /* of the thread that is looked at, NUL-terminated */
	const char *id; /* its directory's name */
};

/* Reports a difference. */
void audit_differs(struct audit *a, unsigned wall, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a file below /proc/PID whole.  Returns text to free, or NULL with errno set. */
char *audit_read(const struct audit *a, const char *name);

/*
 * The checks; each returns 0 (differences are reported) or -errno where /proc cannot be read.
 * Files: the root's mounts, its content and the working directory; the open descriptors.
 */
int audit_root(struct audit *a);
int audit_fds(struct audit *a);

/* What /proc says of one descriptor. */
struct audit_fd {
	char link[PATH_MAX]; /* a guest may have chosen the name of a file */
	struct stat st;
	bool path; /* O_PATH */
};

/* The kind of a descriptor; JAIL_FD_KINDS for one without a kind. */
enum jail_fd_kind audit_fd_kind(const struct audit *a, const struct audit_fd *fd);

/*
 * A resource's values from the text of /proc/PID/limits.  Returns 0, or -EPROTO where it has none.
 */
int audit_parse_limit(const char *text, int resource, rlim_t *soft, rlim_t *hard);

/*
 * One line of mountinfo (proc(5)): returns 0 where the mount may be there and is read-only and
 * nosuid, -EPERM where not, -EPROTO for a line that is none; *point points into line, which is cut.
 */
int audit_mount(char *line, const struct jail_bind *binds, const char **point);

#endif
