/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/jail/lint.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "jail/internal.h"

struct lint {
	const struct jail_profile *p;
	FILE *out;
	unsigned problems;
};

static void problem(struct lint *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
problem(struct lint *l, const char *format, ...)
{
	va_list ap;

	l->problems++;
	fprintf(l->out, "%s: ", l->p->name);
	va_start(ap, format);
	vfprintf(l->out, format, ap);
	va_end(ap);
	fputc('\n', l->out);
}

static bool
is_empty(const char *text)
{
	return text == NULL || *text == '\0';
}

static bool
same_conditions(const struct jail_syscall *a, const struct jail_syscall *b)
{
	unsigned i;

	if (a->n_conditions != b->n_conditions)
		return false;
	for (i = 0; i < a->n_conditions; i++)
		if (a->conditions[i].arg != b->conditions[i].arg ||
		    a->conditions[i].op != b->conditions[i].op ||
		    a->conditions[i].datum_a != b->conditions[i].datum_a ||
		    a->conditions[i].datum_b != b->conditions[i].datum_b)
			return false;
	return true;
}

/* libseccomp ors the rows of a call: beside one without conditions, the others are nothing. */
static void
lint_pair(struct lint *l, const struct jail_syscall *a, const struct jail_syscall *b)
{
	if (a->number != b->number)
		return;
	if (same_conditions(a, b))
		problem(l, "%s is there twice", a->name);
	else if (a->n_conditions == 0 || b->n_conditions == 0)
		problem(l, "%s is there with and without conditions", a->name);
}

/* A row that lets a process change the handler that reports its death. */
static bool
reaches_sigsys(const struct jail_syscall *row)
{
	unsigned i;

	if (row->number != SCMP_SYS(rt_sigaction) || row->error != 0)
		return false;
	for (i = 0; i < row->n_conditions; i++) {
		const struct scmp_arg_cmp *c = &row->conditions[i];

		if (c->arg == 0 && ((c->op == SCMP_CMP_NE && c->datum_a == SIGSYS) ||
				       (c->op == SCMP_CMP_EQ && c->datum_a != SIGSYS)))
			return false;
	}
	return true;
}

static void
lint_syscalls(struct lint *l)
{
	const struct jail_profile *p = l->p;
	bool writes = false;
	size_t i, j;

	for (i = 0; i < p->n_syscalls; i++) {
		const struct jail_syscall *row = &p->syscalls[i];

		if (is_empty(row->why))
			problem(l, "%s has no reason", row->name);
		if (row->elsewhere != NULL && *row->elsewhere == '\0')
			problem(l, "%s does not say where it is used", row->name);
		if (row->number == __NR_SCMP_ERROR)
			problem(l, "%s is no system call", row->name);
		if (row->error < 0)
			problem(l, "%s is answered with a negative errno", row->name);
		writes |= row->number == SCMP_SYS(write) && row->error == 0;
		if (p->report == JAIL_REPORT_TRAP && reaches_sigsys(row))
			problem(l, "rt_sigaction may replace the handler of SIGSYS");
		for (j = 0; j < i; j++)
			lint_pair(l, row, &p->syscalls[j]);
	}
	if (p->report == JAIL_REPORT_TRAP && !writes)
		problem(l, "write is missing: a forbidden call could not be reported");
}

static void
lint_limits(struct lint *l)
{
	const struct jail_profile *p = l->p;
	bool core = false, files = false;
	size_t i, j;

	for (i = 0; i < p->n_limits; i++) {
		const struct jail_limit *limit = &p->limits[i];

		if (is_empty(limit->why))
			problem(l, "%s has no reason", limit->name);
		for (j = 0; j < i; j++)
			if (p->limits[j].resource == limit->resource)
				problem(l, "%s is there twice", limit->name);
		core |= limit->resource == RLIMIT_CORE && limit->value == 0;
		files |= limit->resource == RLIMIT_NOFILE && limit->value != RLIM_INFINITY;
	}
	if (!core)
		problem(l, "RLIMIT_CORE is not 0: its memory could end in a file");
	if (!files)
		problem(l, "RLIMIT_NOFILE is missing");
}

static void
lint_fds(struct lint *l)
{
	const struct jail_profile *p = l->p;
	size_t i;

	for (i = 0; i < p->n_fds; i++) {
		if (is_empty(p->fds[i].why))
			problem(
			    l, "%s descriptors have no reason", jail_fd_kind_name(p->fds[i].kind));
		if (p->fds[i].max == 0 || p->fds[i].kind >= JAIL_FD_RULESET)
			problem(l, "%s descriptors are not to be declared",
			    jail_fd_kind_name(p->fds[i].kind));
	}
}

static void
lint_walls(struct lint *l)
{
	const struct jail_profile *p = l->p;
	const struct jail_bind *b;

	if (is_empty(p->name) || is_empty(p->job))
		problem(l, "no name or no job");
	if (p->walls & ~(unsigned)JAIL_ALL)
		problem(l, "walls that do not exist");
	if ((p->walls != JAIL_ALL) != !is_empty(p->walls_why))
		problem(l, "a wall that is left out needs a reason, and only that");
	if (p->report == JAIL_REPORT_NOTIFY && p->walls & JAIL_NON_DUMPABLE)
		problem(l, "exec makes a process dumpable: this wall cannot stand");
	for (b = p->binds; b != NULL && b->path != NULL; b++)
		if ((b->path[0] != '/' && (b->path[0] != '\0' || b->target == NULL)) ||
		    (b->target != NULL && b->target[0] != '/'))
			problem(l, "%s is not an absolute path", b->path);
}

unsigned
lint_profile(const struct jail_profile *p, FILE *out)
{
	struct lint l = {p, out, 0};
	struct jail_filter filter = {NULL, 0};
	struct jail_failure f = {""};

	lint_walls(&l);
	lint_syscalls(&l);
	lint_limits(&l);
	lint_fds(&l);
	if (jail_filter_build(p, -1, &filter, &f) < 0)
		problem(&l, "%s", f.text);
	jail_filter_clear(&filter);
	return l.problems;
}
