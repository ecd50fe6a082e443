/* SPDX-License-Identifier: Apache-2.0 */
/* passwd(5) and group(5), line by line. */
#include "guest/user.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 4096

const struct user_files user_files_system = {"/etc/passwd", "/etc/group"};

/* A decimal id with nothing before or after it; (uid_t)-1 means "no change" to setuid and is none.
 */
static bool
parse_id(const char *s, unsigned *id)
{
	unsigned long long v = 0;

	if (*s == '\0' || strlen(s) > 10)
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	*id = (unsigned)v;
	return v < UINT_MAX;
}

/* Cuts a line at its colons.  Returns the number of fields, at most max. */
static size_t
split(char *line, char **fields, size_t max)
{
	size_t n = 0;

	line[strcspn(line, "\n")] = '\0';
	while (n < max && line != NULL)
		fields[n++] = strsep(&line, ":");
	return n;
}

/*
 * Calls `row` with each line's fields until it returns true.  Returns 0, or -errno where the file
 * is there and cannot be read.
 */
static int
each_line(const char *path, bool (*row)(void *ctx, char **fields, size_t n), void *ctx)
{
	char line[LINE_SIZE], *fields[7];
	bool whole = true, starts_whole;
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return errno == ENOENT ? 0 : -errno;
	while (fgets(line, sizeof(line), f) != NULL) {
		starts_whole = whole;
		whole = strchr(line, '\n') != NULL || feof(f);
		if (!starts_whole || !whole)
			continue;
		n = split(line, fields, sizeof(fields) / sizeof(fields[0]));
		if (row(ctx, fields, n))
			break;
	}
	fclose(f);
	return 0;
}

struct search {
	struct user *user;
	const char *who; /* NULL: by uid */
	unsigned uid;
	bool found;
};

static void
take(char *out, size_t size, const char *value, const char *otherwise)
{
	if (value[0] != '/' || strlen(value) >= size)
		value = otherwise;
	snprintf(out, size, "%s", value);
}

static bool
passwd_row(void *ctx, char **f, size_t n)
{
	struct search *s = ctx;
	unsigned uid, gid;

	if (n < 7 || !parse_id(f[2], &uid) || !parse_id(f[3], &gid) ||
	    strlen(f[0]) >= USER_NAME_MAX || f[0][0] == '\0')
		return false;
	if (s->who != NULL ? strcmp(f[0], s->who) != 0 : uid != s->uid)
		return false;
	s->user->uid = uid;
	s->user->gid = gid;
	snprintf(s->user->name, sizeof(s->user->name), "%s", f[0]);
	take(s->user->home, sizeof(s->user->home), f[5], "/");
	take(s->user->shell, sizeof(s->user->shell), f[6], "/bin/sh");
	s->found = true;
	return true;
}

static bool
group_row(void *ctx, char **f, size_t n)
{
	struct user *u = ctx;
	char *members, *member;
	unsigned gid;

	if (n < 4 || !parse_id(f[2], &gid) || u->n_groups == USER_GROUPS_MAX)
		return false;
	members = f[3];
	while ((member = strsep(&members, ",")) != NULL)
		if (strcmp(member, u->name) == 0) {
			u->groups[u->n_groups++] = gid;
			break;
		}
	return false;
}

int
user_find(const struct user_files *files, const char *who, struct user *u)
{
	struct search s = {.user = u, .who = who[0] != '\0' ? who : NULL};
	int rc;

	memset(u, 0, sizeof(*u));
	rc = each_line(files->passwd, passwd_row, &s);
	if (rc == 0 && !s.found && s.who != NULL) {
		if (!parse_id(who, &s.uid))
			return -ENOENT;
		s.who = NULL;
		rc = each_line(files->passwd, passwd_row, &s);
	}
	if (rc < 0)
		return rc;
	if (!s.found) {
		u->uid = s.uid;
		u->gid = s.uid;
		snprintf(u->name, sizeof(u->name), "%u", s.uid);
		snprintf(u->home, sizeof(u->home), "/");
		snprintf(u->shell, sizeof(u->shell), "/bin/sh");
		return 0;
	}
	/* The primary group leads the list, as initgroups(3) has it. */
	u->groups[u->n_groups++] = u->gid;
	return each_line(files->group, group_row, u);
}
