/* SPDX-License-Identifier: Apache-2.0 */
/* One line of the audit log, read back: what appending and verifying share. */
#ifndef GONDOLIN_SUPERVISOR_AUDIT_LOG_PRIVATE_H
#define GONDOLIN_SUPERVISOR_AUDIT_LOG_PRIVATE_H

#include "supervisor/audit_log.h"

struct audit_line {
	int64_t seq;
	char session[33];
	char previous[SHA256_HEX_SIZE];
};

/*
 * Reads a line (no newline) and checks its members.  Returns NULL, or what is wrong with it.
 */
const char *audit_line_read(struct audit_line *line, const char *text, size_t length);

#endif
