/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the audit log. */
#include "supervisor/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ipc/log.h"
#include "supervisor/audit_log_private.h"

void
audit_log_init(struct audit_log *log)
{
	memset(log, 0, sizeof(*log));
	log->fd = -1;
	memset(log->previous, '0', SHA256_HEX_SIZE - 1);
	json_writer_init(&log->line);
	tzset();
}

/* Takes seq and prev from the file's last line; text ends with the file and holds that line whole.
 */
static int
continue_chain(struct audit_log *log, const char *path, const char *text, size_t n, char *error,
    size_t error_size)
{
	uint8_t digest[SHA256_SIZE];
	struct audit_line line;
	const char *start, *why;

	if (text[n - 1] != '\n')
		return log_fail(error, error_size, -EPROTO,
		    "%s: the last line is torn; check it with --verify-log and use a new file",
		    path);
	start = memrchr(text, '\n', n - 1);
	start = start != NULL ? start + 1 : text;
	why = audit_line_read(&line, start, (size_t)(text + n - 1 - start));
	if (why == NULL && line.seq < 1)
		why = "no seq";
	if (why != NULL)
		return log_fail(error, error_size, -EPROTO,
		    "%s: no audit log to continue (last line: %s); use a new file", path, why);
	log->seq = (uint64_t)line.seq;
	sha256(start, (size_t)(text + n - 1 - start), digest);
	sha256_hex(digest, log->previous);
	return 0;
}

static int
read_end(struct audit_log *log, const char *path, char *error, size_t error_size)
{
	size_t want =
	    log->size < (off_t)AUDIT_LOG_LINE_MAX + 1 ? (size_t)log->size : AUDIT_LOG_LINE_MAX + 1;
	char *text = malloc(want);
	ssize_t n;
	int rc;

	if (text == NULL)
		abort();
	n = pread(log->fd, text, want, log->size - (off_t)want);
	if (n < 0 || (size_t)n != want)
		rc = log_fail(error, error_size, n < 0 ? -errno : -EIO, "%s: cannot be read (%s)",
		    path, strerror(n < 0 ? errno : EIO));
	else
		rc = continue_chain(log, path, text, want, error, error_size);
	free(text);
	return rc;
}

int
audit_log_open(
    struct audit_log *log, const char *path, const char *session, char *error, size_t error_size)
{
	struct stat st;
	int rc;

	audit_log_init(log);
	snprintf(log->session, sizeof(log->session), "%s", session);
	/* NONBLOCK: a FIFO of that name must not hold us up before it is refused. */
	log->fd = open(path,
	    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (log->fd < 0) {
		rc = -errno;
		return log_fail(error, error_size, rc, "audit log %s: %s", path,
		    rc == -ELOOP ? "a symbolic link; name the file itself" : strerror(-rc));
	}
	if (fstat(log->fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = log_fail(error, error_size, -EINVAL, "audit log %s: not a regular file", path);
	else if (flock(log->fd, LOCK_EX | LOCK_NB) < 0)
		rc = log_fail(error, error_size, errno == EWOULDBLOCK ? -EBUSY : -errno,
		    "audit log %s: another sandbox writes to it; give each a file of its own",
		    path);
	/* Its size only now: the other one may just have ended. */
	else if (fstat(log->fd, &st) < 0)
		rc = log_fail(error, error_size, -errno, "audit log %s: %s", path, strerror(errno));
	else {
		log->size = st.st_size;
		rc = st.st_size > 0 ? read_end(log, path, error, error_size) : 0;
	}
	if (rc < 0)
		audit_log_close(log);
	return rc;
}

struct json_writer *
audit_log_begin(struct audit_log *log, const char *event)
{
	struct timespec now;
	char text[64];
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned)(now.tv_nsec / 1000000) % 1000);
	/* The buffer stays from line to line. */
	log->line.length = 0;
	log->line.comma = false;
	json_open(&log->line, '{');
	json_member_string(&log->line, "time", text);
	json_member_integer(&log->line, "seq", (int64_t)log->seq + 1);
	json_member_string(&log->line, "session", log->session);
	json_member_string(&log->line, "event", event);
	return &log->line;
}

/* One write, so that a reader of the file sees whole lines; a part of one is taken back. */
static int
write_line(struct audit_log *log, const char *text, size_t n)
{
	ssize_t done;
	int rc;

	do
		done = write(log->fd, text, n);
	while (done < 0 && errno == EINTR);
	if (done == (ssize_t)n)
		return 0;
	rc = done < 0 ? -errno : -ENOSPC;
	if (done > 0 && ftruncate(log->fd, log->size) < 0)
		rc = -EIO; /* a torn line stays; the next to open the file says so */
	return rc;
}

int
audit_log_end(struct audit_log *log)
{
	uint8_t digest[SHA256_SIZE];
	size_t n;
	int rc;

	if (log->fd < 0)
		return 0;
	json_member_string(&log->line, "prev", log->previous);
	json_close(&log->line, '}');
	n = log->line.length;
	if (n + 1 > AUDIT_LOG_LINE_MAX)
		return -EMSGSIZE;
	/* In the place of the NUL, which the writer always has room for. */
	log->line.text[n] = '\n';
	rc = write_line(log, log->line.text, n + 1);
	if (rc < 0)
		return rc;
	sha256(log->line.text, n, digest);
	sha256_hex(digest, log->previous);
	log->seq++;
	log->size += (off_t)n + 1;
	return 0;
}

void
audit_log_close(struct audit_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	json_writer_clear(&log->line);
}
