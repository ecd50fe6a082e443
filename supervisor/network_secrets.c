/* SPDX-License-Identifier: Apache-2.0 */
/* Reading secrets. */
#include "supervisor/network_secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/file.h"

struct place {
	const struct config *config;
	const struct config_secret *secret;
	char *error;
	size_t size;
};

static int __attribute__((format(printf, 3, 4)))
refuse(const struct place *at, int error, const char *format, ...)
{
	int n = snprintf(at->error, at->size, "%s:%u: network: secret \"%s\": ", at->config->name,
	    at->secret->line, at->secret->name);
	va_list ap;

	va_start(ap, format);
	if (n > 0 && (size_t)n < at->size)
		vsnprintf(at->error + n, at->size - (size_t)n, format, ap);
	va_end(ap);
	return -error;
}

/* Reads at most size bytes; returns how many, or -errno. */
static ssize_t
read_file(const char *path, uint8_t *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = file_read_all(fd, out, size);
	close(fd);
	return n;
}

/* One byte more than the longest value and its newline may have, so that a longer one shows. */
static ssize_t
read_value(const struct place *at, uint8_t bytes[NETWORK_SECRET_MAX + 3])
{
	const struct config_secret *c = at->secret;
	const char *text;
	ssize_t n;

	if (c->file != NULL) {
		n = read_file(c->file, bytes, NETWORK_SECRET_MAX + 3);
		if (n < 0)
			return refuse(at, (int)-n, "%s: %s", c->file, strerror((int)-n));
		if (n > 0 && bytes[n - 1] == '\n')
			n--;
		if (n > 0 && bytes[n - 1] == '\r')
			n--;
		return n;
	}
	text = getenv(c->env);
	if (text == NULL)
		return refuse(at, ENOENT,
		    "the environment variable %s is not set; set it, or use file = \"path\"",
		    c->env);
	n = (ssize_t)strnlen(text, NETWORK_SECRET_MAX + 3);
	memcpy(bytes, text, (size_t)n);
	return n;
}

/* What a header's value may hold: visible characters, spaces between them, bytes above ASCII. */
static bool
is_field_value(const uint8_t *bytes, size_t n)
{
	size_t i;

	if (bytes[0] == ' ' || bytes[n - 1] == ' ')
		return false;
	for (i = 0; i < n; i++)
		if (bytes[i] < 0x20 || bytes[i] == 0x7f)
			return false;
	return true;
}

static int
take_value(struct network_secret *s, const struct place *at)
{
	uint8_t bytes[NETWORK_SECRET_MAX + 3] = {0};
	ssize_t n;
	int rc;

	if (strlen(at->secret->name) > NETWORK_SECRET_NAME_MAX)
		return refuse(at, EINVAL, "a name of more than %u bytes", NETWORK_SECRET_NAME_MAX);
	n = read_value(at, bytes);
	rc = n < 0 ? (int)n : placeholder_make(s->placeholder);

	if (n >= 0 && rc < 0)
		rc = refuse(at, -rc, "no random bytes: %s", strerror(-rc));
	else if (rc == 0 && ((size_t)n < NETWORK_SECRET_MIN || n > (ssize_t)NETWORK_SECRET_MAX))
		rc = refuse(at, EINVAL, "its value has to have %u to %u bytes", NETWORK_SECRET_MIN,
		    NETWORK_SECRET_MAX);
	else if (rc == 0 && !is_field_value(bytes, (size_t)n))
		rc = refuse(at, EINVAL,
		    "its value holds a control character (a newline?), or a space at an end");
	if (rc == 0) {
		s->value = malloc((size_t)n + 1);
		if (s->value == NULL)
			abort();
		memcpy(s->value, bytes, (size_t)n);
		s->length = (size_t)n;
	}
	explicit_bzero(bytes, sizeof(bytes));
	return rc;
}

int
network_secrets_read(
    struct network_secrets *s, const struct config *c, char *error, size_t error_size)
{
	const struct config_network *n = c->network;
	size_t i;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->v = calloc(n->n_secrets + 1, sizeof(*s->v));
	if (s->v == NULL)
		abort();
	s->n = n->n_secrets;
	for (i = 0; i < s->n && rc == 0; i++) {
		const struct place at = {c, &n->secrets[i], error, error_size};

		s->v[i].config = &n->secrets[i];
		rc = take_value(&s->v[i], &at);
	}
	return rc;
}

void
network_secret_forget(struct network_secret *s)
{
	if (s->value != NULL)
		explicit_bzero(s->value, s->length);
	free(s->value);
	s->value = NULL;
	s->length = 0;
}

void
network_secrets_clear(struct network_secrets *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		network_secret_forget(&s->v[i]);
	free(s->v);
	memset(s, 0, sizeof(*s));
}
