/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options to configuration text.  Every value goes through config_quote(): whoever composed the
 * command line decides on values, never on keys.
 */
#include "client/options_write.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config.h"

static int __attribute__((format(printf, 2, 3)))
fail(struct option_writer *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->error, sizeof(w->error), format, args);
	va_end(args);
	return -EINVAL;
}

/* Writes before, the first n bytes of value quoted, and after. */
static int
put(struct option_writer *w, const char *before, const char *value, size_t n, const char *after)
{
	char *part = strndup(value, n), *quoted;

	if (part == NULL)
		abort();
	quoted = config_quote(part);
	free(part);
	if (quoted == NULL)
		return fail(w, "\"%.64s\": not valid UTF-8, or too long", value);
	fprintf(w->out, "%s%s%s", before, quoted, after);
	free(quoted);
	return 0;
}

int
write_vmm(struct option_writer *w, const char *value)
{
	if (strcmp(value, "qemu") != 0)
		return fail(w, "--vmm %.64s: only qemu is supported", value);
	return 0;
}

int
write_dns_mapping(struct option_writer *w, const char *value)
{
	if (strcmp(value, "per-host") != 0)
		return fail(
		    w, "--dns-synthetic-host-mapping %.64s: only per-host is supported", value);
	return 0;
}

/* HOST:GUEST[:ro|:rw].  The host's path may hold colons: the guest's begins at the last ":/". */
int
write_mount_host(struct option_writer *w, const char *value)
{
	const char *mode = "rw", *p, *guest = NULL;
	size_t length = strlen(value);
	int rc;

	if (length > 3 && value[length - 3] == ':' &&
	    (strcmp(value + length - 2, "ro") == 0 || strcmp(value + length - 2, "rw") == 0)) {
		mode = value + length - 2;
		length -= 3;
	}
	for (p = value; (p = strstr(p, ":/")) != NULL && p < value + length; p++)
		guest = p + 1;
	if (guest == NULL || guest == value + 1)
		return fail(w,
		    "--mount-hostfs %.200s: takes HOST:GUEST or HOST:GUEST:ro, GUEST an absolute "
		    "path",
		    value);
	rc = put(w, "mount ", guest, (size_t)(value + length - guest), " { ");
	if (rc == 0)
		rc = put(w, "host = ", value, (size_t)(guest - 1 - value), "");
	fprintf(w->out, " mode = %s }\n", mode);
	return rc;
}

int
write_mount_memory(struct option_writer *w, const char *value)
{
	const char *colon = strrchr(value, ':');
	size_t length = colon != NULL ? (size_t)(colon - value) : strlen(value);
	const char *size = colon != NULL ? colon + 1 : "256M";
	int rc;

	if (value[0] != '/')
		return fail(
		    w, "--mount-memfs %.200s: takes an absolute path, and :SIZE after it", value);
	rc = put(w, "mount ", value, length, " { ");
	return rc == 0 ? put(w, "memory = ", size, strlen(size), " }\n") : rc;
}

/* NAME@HOST[,HOST...][=VALUE] in parts; false where it is not that. */
static bool
split_secret(
    const char *spec, size_t *name, const char **hosts, size_t *hosts_length, const char **value)
{
	const char *at = strchr(spec, '@'), *equals;

	if (at == NULL || at == spec || at[1] == '\0' || at[1] == '=')
		return false;
	equals = strchr(at, '=');
	if (memchr(spec, '=', (size_t)(at - spec)) != NULL)
		return false;
	*name = (size_t)(at - spec);
	*hosts = at + 1;
	*hosts_length = equals != NULL ? (size_t)(equals - at - 1) : strlen(at + 1);
	*value = equals != NULL ? equals + 1 : NULL;
	return true;
}

static bool
is_name(const char *s, size_t n)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	return n > 0 && strchr(letters, s[0]) != NULL &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") >= n;
}

/* The message never holds the value. */
int
write_secret(struct option_writer *w, const char *spec)
{
	const char *hosts, *value, *separator = " { hosts = {";
	size_t name, length, n;
	int rc = 0;

	if (!split_secret(spec, &name, &hosts, &length, &value) || !is_name(spec, name))
		return fail(w, "--host-secret: takes NAME@HOST[,HOST...][=VALUE]");
	fprintf(w->out, "secret %.*s", (int)name, spec);
	while (rc == 0 && length > 0) {
		n = strcspn(hosts, ",=");
		if (n > length)
			n = length;
		rc = put(w, separator, hosts, n, "");
		separator = ", ";
		n += n < length && hosts[n] == ',';
		hosts += n;
		length -= n;
	}
	fprintf(w->out, "} env = \"%s%.*s\" }\n", value != NULL ? OPTIONS_SECRET_PREFIX : "",
	    (int)name, spec);
	return rc;
}

/* Without a port of its own the name has its target's. */
int
write_tcp(struct option_writer *w, const char *value)
{
	const char *equals = strchr(value, '='), *to, *port;
	char *from;
	int rc;

	if (equals == NULL || equals == value || (port = strrchr(equals, ':')) == NULL)
		return fail(w, "--tcp-map %.200s: takes NAME[:PORT]=HOST:PORT", value);
	to = equals + 1;
	from = strndup(value, (size_t)(equals - value));
	if (from != NULL && strrchr(from, ':') == NULL) {
		free(from);
		if (asprintf(&from, "%.*s%s", (int)(equals - value), value, port) < 0)
			from = NULL;
	}
	if (from == NULL)
		abort();
	rc = put(w, "tcp ", from, strlen(from), " { ");
	if (rc == 0)
		rc = put(w, "to = ", to, strlen(to), " }\n");
	free(from);
	return rc;
}

int
write_route(struct option_writer *w, const char *value)
{
	const char *equals = strrchr(value, '=');
	int rc;

	if (equals == NULL || value[0] != '/')
		return fail(w, "--route %.200s: takes /PREFIX=PORT", value);
	rc = put(w, "route ", value, (size_t)(equals - value), " { ");
	return rc == 0 ? put(w, "port = ", equals + 1, strlen(equals + 1), " }\n") : rc;
}

int
write_ssh_agent(struct option_writer *w, const char *value)
{
	(void)value; /* a socket goes by SSH_AUTH_SOCK: options_env() */
	fprintf(w->out, "agent = true\n");
	return 0;
}

/* ---- All of them ---- */

static const char *const section_names[SECTION_COUNT] = {
    [SECTION_VM] = "vm",
    [SECTION_NETWORK] = "network",
    [SECTION_INGRESS] = "ingress",
    [SECTION_SSH] = "ssh",
};

static int
write_list(struct option_writer *w, const struct option *row, const struct option_values *given)
{
	size_t i;
	int rc = 0;

	fprintf(w->out, "%s = {", row->key);
	for (i = 0; rc == 0 && i < given->n; i++)
		rc = put(w, i > 0 ? ", " : "", given->v[i], strlen(given->v[i]), "");
	fprintf(w->out, "}\n");
	return rc;
}

static int
write_option(struct option_writer *w, const struct option *row, const struct option_values *given)
{
	const char *last = given->v[given->n - 1];
	char before[64];
	size_t i;
	int rc = 0;

	if (row->write != NULL) {
		for (i = row->list ? 0 : given->n - 1; rc == 0 && i < given->n; i++)
			rc = row->write(w, given->v[i]);
		return rc;
	}
	if (row->list)
		return write_list(w, row, given);
	snprintf(before, sizeof(before), "%s = ", row->key);
	return put(w, before, last, strlen(last), "\n");
}

static int
write_section(struct option_writer *w, const struct options *o, enum option_section section)
{
	bool open = false;
	int i, rc = 0;

	for (i = 0; rc == 0 && i < OPT_COUNT; i++) {
		if (option_table[i].section != section || o->given[i].n == 0)
			continue;
		if (!open && section_names[section] != NULL)
			fprintf(w->out, "%s {\n", section_names[section]);
		open = true;
		rc = write_option(w, &option_table[i], &o->given[i]);
	}
	if (open && section_names[section] != NULL)
		fprintf(w->out, "}\n");
	return rc;
}

char *
options_config(struct options *o, const char *image)
{
	struct option_writer w = {.error = ""};
	char *text = NULL;
	size_t length;
	enum option_section section;
	int rc = 0;

	if (options_has(o, OPT_LISTEN) != options_has(o, OPT_ROUTE)) {
		snprintf(o->error, sizeof(o->error),
		    "--listen and --route go together, as in: --listen --route /=8000");
		return NULL;
	}
	w.out = open_memstream(&text, &length);
	if (w.out == NULL)
		abort();
	if (image != NULL && !options_has(o, OPT_IMAGE))
		rc = put(&w, "image = ", image, strlen(image), "\n");
	for (section = SECTION_TOP; rc == 0 && section < SECTION_COUNT; section++)
		rc = write_section(&w, o, section);
	if (fclose(w.out) != 0)
		abort();
	if (rc == 0)
		return text;
	memcpy(o->error, w.error, sizeof(o->error));
	free(text);
	return NULL;
}

/* ---- Environment ---- */

static char *
secret_variable(const char *spec)
{
	const char *hosts, *value;
	size_t name, length;
	char *variable;

	if (!split_secret(spec, &name, &hosts, &length, &value) || value == NULL)
		return NULL;
	if (asprintf(&variable, OPTIONS_SECRET_PREFIX "%.*s=%s", (int)name, spec, value) < 0)
		abort();
	return variable;
}

/* Puts variable (taken) into env, over one of the same name; env has room. */
static void
env_put(char **env, char *variable)
{
	size_t i, n = strcspn(variable, "=") + 1;

	for (i = 0; env[i] != NULL; i++)
		if (strncmp(env[i], variable, n) == 0) {
			free(env[i]);
			break;
		}
	env[i] = variable;
}

static char *
copy(const char *s)
{
	char *c = strdup(s);

	if (c == NULL)
		abort();
	return c;
}

char **
options_env(const struct options *o, char *const *base)
{
	const struct option_values *secrets = &o->given[OPT_HOST_SECRET];
	const char *agent = options_last(o, OPT_SSH_AGENT);
	size_t i, n = 0;
	char **env, *variable;

	while (base[n] != NULL)
		n++;
	env = calloc(n + secrets->n + 2, sizeof(*env));
	if (env == NULL)
		abort();
	for (i = 0; i < n; i++)
		env[i] = copy(base[i]);
	for (i = 0; i < secrets->n; i++)
		if ((variable = secret_variable(secrets->v[i])) != NULL)
			env_put(env, variable);
	if (agent != NULL && strcmp(agent, option_table[OPT_SSH_AGENT].fixed) != 0) {
		if (asprintf(&variable, "SSH_AUTH_SOCK=%s", agent) < 0)
			abort();
		env_put(env, variable);
	}
	return env;
}

void
options_env_free(char **env)
{
	size_t i;

	for (i = 0; env != NULL && env[i] != NULL; i++) {
		explicit_bzero(env[i], strlen(env[i]));
		free(env[i]);
	}
	free(env);
}
