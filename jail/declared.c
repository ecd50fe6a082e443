/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as people and machines read it: what the process may do, and why. */
#include <stdio.h>
#include <string.h>

#include "ipc/json.h"
#include "jail/internal.h"

void
jail_conditions_format(const struct jail_syscall *row, char *out, size_t size)
{
	static const char operators[][3] = {
	    [SCMP_CMP_NE] = "!=",
	    [SCMP_CMP_LT] = "<",
	    [SCMP_CMP_LE] = "<=",
	    [SCMP_CMP_EQ] = "==",
	    [SCMP_CMP_GE] = ">=",
	    [SCMP_CMP_GT] = ">",
	};
	size_t i, used = 0;

	out[0] = '\0';
	for (i = 0; i < row->n_conditions && used < size; i++) {
		const struct scmp_arg_cmp *c = &row->conditions[i];
		const char *and = i == 0 ? "" : " and ";
		int n;

		if (c->op == SCMP_CMP_MASKED_EQ)
			n = snprintf(out + used, size - used, "%sarg%u & 0x%llx == 0x%llx", and,
			    c->arg, (unsigned long long)c->datum_a, (unsigned long long)c->datum_b);
		else
			n = snprintf(out + used, size - used, "%sarg%u %s 0x%llx", and, c->arg,
			    operators[c->op], (unsigned long long)c->datum_a);
		used += (size_t)n;
	}
}

static void
declare_walls(const struct jail_profile *p, FILE *out)
{
	unsigned wall;

	fprintf(out, "  walls\n");
	for (wall = 1; wall <= JAIL_ALL; wall <<= 1)
		fprintf(out, "    %-24s%s\n", jail_wall_name(wall),
		    p->walls & wall ? "yes" : "left out");
	if (p->walls_why != NULL)
		fprintf(out, "    left out because: %s\n", p->walls_why);
}

static void
declare_root(const struct jail_profile *p, FILE *out)
{
	const struct jail_bind *b;

	if (!(p->walls & JAIL_ROOT)) {
		fprintf(out, "  root: the invoker's\n");
		return;
	}
	fprintf(out, "  root, read-only%s\n", p->binds == NULL ? ": empty" : "");
	for (b = p->binds; b != NULL && b->path != NULL; b++)
		fprintf(out, "    %s%s%s%s\n", b->target != NULL ? b->target : b->path,
		    b->target != NULL && b->path[0] != '\0' ? " from " : "",
		    b->target != NULL ? b->path : "", b->optional ? " (where there is one)" : "");
}

static void
declare_syscalls(const struct jail_profile *p, FILE *out)
{
	char conditions[JAIL_CONDITIONS_TEXT_MAX];
	size_t i;

	fprintf(out, "  system calls; any other ends the process\n");
	for (i = 0; i < p->n_syscalls; i++) {
		const struct jail_syscall *row = &p->syscalls[i];

		if (row->number < 0)
			continue;
		jail_conditions_format(row, conditions, sizeof(conditions));
		fprintf(out, "    %-24s%s", row->name, row->why);
		if (row->error != 0)
			fprintf(out, "; not made, answered with %s", strerrorname_np(row->error));
		if (row->n_conditions > 0)
			fprintf(out, "; only if %s", conditions);
		fprintf(out, "\n");
	}
}

void
jail_declare(const struct jail_profile *p, const struct jail_identity *id, FILE *out)
{
	size_t i;

	fprintf(out, "%s: %s\n", p->name, p->job);
	if (!(p->walls & JAIL_USER))
		fprintf(out, "  uid %u: the invoker\n", id->uid);
	else if (id->root_started)
		fprintf(out, "  uid %u, gid %u, no groups\n", id->uid, id->gid);
	else
		fprintf(out, "  uid 0 of a user namespace of its own, which is uid %u outside\n",
		    id->uid);
	fprintf(out, "  capabilities: %s\n", p->walls & JAIL_CAPS ? "none" : "the invoker's");
	declare_walls(p, out);
	declare_root(p, out);
	fprintf(out, "  limits\n");
	for (i = 0; i < p->n_limits; i++)
		fprintf(out, "    %-24s%llu; %s\n", p->limits[i].name,
		    (unsigned long long)p->limits[i].value, p->limits[i].why);
	fprintf(out, "  descriptors\n");
	for (i = 0; i < p->n_fds; i++)
		fprintf(out, "    %-24sat most %u; %s\n", jail_fd_kind_name(p->fds[i].kind),
		    p->fds[i].max, p->fds[i].why);
	declare_syscalls(p, out);
}

static void
walls_json(const struct jail_profile *p, struct json_writer *w)
{
	unsigned wall;

	json_key(w, "walls");
	json_open(w, '{');
	for (wall = 1; wall <= JAIL_ALL; wall <<= 1)
		json_member_bool(w, jail_wall_name(wall), p->walls & wall);
	json_close(w, '}');
	if (p->walls_why != NULL)
		json_member_string(w, "walls_why", p->walls_why);
}

static void
root_json(const struct jail_profile *p, struct json_writer *w)
{
	const struct jail_bind *b;

	json_key(w, "root");
	json_open(w, '[');
	for (b = p->binds; b != NULL && b->path != NULL; b++) {
		json_open(w, '{');
		json_member_string(w, "path", b->path);
		json_member_string(w, "target", b->target != NULL ? b->target : b->path);
		json_member_bool(w, "optional", b->optional);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void
limits_json(const struct jail_profile *p, struct json_writer *w)
{
	size_t i;

	json_key(w, "limits");
	json_open(w, '[');
	for (i = 0; i < p->n_limits; i++) {
		json_open(w, '{');
		json_member_string(w, "name", p->limits[i].name);
		/* RLIM_INFINITY shows as -1. */
		json_member_integer(w, "value", (int64_t)p->limits[i].value);
		json_member_string(w, "why", p->limits[i].why);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_key(w, "descriptors");
	json_open(w, '[');
	for (i = 0; i < p->n_fds; i++) {
		json_open(w, '{');
		json_member_string(w, "kind", jail_fd_kind_name(p->fds[i].kind));
		json_member_integer(w, "max", p->fds[i].max);
		json_member_string(w, "why", p->fds[i].why);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void
syscalls_json(const struct jail_profile *p, struct json_writer *w)
{
	char conditions[JAIL_CONDITIONS_TEXT_MAX];
	size_t i;

	json_key(w, "syscalls");
	json_open(w, '[');
	for (i = 0; i < p->n_syscalls; i++) {
		const struct jail_syscall *row = &p->syscalls[i];

		if (row->number < 0)
			continue;
		jail_conditions_format(row, conditions, sizeof(conditions));
		json_open(w, '{');
		json_member_string(w, "name", row->name);
		json_member_string(w, "why", row->why);
		if (row->error != 0)
			json_member_string(w, "errno", strerrorname_np(row->error));
		if (row->n_conditions > 0)
			json_member_string(w, "only_if", conditions);
		json_close(w, '}');
	}
	json_close(w, ']');
}

void
jail_declare_json(
    const struct jail_profile *p, const struct jail_identity *id, struct json_writer *w)
{
	json_open(w, '{');
	json_member_string(w, "name", p->name);
	json_member_string(w, "job", p->job);
	json_member_bool(w, "user_namespace", p->walls & JAIL_USER && !id->root_started);
	json_member_integer(w, "uid", id->uid);
	json_member_integer(w, "gid", id->gid);
	json_key(w, "capabilities");
	if (p->walls & JAIL_CAPS) {
		json_open(w, '[');
		json_close(w, ']');
	} else {
		json_put_null(w); /* the invoker's */
	}
	walls_json(p, w);
	root_json(p, w);
	limits_json(p, w);
	syscalls_json(p, w);
	json_close(w, '}');
}
