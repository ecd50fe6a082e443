/* SPDX-License-Identifier: Apache-2.0 */
/* Audit lines. */
#include "supervisor/records.h"

#include <errno.h>
#include <string.h>

/* Event names by kind, and which members a kind has beside `exec`. */
enum { HAS_COMMAND = 1, HAS_RESULT = 2, HAS_PATH = 4, HAS_MESSAGE = 8 };

static const struct {
	const char *event;
	unsigned has;
} kinds[] = {
    [GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_START] = {"exec-start", HAS_COMMAND},
    [GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_END] = {"exec-end", HAS_RESULT},
    [GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_REFUSED] = {"exec-refused", HAS_COMMAND | HAS_MESSAGE},
    [GONDOLIN__VMRUNNER_RECORD__KIND__FILE_IN] = {"file-in", HAS_PATH},
    [GONDOLIN__VMRUNNER_RECORD__KIND__FILE_OUT] = {"file-out", HAS_PATH},
    [GONDOLIN__VMRUNNER_RECORD__KIND__ATTACH] = {"attach", 0},
    [GONDOLIN__VMRUNNER_RECORD__KIND__DETACH] = {"detach", 0},
};

static void
put_bytes(struct json_writer *w, const char *name, const ProtobufCBinaryData *bytes)
{
	json_key(w, name);
	json_put_bytes(w, bytes->data, bytes->len);
}

static void
put_command(struct json_writer *w, const Gondolin__VmrunnerRecord *r)
{
	size_t i;

	json_key(w, "argv");
	json_open(w, '[');
	for (i = 0; i < r->n_argv; i++)
		json_put_bytes(w, r->argv[i].data, r->argv[i].len);
	json_close(w, ']');
	if (r->cut)
		json_member_bool(w, "cut", true);
	put_bytes(w, "user", &r->user);
	put_bytes(w, "cwd", &r->cwd);
}

static void
put_result(struct json_writer *w, const Gondolin__VmrunnerRecord *r)
{
	json_member_integer(w, "status", r->status);
	json_member_bool(w, "timed_out", r->timed_out);
	json_member_integer(w, "bytes_in", (int64_t)r->bytes_in);
	json_member_integer(w, "bytes_out", (int64_t)r->bytes_out);
}

int
record_vmrunner(struct audit_log *log, const Gondolin__VmrunnerRecord *r)
{
	struct json_writer *w;

	if (r->kind == GONDOLIN__VMRUNNER_RECORD__KIND__UNSPECIFIED)
		return -EPROTO;
	w = audit_log_begin(log, kinds[r->kind].event);
	json_member_integer(w, "exec", r->exec);
	if ((kinds[r->kind].has & HAS_COMMAND) != 0)
		put_command(w, r);
	if ((kinds[r->kind].has & HAS_RESULT) != 0)
		put_result(w, r);
	if ((kinds[r->kind].has & HAS_PATH) != 0)
		put_bytes(w, "path", &r->path);
	if ((kinds[r->kind].has & HAS_MESSAGE) != 0)
		put_bytes(w, "message", &r->message);
	return audit_log_end(log);
}

int
record_vfsd(struct audit_log *log, const Gondolin__VfsdRecord *r)
{
	struct json_writer *w = audit_log_begin(log, r->denied ? "file-denied" : "file");
	const char *error = strerrorname_np((int)r->error);

	put_bytes(w, "mount", &r->mount);
	put_bytes(w, "operation", &r->operation);
	put_bytes(w, "path", &r->path);
	if (r->second.len > 0)
		put_bytes(w, "second", &r->second);
	json_member_string(w, "result", r->error == 0 ? "ok" : error != NULL ? error : "unknown");
	json_member_integer(w, "uid", r->uid);
	json_member_integer(w, "pid", r->pid);
	if (r->repeated > 0)
		json_member_integer(w, "repeated", r->repeated);
	return audit_log_end(log);
}

int
record_process(
    struct audit_log *log, const char *what, const char *process, int pid, const char *how)
{
	struct json_writer *w = audit_log_begin(log, what);

	json_member_string(w, "process", process);
	json_member_integer(w, "pid", pid);
	if (how[0] != '\0')
		json_member_string(w, "how", how);
	return audit_log_end(log);
}

int
record_event(struct audit_log *log, const char *event, const char *name, const char *text)
{
	struct json_writer *w = audit_log_begin(log, event);

	if (name != NULL)
		json_member_string(w, name, text);
	return audit_log_end(log);
}
