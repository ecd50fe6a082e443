/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gondolin-audit - `gondolin audit`: the walls of a live sandbox against the declared ones, or an
 * audit log against its own chain.
 *
 * Reads:    /proc of the sandbox's processes, of which a hostile one can name its own descriptors
 *           and maps; the user's session file and log.
 * Holds:    the invoking user's rights.  It changes nothing.
 * If taken: the user is, by what a process writes into /proc of itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/audit_set.h"
#include "client/options.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "ipc/session.h"
#include "ipc/standard.h"
#include "jail/jail.h"
#include "supervisor/audit_log.h"
#include "supervisor/profiles.h"

enum { HOLDS = 0, DIFFERS = 1, UNKNOWN = 2 };

struct audit_run {
	bool json;
	struct json_writer out;
	const struct session_info *info;
	unsigned differences;
};

static void
on_difference(void *ctx, const char *line)
{
	struct audit_run *run = ctx;
	char shown[1024];

	run->differences++;
	if (run->json)
		json_put_string(&run->out, line);
	else
		printf("  %s\n", log_clean(shown, sizeof(shown), line));
}

static void __attribute__((format(printf, 2, 3)))
differ(struct audit_run *run, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	on_difference(run, line);
}

static void
audit_process(struct audit_run *run, const struct session_process *p)
{
	struct jail_expectation e = {
	    .profile = profile_find(p->name),
	    .identity = {run->info->root_started, p->uid, p->gid},
	    .pid = p->pid,
	};
	int rc;

	if (e.profile == NULL) {
		differ(run, "%s: this version declares no such process", p->name);
		return;
	}
	if (session_process_start_time(p->pid) != p->start_time) {
		differ(run, "%s: process %d is gone", p->name, (int)p->pid);
		return;
	}
	rc = jail_audit(&e, on_difference, run);
	if (rc < 0)
		differ(
		    run, "%s: process %d cannot be read: %s", p->name, (int)p->pid, strerror(-rc));
}

static void
report_process(struct audit_run *run, const struct session_process *p)
{
	unsigned before = run->differences;
	char name[4 * SESSION_NAME_SIZE];

	if (run->json) {
		json_open(&run->out, '{');
		json_member_string(&run->out, "name", p->name);
		json_member_integer(&run->out, "pid", p->pid);
		json_key(&run->out, "differences");
		json_open(&run->out, '[');
		audit_process(run, p);
		json_close(&run->out, ']');
		json_member_bool(&run->out, "holds", run->differences == before);
		json_close(&run->out, '}');
		return;
	}
	printf("%s (pid %d):\n", log_clean(name, sizeof(name), p->name), (int)p->pid);
	audit_process(run, p);
	if (run->differences == before)
		printf("  every declared wall stands\n");
}

/* What differs in the set of processes as a whole. */
static void
report_set(struct audit_run *run)
{
	unsigned before = run->differences;

	if (!run->json)
		printf("processes:\n");
	json_key(&run->out, "differences");
	json_open(&run->out, '[');
	audit_set(run->info, on_difference, run);
	json_close(&run->out, ']');
	if (!run->json && run->differences == before)
		printf("  just those that are declared\n");
}

static int
audit_session(const struct session_info *info, bool json)
{
	struct audit_run run = {.json = json, .info = info};
	size_t i;

	json_writer_init(&run.out);
	json_open(&run.out, '{');
	json_member_string(&run.out, "id", info->id);
	json_key(&run.out, "processes");
	json_open(&run.out, '[');
	for (i = 0; i < info->n_processes; i++)
		report_process(&run, &info->processes[i]);
	json_close(&run.out, ']');
	report_set(&run);
	json_member_bool(&run.out, "holds", run.differences == 0);
	json_close(&run.out, '}');
	if (json)
		printf("%s\n", run.out.text);
	else if (run.differences > 0)
		printf("%s: %u differences\n", info->id, run.differences);
	json_writer_clear(&run.out);
	return run.differences == 0 ? HOLDS : DIFFERS;
}

static int
audit_id(const char *id, bool json)
{
	char error[SESSION_ERROR_SIZE] = "";
	struct session session = SESSION_EMPTY;
	static struct session_info info; /* large, and there is one */
	int rc;

	rc = session_find(&session, id, error, sizeof(error));
	if (rc < 0) {
		log_line("gondolin: %s", error);
		return UNKNOWN;
	}
	rc = session_read(&session, &info);
	session_close(&session);
	if (rc < 0) {
		log_line("gondolin: the session file of %s cannot be read: %s", id, strerror(-rc));
		return UNKNOWN;
	}
	return audit_session(&info, json);
}

static int
verify_log(const char *path, bool json)
{
	char error[AUDIT_LOG_ERROR_SIZE] = "";
	struct audit_log_summary summary = {0};
	struct json_writer w;
	int rc = audit_log_verify(path, &summary, error, sizeof(error));

	if (json) {
		json_writer_init(&w);
		json_open(&w, '{');
		json_member_bool(&w, "holds", rc == 0);
		json_member_integer(&w, "lines", (int64_t)summary.lines);
		json_member_integer(&w, "sessions", (int64_t)summary.sessions);
		json_member_string(&w, "last", summary.last);
		json_close(&w, '}');
		printf("%s\n", w.text);
		json_writer_clear(&w);
	} else if (rc == 0) {
		printf("%s: %" PRIu64 " lines of %" PRIu64 " sessions in order; the last is %s\n",
		    path, summary.lines, summary.sessions, summary.last);
	}
	if (rc < 0)
		log_line("gondolin: %s", error);
	if (rc == 0)
		return HOLDS;
	return rc == -EPROTO ? DIFFERS : UNKNOWN;
}

int
main(int argc, char **argv)
{
	const char *log;
	struct options o;
	char **words = argv + (argc > 0 ? 1 : 0);
	const char *id = NULL;
	int code = UNKNOWN;

	if (words[0] != NULL && words[0][0] != '-')
		id = *words++;
	if (options_parse(&o, FOR_AUDIT, words) < 0) {
		log_line("gondolin audit: %s", o.error);
		goto out;
	}
	if (options_has(&o, OPT_HELP)) {
		printf("usage: gondolin audit ID [--json] | --verify-log FILE\n\n");
		options_help(stdout, FOR_AUDIT);
		code = HOLDS;
		goto out;
	}
	log = options_last(&o, OPT_VERIFY_LOG);
	if (id == NULL && o.n_rest > 0) {
		id = *o.rest++;
		o.n_rest--;
	}
	if ((id == NULL) == (log == NULL) || o.n_rest > 0)
		log_line("gondolin audit: takes a session id (gondolin list shows them), or "
			 "--verify-log FILE");
	else
		code = id != NULL ? audit_id(id, options_has(&o, OPT_JSON))
				  : verify_log(log, options_has(&o, OPT_JSON));
out:
	if (standard_end() < 0 && code == HOLDS)
		code = UNKNOWN;
	options_clear(&o);
	return code;
}
