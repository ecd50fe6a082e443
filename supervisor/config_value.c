/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, words, names and paths of a configuration. */
#include "supervisor/config_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX  4096u
#define LABEL_MAX 128u
#define USER_MAX  32u

static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char alpha[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char digit[] = "0123456789";

struct config_block {
	struct config_block *next;
	max_align_t memory[];
};

void *
config_alloc(struct config *c, size_t n, size_t size)
{
	struct config_block *b;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*b), &bytes) || (b = calloc(1, bytes)) == NULL)
		abort();
	b->next = c->blocks;
	c->blocks = b;
	return b->memory;
}

char *
config_strndup(struct config *c, const char *s, size_t n)
{
	char *copy = config_alloc(c, n + 1, 1);

	memcpy(copy, s, n);
	return copy;
}

void
config_free(struct config *c)
{
	struct config_block *b, *next;

	if (c == NULL)
		return;
	for (b = c->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(c);
}

const char *
config_why(struct config_reader *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->why, sizeof(r->why), format, ap);
	va_end(ap);
	return r->why;
}

static void
store_text(struct config_reader *r, void *out, const char *text)
{
	char *copy = config_strndup(r->config, text, strlen(text));

	memcpy(out, &copy, sizeof(copy));
}

static bool
one_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/* Digits only: no sign, no space, no leading zero that other readers take for octal. */
static bool
parse_digits(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t v = 0;

	if (*p == '0' && p[1] >= '0' && p[1] <= '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (p == *text)
		return false;
	*text = p;
	*out = v;
	return true;
}

static const char *
read_number(
    struct config_reader *r, const char *text, const struct config_range *range, uint64_t *v)
{
	if (!parse_digits(&text, v) || *text != '\0')
		return config_why(r, "not a number; use %s", range->use);
	if ((double)*v < range->min || (double)*v > range->max)
		return config_why(r, "out of range; use %s", range->use);
	return NULL;
}

const char *
config_read_unsigned(struct config_reader *r, const char *text, void *out, const void *arg)
{
	uint64_t v = 0;
	const char *why = read_number(r, text, arg, &v);

	*(unsigned *)out = (unsigned)v;
	return why;
}

const char *
config_read_count(struct config_reader *r, const char *text, void *out, const void *arg)
{
	return read_number(r, text, arg, out);
}

const char *
config_read_port(struct config_reader *r, const char *text, void *out, const void *arg)
{
	uint64_t v = 0;
	const char *why = read_number(r, text, arg, &v);

	*(uint16_t *)out = (uint16_t)v;
	return why;
}

/* Digits with at most one point: no exponent, no "inf", and the same in every locale. */
const char *
config_read_double(struct config_reader *r, const char *text, void *out, const void *arg)
{
	const struct config_range *range = arg;
	const char *p = text;
	uint64_t whole, part = 0;
	double v, scale = 1;

	if (!parse_digits(&p, &whole))
		return config_why(r, "not a number; use %s", range->use);
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9' && scale < 1e6; p++) {
			part = part * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
	}
	if (*p != '\0' || p[-1] == '.')
		return config_why(r, "not a number; use %s", range->use);
	v = (double)whole + (double)part / scale;
	if (v < range->min || v > range->max)
		return config_why(r, "out of range; use %s", range->use);
	*(double *)out = v;
	return NULL;
}

const char *
config_read_size(struct config_reader *r, const char *text, void *out, const void *arg)
{
	static const char units[] = "KMGT";
	const struct config_range *range = arg;
	const char *unit, *p = text;
	uint64_t v;

	if (!parse_digits(&p, &v) || *p == '\0' || (unit = strchr(units, *p)) == NULL ||
	    p[1] != '\0')
		return "not a size; use a number with K, M, G or T, such as \"512M\"";
	if (__builtin_mul_overflow(v, UINT64_C(1024) << (10 * (unit - units)), &v) ||
	    (double)v < range->min || (double)v > range->max)
		return config_why(r, "out of range; use %s", range->use);
	*(uint64_t *)out = v;
	return NULL;
}

const char *
config_read_bool(struct config_reader *r, const char *text, void *out, const void *arg)
{
	(void)r;
	(void)arg;
	*(bool *)out = strcmp(text, "true") == 0;
	if (*(bool *)out || strcmp(text, "false") == 0)
		return NULL;
	return "neither true nor false; use one of them";
}

static int
find_name(const struct config_names *names, const char *text)
{
	int i;

	for (i = 0; names->names[i] != NULL; i++)
		if (strcmp(names->names[i], text) == 0)
			return i;
	return -1;
}

const char *
config_read_enum(struct config_reader *r, const char *text, void *out, const void *arg)
{
	const struct config_names *names = arg;
	int i = find_name(names, text);

	if (i < 0)
		return config_why(r, "unknown value; use %s", names->use);
	memcpy(out, &i, sizeof(i));
	return NULL;
}

const char *
config_read_mask(struct config_reader *r, const char *text, void *out, const void *arg)
{
	const struct config_names *names = arg;
	int i = find_name(names, text);

	if (i < 0)
		return config_why(r, "unknown value; use %s", names->use);
	/* The first value replaces the default. */
	if (r->index == 0)
		*(unsigned *)out = 0;
	*(unsigned *)out |= 1u << i;
	return NULL;
}

const char *
config_read_text(struct config_reader *r, const char *text, void *out, const void *arg)
{
	(void)arg;
	if (*text == '\0')
		return "empty; leave the key out instead";
	if (!one_line(text))
		return "has a control character; use one line of text";
	if (strlen(text) >= TEXT_MAX)
		return config_why(r, "too long; use at most %u bytes", TEXT_MAX - 1);
	store_text(r, out, text);
	return NULL;
}

const char *
config_read_label(struct config_reader *r, const char *text, void *out, const void *arg)
{
	(void)arg;
	if (!one_line(text) || strlen(text) > LABEL_MAX)
		return config_why(r, "not a label; use one line of at most %u bytes", LABEL_MAX);
	store_text(r, out, text);
	return NULL;
}

const char *
config_read_word(struct config_reader *r, const char *text, void *out, const void *arg)
{
	(void)arg;
	if (r->index == 0 && *text == '\0')
		return "the first word is empty; use the name of a program";
	store_text(r, out, text);
	return NULL;
}

static size_t
env_name_length(const char *text)
{
	size_t n;

	if (*text >= '0' && *text <= '9')
		return 0;
	for (n = 0; text[n] != '\0'; n++)
		if (strchr(alpha, text[n]) == NULL && strchr(digit, text[n]) == NULL &&
		    text[n] != '_')
			break;
	return n;
}

const char *
config_read_env(struct config_reader *r, const char *text, void *out, const void *arg)
{
	size_t n = env_name_length(text);

	(void)arg;
	if (n == 0 || text[n] != '=')
		return "not NAME=VALUE; use a name of letters, digits and _";
	store_text(r, out, text);
	return NULL;
}

const char *
config_read_env_name(struct config_reader *r, const char *text, void *out, const void *arg)
{
	size_t n = env_name_length(text);

	(void)arg;
	if (n == 0 || text[n] != '\0' || n > 128)
		return "not a variable's name; use letters, digits and _, no digit first";
	store_text(r, out, text);
	return NULL;
}

bool
config_id_is_valid(const char *id)
{
	size_t n;

	if (*id == '-')
		return false;
	for (n = 0; id[n] != '\0'; n++)
		if (strchr(lower, id[n]) == NULL && strchr(digit, id[n]) == NULL && id[n] != '-')
			return false;
	return n >= 1 && n <= CONFIG_ID_MAX;
}

const char *
config_read_id(struct config_reader *r, const char *text, void *out, const void *arg)
{
	(void)arg;
	if (!config_id_is_valid(text))
		return "not an id; use 1 to 32 of a-z, 0-9 and -, no - first";
	store_text(r, out, text);
	return NULL;
}

const char *
config_read_user(struct config_reader *r, const char *text, void *out, const void *arg)
{
	const char *p = text;
	uint64_t uid;
	size_t n;

	(void)arg;
	if (*text >= '0' && *text <= '9') {
		if (!parse_digits(&p, &uid) || *p != '\0' || uid >= UINT32_MAX)
			return "not a uid; use a number from 0 to 4294967294, or a name";
	} else {
		for (n = 0; text[n] != '\0'; n++)
			if (strchr(alpha, text[n]) == NULL && strchr(digit, text[n]) == NULL &&
			    (strchr("_.-", text[n]) == NULL || (n == 0 && text[n] != '_')))
				break;
		if (n == 0 || n > USER_MAX || text[n] != '\0')
			return "not a user; use a name of at most 32 bytes, or a uid";
	}
	store_text(r, out, text);
	return NULL;
}

const char *
config_read_path(struct config_reader *r, const char *text, void *out, const void *arg)
{
	const char *home = getenv("HOME");
	char path[TEXT_MAX];
	int n;

	if (strncmp(text, "~/", 2) != 0)
		return config_read_text(r, text, out, arg);
	if (home == NULL || *home != '/')
		return "~ without a HOME in the environment; write the whole path";
	n = snprintf(path, sizeof(path), "%s%s", home, text + 1);
	if (n < 0 || (size_t)n >= sizeof(path))
		return config_why(r, "too long; use at most %u bytes", TEXT_MAX - 1);
	return config_read_text(r, path, out, arg);
}

/* True where no component between slashes is empty, "." or "..". */
static bool
components_are_normal(const char *p)
{
	size_t n;

	for (;; p += n + 1) {
		n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && memcmp(p, "..", 2) == 0))
			return false;
		if (p[n] == '\0')
			return true;
	}
}

const char *
config_read_directory(struct config_reader *r, const char *text, void *out, const void *arg)
{
	if (*text != '/' || (text[1] != '\0' && !components_are_normal(text + 1)))
		return "not an absolute path without \"//\", \".\", \"..\" or a \"/\" at its end";
	return config_read_text(r, text, out, arg);
}

const char *
config_read_pattern(struct config_reader *r, const char *text, void *out, const void *arg)
{
	if (!components_are_normal(text))
		return "not a pattern; use a name or a relative path such as \".env\" or "
		       "\"keys/*.pem\"";
	return config_read_text(r, text, out, arg);
}

const char *
config_read_uids(struct config_reader *r, const char *text, void *out, const void *arg)
{
	static const char use[] =
	    "not a range of uids; use \"FIRST-LAST\" with 100 or more between "
	    "65536 and 4294967293";
	uint64_t first, last;

	(void)r;
	(void)arg;
	if (!parse_digits(&text, &first) || *text++ != '-' || !parse_digits(&text, &last) ||
	    *text != '\0')
		return use;
	/* Below are the host's own users; the last two are "overflow" to too many programs. */
	if (first < 65536 || last > UINT32_MAX - 2 || last < first || last - first < 99)
		return use;
	*(struct config_uid_range *)out = (struct config_uid_range){(uid_t)first, (uid_t)last};
	return NULL;
}
