/* SPDX-License-Identifier: Apache-2.0 */
/* Audit lines of the network. */
#include "supervisor/records_network.h"

#include <errno.h>
#include <string.h>

#define RCODE_REFUSED 5u /* RFC 1035 4.1.1 */

static void
put_bytes(struct json_writer *w, const char *name, const ProtobufCBinaryData *bytes)
{
	if (bytes->len == 0)
		return;
	json_key(w, name);
	json_put_bytes(w, bytes->data, bytes->len);
}

static void
put_number(struct json_writer *w, const char *name, uint64_t value)
{
	if (value != 0)
		json_member_integer(w, name, (int64_t)value);
}

static void
put_names(struct json_writer *w, const char *name, const ProtobufCBinaryData *names, size_t n)
{
	size_t i;

	if (n == 0)
		return;
	json_key(w, name);
	json_open(w, '[');
	for (i = 0; i < n; i++)
		json_put_bytes(w, names[i].data, names[i].len);
	json_close(w, ']');
}

int
record_netproxy(struct audit_log *log, const Gondolin__NetproxyRecord *r)
{
	static const char *const events[] = {
	    [GONDOLIN__NETPROXY_RECORD__KIND__DNS] = "dns",
	    [GONDOLIN__NETPROXY_RECORD__KIND__REFUSED] = "connect-denied",
	    [GONDOLIN__NETPROXY_RECORD__KIND__BAD_REQUEST] = "bad-request",
	    [GONDOLIN__NETPROXY_RECORD__KIND__MORE] = "network-more",
	};
	const bool dns = r->kind == GONDOLIN__NETPROXY_RECORD__KIND__DNS;
	struct json_writer *w;

	if (r->kind == GONDOLIN__NETPROXY_RECORD__KIND__UNSPECIFIED)
		return -EPROTO;
	w = audit_log_begin(log, events[r->kind]);
	put_bytes(w, "name", &r->name);
	put_bytes(w, "address", &r->address);
	put_number(w, "port", r->port);
	if (dns) {
		json_member_integer(w, "type", r->type);
		json_member_integer(w, "rcode", r->status);
	} else {
		put_number(w, "status", r->status);
	}
	put_bytes(w, "rule", &r->rule);
	put_number(w, "unrecorded", r->repeated);
	return audit_log_end(log);
}

bool
record_is_denial(const Gondolin__NetproxyRecord *r)
{
	return r->kind != GONDOLIN__NETPROXY_RECORD__KIND__DNS || r->status == RCODE_REFUSED;
}

int
record_egress(struct audit_log *log, const Gondolin__EgressRecord *r)
{
	static const char *const events[] = {
	    [GONDOLIN__EGRESS_RECORD__KIND__REQUEST] = "request",
	    [GONDOLIN__EGRESS_RECORD__KIND__DENIED] = "request-denied",
	    [GONDOLIN__EGRESS_RECORD__KIND__FAILED] = "request-failed",
	    [GONDOLIN__EGRESS_RECORD__KIND__LOOKUP] = "lookup",
	    [GONDOLIN__EGRESS_RECORD__KIND__CONNECT] = "connect",
	    [GONDOLIN__EGRESS_RECORD__KIND__BUDGET] = "budget-denied",
	};
	struct json_writer *w;

	if (r->kind == GONDOLIN__EGRESS_RECORD__KIND__UNSPECIFIED)
		return -EPROTO;
	w = audit_log_begin(log, events[r->kind]);
	put_bytes(w, "method", &r->method);
	put_bytes(w, "scheme", &r->scheme);
	put_bytes(w, "host", &r->host);
	put_number(w, "port", r->port);
	put_bytes(w, "path", &r->path);
	if (r->cut)
		json_member_bool(w, "cut", true);
	put_number(w, "status", r->status);
	put_bytes(w, "address", &r->address);
	put_bytes(w, "rule", &r->rule);
	put_names(w, "secrets", r->secrets, r->n_secrets);
	put_names(w, "scrubbed", r->scrubbed, r->n_scrubbed);
	put_number(w, "bytes_in", r->bytes_in);
	put_number(w, "bytes_out", r->bytes_out);
	put_number(w, "duration_ms", r->duration_ms);
	return audit_log_end(log);
}
