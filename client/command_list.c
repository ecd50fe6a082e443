/* SPDX-License-Identifier: Apache-2.0 */
/* list and stop. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/command.h"
#include "ipc/json.h"
#include "ipc/log.h"

#define CELL 80 /* bytes of an escaped cell */

struct table {
	time_t now;
	size_t rows;
	struct json_writer json;
};

/* "12s", "5m", "3h", "2d": the largest unit that is whole. */
static void
format_age(char *out, size_t size, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	if (seconds < 0)
		seconds = 0; /* the clock was set back */
	while (i < 3 && seconds < units[i].seconds)
		i++;
	snprintf(out, size, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

static int
print_row(void *ctx, const struct gondolin_entry *e)
{
	struct table *t = ctx;
	char age[32], image[CELL], label[CELL];

	if (t->rows++ == 0)
		printf("%-16s %8s %5s  %-9s %-20s %s\n", "ID", "PID", "AGE", "STATE", "IMAGE",
		    "LABEL");
	format_age(age, sizeof(age), (int64_t)t->now - e->started);
	log_escape(image, sizeof(image), e->image, strlen(e->image));
	log_escape(label, sizeof(label), e->label, strlen(e->label));
	printf("%-16s %8d %5s  %-9s %-20s %s\n", e->id, (int)e->pid, age,
	    gondolin_state_name(e->state), image, label);
	return 0;
}

static void
put_network(struct json_writer *w, const struct gondolin_network *n)
{
	json_key(w, "network");
	json_open(w, '{');
	json_member_integer(w, "connections", (int64_t)n->connections);
	json_member_integer(w, "active", (int64_t)n->active);
	json_member_integer(w, "requests", (int64_t)n->requests);
	json_member_integer(w, "denied", (int64_t)n->denied);
	json_member_integer(w, "failed", (int64_t)n->failed);
	json_member_integer(w, "bytes_in", (int64_t)n->bytes_in);
	json_member_integer(w, "bytes_out", (int64_t)n->bytes_out);
	json_close(w, '}');
}

static int
print_json(void *ctx, const struct gondolin_entry *e)
{
	struct table *t = ctx;
	struct json_writer *w = &t->json;

	json_open(w, '{');
	json_member_string(w, "id", e->id);
	json_member_integer(w, "pid", e->pid);
	json_member_integer(w, "started", e->started);
	json_member_integer(w, "age", (int64_t)t->now - e->started);
	json_member_string(w, "state", gondolin_state_name(e->state));
	json_member_string(w, "image", e->image);
	json_member_string(w, "label", e->label);
	put_network(w, &e->network);
	json_close(w, '}');
	return 0;
}

int
command_list(const struct command *c, char **words)
{
	struct table t = {.now = time(NULL)};
	struct gondolin_error error;
	struct options o;
	bool json;
	int code;

	if (command_options(c, &o, words, &code))
		return code;
	json = options_has(&o, OPT_JSON);
	code = o.n_rest > 0 ? command_misused(c, "takes no arguments but options") : 0;
	options_clear(&o);
	if (code != 0)
		return code;
	json_writer_init(&t.json);
	json_open(&t.json, '[');
	if (gondolin_list(json ? print_json : print_row, &t, &error) < 0)
		code = command_failed(&error, EXIT_FAILED);
	json_close(&t.json, ']');
	if (json && code == 0)
		printf("%s\n", t.json.text);
	json_writer_clear(&t.json);
	return code;
}

int
command_stop(const struct command *c, char **words)
{
	struct gondolin_session *session;
	struct gondolin_error error;
	struct options o;
	size_t i;
	int code;

	if (command_options(c, &o, words, &code))
		return code;
	if (o.n_rest == 0)
		return command_misused(c, "a session id is missing (gondolin list shows them)");
	code = 0;
	for (i = 0; i < o.n_rest; i++) {
		if (gondolin_session_open(o.rest[i], &session, &error) < 0 ||
		    gondolin_session_stop(session, &error) < 0)
			code = command_failed(&error, EXIT_FAILED);
		gondolin_session_close(session);
	}
	return code;
}
