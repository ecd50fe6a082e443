/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: JSON lines, each with the SHA-256 of the line before it, so that a missing,
 *changed or reordered line shows (not an end that was cut off whole: the line count says that,
 *where it was noted elsewhere).
 *
 *	{"time":"2026-01-02T03:04:05.678Z","seq":7,"session":"1f0c9a2e","event":"exec-start", ...,
 *	 "prev":"<64 hexadecimal digits>"}
 *
 * prev covers the bytes of the line before without its newline; the first line has 64 zeros.  seq
 * counts from 1 over the whole file, which any number of sessions append to, one at a time.
 */
#ifndef GONDOLIN_SUPERVISOR_AUDIT_LOG_H
#define GONDOLIN_SUPERVISOR_AUDIT_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/json.h"
#include "ipc/sha256.h"

#define AUDIT_LOG_LINE_MAX   65536u /* bytes of a line, its newline included */
#define AUDIT_LOG_ERROR_SIZE 512u

struct audit_log {
	int fd;       /* -1 = closed, or no log is kept: end throws lines away then */
	off_t size;   /* bytes of the file, all of them whole lines */
	uint64_t seq; /* of the last line */
	char session[33];
	char previous[SHA256_HEX_SIZE]; /* digest of the last line */
	struct json_writer line;        /* the line being written */
};

/*
 * A log that is not kept: begin returns a writer all the same, end throws the line away.  Call it
 * before the jail: it reads the time zone's file, which gmtime_r(3) would do otherwise.
 */
void audit_log_init(struct audit_log *log);

/*
 * Opens (or makes, mode 0600) the file and continues its chain.  Refused: a symbolic link, anything
 * but a regular file, a file that another supervisor writes (-EBUSY), a last line that is torn or
 * not ours (-EPROTO).  Returns 0 or -errno with one line in error.  session is copied.
 */
int audit_log_open(
    struct audit_log *log, const char *path, const char *session, char *error, size_t error_size);

/*
 * Starts a line.  The caller adds members with json_member_*() and ends it with audit_log_end();
 * one line at a time.  The names time, seq, session, event and prev are taken.
 */
struct json_writer *audit_log_begin(struct audit_log *log, const char *event);

/*
 * Ends the line and writes it with one write(2).  Returns 0; or -errno where the record was not
 * kept (-EMSGSIZE: over AUDIT_LOG_LINE_MAX), and then the sandbox must end: what is not recorded
 * must not happen.  A line that was written in part is cut off again.
 */
int audit_log_end(struct audit_log *log);

/* Closes; safe twice. */
void audit_log_close(struct audit_log *log);

struct audit_log_summary {
	uint64_t lines;             /* that are in order, from the first */
	uint64_t sessions;          /* that wrote them */
	char last[SHA256_HEX_SIZE]; /* digest of the last of them: note it to detect a later cut */
};

/*
 * Checks a whole log: every line's JSON, members, seq and chain.  Returns 0 and fills *summary;
 * -EPROTO with the first bad line named in error ("turn.jsonl:17: ..."), summary covering the lines
 * before it; or another -errno where the file cannot be read.
 */
int audit_log_verify(
    const char *path, struct audit_log_summary *summary, char *error, size_t error_size);

#endif
