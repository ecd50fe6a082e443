/* SPDX-License-Identifier: Apache-2.0 */
/* What helpers report, as lines of the audit log. */
#ifndef GONDOLIN_SUPERVISOR_RECORDS_H
#define GONDOLIN_SUPERVISOR_RECORDS_H

#include "ipc/vfsd.pb-c.h"
#include "ipc/vmrunner.pb-c.h"
#include "supervisor/audit_log.h"

/* Writes one record of vmrunner.  Returns 0; -EPROTO for a record without a kind; or -errno as
 * audit_log_end does. */
int record_vmrunner(struct audit_log *log, const Gondolin__VmrunnerRecord *r);

/* Writes one operation on files: "file-denied", or "file" where it was only traced. */
int record_vfsd(struct audit_log *log, const Gondolin__VfsdRecord *r);

/* Writes an event of a process: "start", "end" with how it ended ("" = nothing to say). */
int record_process(
    struct audit_log *log, const char *what, const char *process, int pid, const char *how);

/* Writes an event with one text member, or none where name is NULL. */
int record_event(struct audit_log *log, const char *event, const char *name, const char *text);

#endif
