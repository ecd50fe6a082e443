/* SPDX-License-Identifier: Apache-2.0 */
/* The declared policy: processes, their profiles, edges, and how limits are held. */
#include "supervisor/declared.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/json.h"
#include "ipc/standard.h"
#include "supervisor/edges.h"
#include "supervisor/guard.h"
#include "supervisor/identity.h"
#include "supervisor/profiles.h"

static const char *
end_name(enum process_id id)
{
	return id == PROCESS_SUPERVISOR ? "supervisor" : process_rows[id].name;
}

/* The supervisor is there, too. */
static bool
is_declared(enum process_id id, const struct config *c)
{
	return id == PROCESS_SUPERVISOR || process_is_asked(id, c);
}

/* A profile that no row has is the guard's. */
static bool
profile_is_declared(const struct jail_profile *p, const struct config *c)
{
	enum process_id id;

	for (id = 0; id < PROCESSES; id++)
		if (process_rows[id].profile == p)
			return process_is_asked(id, c);
	return true;
}

static bool
edge_is_declared(enum edge_id id, const struct config *c)
{
	if (id == EDGE_DEVICE && config_mount_devices(c) == 0)
		return false;
	return is_declared(edge_rows[id].a, c) && is_declared(edge_rows[id].b, c);
}

static void
declare(struct session_info *info, const char *name)
{
	snprintf(info->declared[info->n_declared++], SESSION_NAME_SIZE, "%s", name);
}

void
declared_processes(const struct config *c, struct session_info *info)
{
	enum process_id id;

	info->n_declared = 0;
	declare(info, guard_profile.name);
	for (id = 0; id < PROCESSES; id++)
		if (process_is_asked(id, c))
			declare(info, process_rows[id].name);
}

/* The ids that a process would get: the first block's, where root starts it. */
static struct jail_identity
declared_identity(const struct config *c, const struct jail_profile *p)
{
	const struct identity id = {.root_started = geteuid() == 0, .first = c->uids.first};
	enum process_id i;

	for (i = 0; i < PROCESSES; i++)
		if (process_rows[i].profile == p)
			return identity_of(&id, i);
	return (struct jail_identity){.uid = geteuid(), .gid = getegid()};
}

/* "memory: 1610612736 bytes, by cgroup v2 or RLIMIT_DATA of qemu". */
static void
print_limits(const struct config *c)
{
	if (c->limits.line == 0)
		return;
	printf("limits of all processes together%s\n", c->limits.required ? " (required)" : "");
	if (c->limits.memory != 0)
		printf("  memory %llu bytes: cgroup v2 where one is delegated, else RLIMIT_DATA of "
		       "qemu\n",
		    (unsigned long long)c->limits.memory);
	if (c->limits.cpu > 0)
		printf(
		    "  cpu %g: cgroup v2 where one is delegated, else not held\n", c->limits.cpu);
	if (c->limits.pids != 0)
		printf(
		    "  pids %u: cgroup v2 where one is delegated, else not held\n", c->limits.pids);
	putchar('\n');
}

static void
print_text(const struct config *c)
{
	struct jail_identity id;
	enum edge_id e;
	size_t i;

	for (i = 0; i < n_profiles; i++) {
		if (!profile_is_declared(profiles[i], c))
			continue;
		id = declared_identity(c, profiles[i]);
		jail_declare(profiles[i], &id, stdout);
		putchar('\n');
	}
	print_limits(c);
	puts("edges");
	for (e = 0; e < EDGES; e++)
		if (edge_is_declared(e, c))
			printf("  %-10s %s - %s: %s\n", edge_rows[e].name, end_name(edge_rows[e].a),
			    end_name(edge_rows[e].b), edge_rows[e].messages);
	puts("  clients    gondolin - vmrunner: ipc/control.proto, on the session's control.sock");
}

static void
put_edges(struct json_writer *w, const struct config *c)
{
	enum edge_id i;

	json_key(w, "edges");
	json_open(w, '[');
	for (i = 0; i < EDGES; i++) {
		if (!edge_is_declared(i, c))
			continue;
		json_open(w, '{');
		json_member_string(w, "name", edge_rows[i].name);
		json_member_string(w, "a", end_name(edge_rows[i].a));
		json_member_string(w, "b", end_name(edge_rows[i].b));
		json_member_string(w, "messages", edge_rows[i].messages);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void
put_limits(struct json_writer *w, const struct config_limits *l)
{
	json_key(w, "limits");
	json_open(w, '{');
	json_member_integer(w, "memory", (int64_t)l->memory);
	json_member_integer(w, "cpu_percent", (int64_t)(l->cpu * 100));
	json_member_integer(w, "pids", l->pids);
	json_member_bool(w, "required", l->required);
	json_close(w, '}');
}

static void
print_json(const struct config *c)
{
	struct json_writer w;
	struct jail_identity id;
	size_t i;

	json_writer_init(&w);
	json_open(&w, '{');
	json_key(&w, "processes");
	json_open(&w, '[');
	for (i = 0; i < n_profiles; i++) {
		if (!profile_is_declared(profiles[i], c))
			continue;
		id = declared_identity(c, profiles[i]);
		jail_declare_json(profiles[i], &id, &w);
	}
	json_close(&w, ']');
	put_edges(&w, c);
	put_limits(&w, &c->limits);
	json_close(&w, '}');
	puts(w.text);
	json_writer_clear(&w);
}

int
declared_print(const struct config *c, bool json)
{
	if (json)
		print_json(c);
	else
		print_text(c);
	return standard_end();
}
