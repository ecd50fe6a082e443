/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about a configuration, and how a program writes one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/mount_frame.h"
#include "ipc/utf8.h"
#include "supervisor/config.h"
#include "supervisor/config_text.h"

/* True where keys[i] and its sections are named by the first n bytes of "a.b.c". */
static bool
key_is(const struct config *c, size_t i, const char *name, size_t n)
{
	size_t from = n;

	while (from > 0 && name[from - 1] != '.')
		from--;
	if (strlen(c->keys[i].name) != n - from ||
	    memcmp(c->keys[i].name, name + from, n - from) != 0)
		return false;
	if (c->keys[i].parent == CONFIG_TEXT_NO_KEY)
		return from == 0;
	return from > 0 && key_is(c, c->keys[i].parent, name, from - 1);
}

unsigned
config_line(const struct config *c, const char *key)
{
	size_t i;

	for (i = 0; i < c->n_keys; i++)
		if (key_is(c, i, key, strlen(key)))
			return c->keys[i].line;
	return 0;
}

size_t
config_mount_devices(const struct config *c)
{
	if (c->vm.mounts == CONFIG_MOUNTS_RELAY || c->n_mounts > MOUNT_DEVICES_MAX)
		return 0;
	return c->n_mounts;
}

static bool
start_is_warm(const struct config *c)
{
	return c->vm.start == CONFIG_START_WARM;
}

/* What no process serves yet.  The row goes when its helper arrives. */
static const struct {
	const char *key, *shown;
	bool (*asked)(const struct config *c); /* NULL: written is asked for */
} unsupported[] = {
    {"ingress", "ingress", NULL},
    {"ssh", "ssh", NULL},
    {"hooks", "hooks", NULL},
    {"vm.start", "start = warm", start_is_warm},
};

int
config_unsupported(const struct config *c, char *error, size_t error_size)
{
	const char *shown = NULL;
	unsigned line, first = 0;
	size_t i;

	for (i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
		line = config_line(c, unsupported[i].key);
		if (line == 0 || (first != 0 && line >= first))
			continue;
		if (unsupported[i].asked != NULL && !unsupported[i].asked(c))
			continue;
		first = line;
		shown = unsupported[i].shown;
	}
	if (shown == NULL)
		return 0;
	snprintf(
	    error, error_size, "%s:%u: %s: not supported yet; leave it out", c->name, first, shown);
	return -EOPNOTSUPP;
}

/* Writes one byte as it stands in a string; returns where the next goes. */
static char *
quote_byte(char *out, unsigned char c)
{
	if (c == '"' || c == '\\' || c == '$')
		return out + sprintf(out, "\\%c", c);
	if (c == '\n')
		return out + sprintf(out, "\\n");
	if (c < 0x20 || c == 0x7f)
		return out + sprintf(out, "\\x%02x", c);
	*out = (char)c;
	return out + 1;
}

char *
config_quote(const char *s)
{
	size_t i, n = strlen(s), used;
	char *quoted, *out;

	if (n > CONFIG_VALUE_MAX)
		return NULL;
	for (i = 0; i < n; i += used) {
		used = utf8_sequence(s + i, n - i);
		if (used == 0)
			return NULL;
	}
	quoted = malloc(4 * n + 3);
	if (quoted == NULL)
		abort();
	out = quoted;
	*out++ = '"';
	for (i = 0; i < n; i++)
		out = quote_byte(out, (unsigned char)s[i]);
	*out++ = '"';
	*out = '\0';
	return quoted;
}
