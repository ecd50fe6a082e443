/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.json, strictly: an image directory may come from a stranger. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/image/private.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "ipc/sha256.h"

#define MANIFEST_FORMAT 1
#define TOKENS_MAX      (IMAGE_PACKAGES_MAX + 64)
#define PACKAGE_SIZE    512 /* "name=version" with its NUL */

const char *const image_part_names[IMAGE_PARTS] = {"kernel", "initramfs", "rootfs"};

struct reader {
	struct json json;
	struct image_manifest *m;
	struct image_part *part; /* while one is read */
	char *error;
	size_t error_size;
};

/* A member that an object may have, and how it is read. */
struct member {
	const char *name;
	bool required;
	int (*read)(struct reader *r, const struct json_token *value);
};

bool
image_file_name_ok(const char *name)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(name);

	return n >= 1 && n <= IMAGE_NAME_MAX && strspn(name, letters) == n &&
	       strchr("._-", name[0]) == NULL;
}

bool
image_id_ok(const char *id)
{
	return strlen(id) == IMAGE_ID_LENGTH && strspn(id, "0123456789abcdef") == IMAGE_ID_LENGTH;
}

/* Printable ASCII from `low` on: 0x20 admits spaces, 0x21 does not. */
static bool
printable(const char *s, char low)
{
	for (; *s != '\0'; s++)
		if (*s < low || *s > 0x7e)
			return false;
	return true;
}

static int
read_text(struct reader *r, const struct json_token *v, char *out, size_t size, char low)
{
	int n = json_string(&r->json, v, out, size);

	if (n < 0 || !printable(out, low))
		return -EPROTO;
	return 0;
}

static int
read_format(struct reader *r, const struct json_token *v)
{
	int64_t format;

	return json_integer(&r->json, v, &format) == 0 && format == MANIFEST_FORMAT ? 0 : -EPROTO;
}

static int
read_arch(struct reader *r, const struct json_token *v)
{
	if (read_text(r, v, r->m->arch, sizeof(r->m->arch), 0x21) < 0)
		return -EPROTO;
	return image_file_name_ok(r->m->arch) ? 0 : -EPROTO;
}

static int
read_recipe(struct reader *r, const struct json_token *v)
{
	return read_text(r, v, r->m->recipe, sizeof(r->m->recipe), 0x21);
}

static int
read_kernel_release(struct reader *r, const struct json_token *v)
{
	return read_text(r, v, r->m->kernel_release, sizeof(r->m->kernel_release), 0x21);
}

static int
read_cmdline(struct reader *r, const struct json_token *v)
{
	return read_text(r, v, r->m->cmdline, sizeof(r->m->cmdline), 0x20);
}

static int
read_created(struct reader *r, const struct json_token *v)
{
	return json_integer(&r->json, v, &r->m->created) == 0 && r->m->created >= 0 ? 0 : -EPROTO;
}

static int
read_packages(struct reader *r, const struct json_token *v)
{
	struct image_manifest *m = r->m;
	const struct json_token *element;
	char text[PACKAGE_SIZE];

	if (v->type != JSON_ARRAY || v->size > IMAGE_PACKAGES_MAX)
		return -EPROTO;
	if (v->size == 0)
		return 0;
	m->packages = calloc(v->size, sizeof(*m->packages));
	if (m->packages == NULL)
		abort();
	element = v + 1;
	for (size_t i = 0; i < v->size; i++) {
		if (read_text(r, element, text, sizeof(text), 0x21) < 0 || text[0] == '\0')
			return -EPROTO;
		m->packages[m->n_packages++] = image_format("%s", text);
		element = r->json.tokens + element->next;
	}
	return 0;
}

static int
read_file(struct reader *r, const struct json_token *v)
{
	if (read_text(r, v, r->part->file, sizeof(r->part->file), 0x21) < 0)
		return -EPROTO;
	return image_file_name_ok(r->part->file) ? 0 : -EPROTO;
}

static int
read_size(struct reader *r, const struct json_token *v)
{
	int64_t size;

	if (json_integer(&r->json, v, &size) < 0 || size < 1 ||
	    (uint64_t)size > IMAGE_PART_SIZE_MAX)
		return -EPROTO;
	r->part->size = (uint64_t)size;
	return 0;
}

static int
read_sha256(struct reader *r, const struct json_token *v)
{
	if (read_text(r, v, r->part->sha256, sizeof(r->part->sha256), 0x21) < 0)
		return -EPROTO;
	return image_id_ok(r->part->sha256) ? 0 : -EPROTO;
}

/*
 * Reads an object that has each required member of the table and no member that is not in it. (That
 * no name comes twice is json_parse's work.)
 */
static int
read_members(struct reader *r, const struct json_token *object, const struct member *table,
    size_t n_rows, const char *where)
{
	const struct json_token *name = object + 1;

	if (object->type != JSON_OBJECT)
		return log_fail(r->error, r->error_size, -EPROTO, "%s is not an object", where);
	for (size_t i = 0; i < object->size; i++) {
		const struct json_token *value = r->json.tokens + name->next;
		const struct member *row = table;
		char shown[64];

		while (row < table + n_rows && !json_equals(&r->json, name, row->name))
			row++;
		log_escape(shown, sizeof(shown), r->json.text + name->start, name->length);
		if (row == table + n_rows)
			return log_fail(r->error, r->error_size, -EPROTO,
			    "%s has an unknown member \"%s\"", where, shown);
		r->error[0] = '\0';
		if (row->read(r, value) < 0) {
			if (r->error[0] == '\0')
				log_fail(r->error, r->error_size, -EPROTO, "%s has a bad \"%s\"",
				    where, shown);
			return -EPROTO;
		}
		name = r->json.tokens + value->next;
	}
	for (size_t i = 0; i < n_rows; i++)
		if (table[i].required && json_member(&r->json, object, table[i].name) == NULL)
			return log_fail(r->error, r->error_size, -EPROTO, "%s lacks \"%s\"", where,
			    table[i].name);
	return 0;
}

static int
read_part(struct reader *r, const struct json_token *v, enum image_part_kind kind)
{
	static const struct member table[] = {
	    {"file", true, read_file},
	    {"size", true, read_size},
	    {"sha256", true, read_sha256},
	};

	r->part = &r->m->parts[kind];
	return read_members(r, v, table, sizeof(table) / sizeof(table[0]), image_part_names[kind]);
}

static int
read_kernel(struct reader *r, const struct json_token *v)
{
	return read_part(r, v, IMAGE_KERNEL);
}

static int
read_initramfs(struct reader *r, const struct json_token *v)
{
	return read_part(r, v, IMAGE_INITRAMFS);
}

static int
read_rootfs(struct reader *r, const struct json_token *v)
{
	return read_part(r, v, IMAGE_ROOTFS);
}

static int
read_parts(struct reader *r, const struct json_token *v)
{
	static const struct member table[IMAGE_PARTS] = {
	    {"kernel", true, read_kernel},
	    {"initramfs", true, read_initramfs},
	    {"rootfs", true, read_rootfs},
	};
	const struct image_part *p = r->m->parts;

	if (read_members(r, v, table, IMAGE_PARTS, "\"parts\"") < 0)
		return -EPROTO;
	if (strcmp(p[0].file, p[1].file) == 0 || strcmp(p[0].file, p[2].file) == 0 ||
	    strcmp(p[1].file, p[2].file) == 0)
		return log_fail(
		    r->error, r->error_size, -EPROTO, "two parts have the same file name");
	return 0;
}

static const struct member manifest_members[] = {
    {"format", true, read_format},
    {"arch", true, read_arch},
    {"created", true, read_created},
    {"parts", true, read_parts},
    {"recipe", false, read_recipe},
    {"kernel_release", false, read_kernel_release},
    {"cmdline", false, read_cmdline},
    {"packages", false, read_packages},
};

int
image_manifest_parse(
    struct image_manifest *m, const char *text, size_t length, char *error, size_t error_size)
{
	struct reader r = {.m = m, .error = error, .error_size = error_size};
	struct json_token *tokens;
	int result;

	memset(m, 0, sizeof(*m));
	if (length > IMAGE_MANIFEST_MAX)
		return log_fail(error, error_size, -E2BIG, "the manifest is larger than %u bytes",
		    IMAGE_MANIFEST_MAX);
	tokens = calloc(TOKENS_MAX, sizeof(*tokens));
	if (tokens == NULL)
		abort();
	result = json_parse(&r.json, text, length, tokens, TOKENS_MAX);
	if (result < 0)
		result = log_fail(error, error_size, -EPROTO, "the manifest is not valid JSON");
	else
		result = read_members(&r, tokens, manifest_members,
		    sizeof(manifest_members) / sizeof(manifest_members[0]), "the manifest");
	free(tokens);
	if (result < 0)
		image_manifest_clear(m);
	return result;
}

char *
image_manifest_write(const struct image_manifest *m, size_t *length)
{
	struct json_writer w;
	char *text;

	json_writer_init(&w);
	json_open(&w, '{');
	json_member_integer(&w, "format", MANIFEST_FORMAT);
	json_member_string(&w, "arch", m->arch);
	json_member_integer(&w, "created", m->created);
	json_member_string(&w, "recipe", m->recipe);
	json_member_string(&w, "kernel_release", m->kernel_release);
	json_member_string(&w, "cmdline", m->cmdline);
	json_key(&w, "parts");
	json_open(&w, '{');
	for (int i = 0; i < IMAGE_PARTS; i++) {
		json_key(&w, image_part_names[i]);
		json_open(&w, '{');
		json_member_string(&w, "file", m->parts[i].file);
		json_member_integer(&w, "size", (int64_t)m->parts[i].size);
		json_member_string(&w, "sha256", m->parts[i].sha256);
		json_close(&w, '}');
	}
	json_close(&w, '}');
	json_key(&w, "packages");
	json_open(&w, '[');
	for (size_t i = 0; i < m->n_packages; i++)
		json_put_string(&w, m->packages[i]);
	json_close(&w, ']');
	json_close(&w, '}');
	text = image_format("%s\n", w.text);
	*length = w.length + 1;
	json_writer_clear(&w);
	return text;
}

void
image_manifest_clear(struct image_manifest *m)
{
	for (size_t i = 0; i < m->n_packages; i++)
		free(m->packages[i]);
	free(m->packages);
	memset(m, 0, sizeof(*m));
}

void
image_manifest_id(const struct image_manifest *m, char id[IMAGE_ID_LENGTH + 1])
{
	uint8_t digest[SHA256_SIZE];
	char *text = image_format(
	    "gondolin-image %d\narch %s\ncmdline %s\n", MANIFEST_FORMAT, m->arch, m->cmdline);

	for (int i = 0; i < IMAGE_PARTS; i++) {
		const struct image_part *p = &m->parts[i];
		char *longer = image_format("%s%s %s %" PRIu64 " %s\n", text, image_part_names[i],
		    p->file, p->size, p->sha256);

		free(text);
		text = longer;
	}
	sha256(text, strlen(text), digest);
	sha256_hex(digest, id);
	free(text);
}

int
image_manifest_load(int dir, struct image_manifest *m, char *error, size_t error_size)
{
	char *text;
	size_t n;
	int result = image_get_file(dir, "manifest.json", IMAGE_MANIFEST_MAX, &text, &n);

	memset(m, 0, sizeof(*m));
	if (result < 0)
		return log_fail(error, error_size, result, "manifest.json: %s", strerror(-result));
	result = image_manifest_parse(m, text, n, error, error_size);
	free(text);
	return result;
}
