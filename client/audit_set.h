/* SPDX-License-Identifier: Apache-2.0 */
/* The set of a sandbox's processes: what was asked for against what runs. */
#ifndef GONDOLIN_CLIENT_AUDIT_SET_H
#define GONDOLIN_CLIENT_AUDIT_SET_H

#include "ipc/session.h"

/*
 * A sandbox has one process of each name that its configuration asks for, as the supervisor read it
 * when it started, and no other.  Each process of the session's file is a child of its supervisor,
 * and each child of the supervisor is one of them, but for one relay of the foreground command (the
 * `gondolin` that lies beside the supervisor).  Calls `differs` for each difference with one line;
 * ctx is passed through.
 */
void
audit_set(const struct session_info *info, void (*differs)(void *ctx, const char *line), void *ctx);

#endif
