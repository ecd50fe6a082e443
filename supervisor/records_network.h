/* SPDX-License-Identifier: Apache-2.0 */
/* What netproxy and egress report, as lines of the audit log. */
#ifndef GONDOLIN_SUPERVISOR_RECORDS_NETWORK_H
#define GONDOLIN_SUPERVISOR_RECORDS_NETWORK_H

#include <stdbool.h>

#include "ipc/egress.pb-c.h"
#include "ipc/netproxy.pb-c.h"
#include "supervisor/audit_log.h"

/*
 * Write one record: "dns", "connect-denied", "bad-request" of netproxy; "request",
 * "request-denied", "request-failed", "lookup", "connect", "budget-denied" of egress.  Return as
 * record_vmrunner does.
 */
int record_netproxy(struct audit_log *log, const Gondolin__NetproxyRecord *r);
int record_egress(struct audit_log *log, const Gondolin__EgressRecord *r);

/* Whether netproxy says that it refused the guest something. */
bool record_is_denial(const Gondolin__NetproxyRecord *r);

#endif
