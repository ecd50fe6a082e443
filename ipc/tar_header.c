/* SPDX-License-Identifier: Apache-2.0 */
/* ustar headers and pax records: IEEE Std 1003.1, utility pax, "ustar" and "pax" formats. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/tar_private.h"

#define OCTAL_MAX(digits) ((UINT64_C(1) << (3 * (digits))) - 1)

/* ---- Decoding ---- */

/*
 * Octal digits, after spaces that old archivers put there, up to a space, a NUL or the field's end.
 * An empty field is 0.
 */
static bool
get_octal(const char *field, size_t n, uint64_t *value)
{
	uint64_t v = 0;
	size_t i = 0;

	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		v = v * 8 + (unsigned)(field[i] - '0');
	for (; i < n; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	*value = v;
	return true;
}

static unsigned
checksum(const struct tar_header *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	const size_t from = offsetof(struct tar_header, checksum);
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < TAR_BLOCK; i++)
		sum += i >= from && i < from + sizeof(h->checksum) ? ' ' : bytes[i];
	return sum;
}

bool
tar_header_is_sound(const struct tar_header *h)
{
	uint64_t said;

	return memcmp(h->magic,
		   "ustar\0"
		   "00",
		   8) == 0 &&
	       get_octal(h->checksum, sizeof(h->checksum), &said) && said == checksum(h);
}

int
tar_header_size(const struct tar_header *h, uint64_t *size)
{
	return get_octal(h->size, sizeof(h->size), size) ? 0 : -EPROTO;
}

/* Relative, without "..", and of at most TAR_DEPTH_MAX components; "." only before the rest. */
static bool
name_is_sound(const char *name)
{
	const char *at = name;
	unsigned depth = 0;
	size_t n;

	for (;; at += n + 1) {
		n = strcspn(at, "/");
		if (n == 0 || ++depth > TAR_DEPTH_MAX || (n == 2 && memcmp(at, "..", 2) == 0) ||
		    (n == 1 && at[0] == '.' && at != name))
			return false;
		if (at[n] == '\0')
			return true;
	}
}

static void
get_name(const struct tar_header *h, char out[TAR_NAME_MAX + 1])
{
	const int prefix = (int)strnlen(h->prefix, sizeof(h->prefix));
	const int name = (int)strnlen(h->name, sizeof(h->name));

	snprintf(out, TAR_NAME_MAX + 1, "%.*s%s%.*s", prefix, h->prefix, prefix > 0 ? "/" : "",
	    name, h->name);
}

static const char *
check_entry(struct tar_entry *e)
{
	size_t n = strlen(e->name);

	if (e->type == TAR_DIRECTORY && n > 1 && e->name[n - 1] == '/')
		e->name[n - 1] = '\0';
	if (!name_is_sound(e->name))
		return "a name that is empty, absolute, too deep or has \"..\", \".\" or \"//\"";
	if (e->type != TAR_FILE && e->size != 0)
		return "a link or a directory with data";
	if (e->type != TAR_DIRECTORY && strcmp(e->name, ".") == 0)
		return "\".\" that is no directory";
	if (e->type == TAR_SYMLINK && e->target[0] == '\0')
		return "a symbolic link to nothing";
	if (e->type == TAR_HARDLINK && !name_is_sound(e->target))
		return "a hard link to a name outside";
	if ((e->type == TAR_FILE || e->type == TAR_DIRECTORY) && e->target[0] != '\0')
		return "a link's target where there is no link";
	return NULL;
}

const char *
tar_header_decode(const struct tar_header *h, const struct tar_pax *pax, struct tar_entry *e)
{
	/* Type 7 is a file to be laid out contiguously, NUL a file of before ustar. */
	static const char types[] = {TAR_FILE, '\0', '7', TAR_HARDLINK, TAR_SYMLINK, TAR_DIRECTORY};
	uint64_t mode, mtime;

	if (memchr(types, h->type, sizeof(types)) == NULL)
		return "an entry that is no file, directory or link";
	e->type = h->type == '\0' || h->type == '7' ? TAR_FILE : (enum tar_type)h->type;
	if (!get_octal(h->mode, sizeof(h->mode), &mode) ||
	    !get_octal(h->uid, sizeof(h->uid), &e->uid) ||
	    !get_octal(h->gid, sizeof(h->gid), &e->gid) ||
	    !get_octal(h->size, sizeof(h->size), &e->size) ||
	    !get_octal(h->mtime, sizeof(h->mtime), &mtime))
		return "a number that is not octal";
	e->mode = (uint32_t)(mode & 07777);
	e->mtime = pax->has_mtime ? pax->mtime : (int64_t)mtime;
	if (pax->has_size)
		e->size = pax->size;
	if (pax->has_uid)
		e->uid = pax->uid;
	if (pax->has_gid)
		e->gid = pax->gid;
	if (pax->has_path)
		memcpy(e->name, pax->path, sizeof(e->name));
	else
		get_name(h, e->name);
	if (pax->has_linkpath)
		memcpy(e->target, pax->linkpath, sizeof(e->target));
	else
		snprintf(e->target, sizeof(e->target), "%.*s", (int)sizeof(h->target), h->target);
	return check_entry(e);
}

/* ---- pax records: "length key=value\n", length counting itself ---- */

static bool
get_decimal(const char *s, size_t n, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	size_t i;

	if (n == 0 || n > 20)
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || v > (max - (unsigned)(s[i] - '0')) / 10)
			return false;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	*value = v;
	return true;
}

static bool
set_name(bool *has, char *out, const char *value, size_t n)
{
	if (n == 0 || n > TAR_NAME_MAX || memchr(value, '\0', n) != NULL)
		return false;
	memcpy(out, value, n);
	out[n] = '\0';
	*has = true;
	return true;
}

static bool
set_path(struct tar_pax *p, const char *value, size_t n)
{
	return set_name(&p->has_path, p->path, value, n);
}

static bool
set_linkpath(struct tar_pax *p, const char *value, size_t n)
{
	return set_name(&p->has_linkpath, p->linkpath, value, n);
}

static bool
set_size(struct tar_pax *p, const char *value, size_t n)
{
	p->has_size = true;
	return get_decimal(value, n, INT64_MAX, &p->size);
}

static bool
set_uid(struct tar_pax *p, const char *value, size_t n)
{
	p->has_uid = true;
	return get_decimal(value, n, UINT32_MAX, &p->uid);
}

static bool
set_gid(struct tar_pax *p, const char *value, size_t n)
{
	p->has_gid = true;
	return get_decimal(value, n, UINT32_MAX, &p->gid);
}

/* Seconds, with a sign and a fraction that is dropped (towards the past, as time goes). */
static bool
set_mtime(struct tar_pax *p, const char *value, size_t n)
{
	const bool negative = n > 0 && value[0] == '-';
	const char *digits = value + negative, *point;
	size_t whole, i, left = n - negative;
	bool fraction = false;
	uint64_t v;

	point = memchr(digits, '.', left);
	whole = point != NULL ? (size_t)(point - digits) : left;
	if (!get_decimal(digits, whole, INT64_MAX / 2, &v))
		return false;
	for (i = whole + 1; i < left; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		fraction = fraction || digits[i] != '0';
	}
	p->mtime = negative ? -(int64_t)v - fraction : (int64_t)v;
	p->has_mtime = true;
	return true;
}

static const struct {
	const char *key;
	bool (*set)(struct tar_pax *p, const char *value, size_t n);
} pax_keys[] = {
    {"path", set_path},
    {"linkpath", set_linkpath},
    {"size", set_size},
    {"uid", set_uid},
    {"gid", set_gid},
    {"mtime", set_mtime},
};

/* Keys that are not known say nothing that matters here, but for those that change what data is. */
static const char *
decode_record(const char *key, size_t key_length, const char *value, size_t n, bool global,
    struct tar_pax *pax)
{
	static const char sparse[] = "GNU.sparse.";
	size_t i;

	if (key_length >= sizeof(sparse) - 1 && memcmp(key, sparse, sizeof(sparse) - 1) == 0)
		return "a sparse file";
	for (i = 0; i < sizeof(pax_keys) / sizeof(pax_keys[0]); i++) {
		if (strlen(pax_keys[i].key) != key_length ||
		    memcmp(pax_keys[i].key, key, key_length) != 0)
			continue;
		if (global)
			return "a global header that renames or resizes";
		return pax_keys[i].set(pax, value, n) ? NULL : "a bad value in an extended header";
	}
	return NULL;
}

const char *
tar_pax_decode(const char *bytes, size_t n, bool global, struct tar_pax *pax)
{
	static const char bad[] = "a malformed extended header";
	const char *space, *equals, *wrong;
	uint64_t length;

	while (n > 0) {
		space = memchr(bytes, ' ', n);
		if (space == NULL ||
		    !get_decimal(bytes, (size_t)(space - bytes), TAR_PAX_MAX, &length) ||
		    length > n || length < (size_t)(space - bytes) + 4 || bytes[length - 1] != '\n')
			return bad;
		space++;
		equals = memchr(space, '=', (size_t)(bytes + length - 1 - space));
		if (equals == NULL || equals == space)
			return bad;
		wrong = decode_record(space, (size_t)(equals - space), equals + 1,
		    (size_t)(bytes + length - 1 - (equals + 1)), global, pax);
		if (wrong != NULL)
			return wrong;
		bytes += length;
		n -= length;
	}
	return NULL;
}

/* ---- Encoding ---- */

static void
put_octal(char *field, size_t size, uint64_t value)
{
	char digits[32];

	/* Cut where it does not fit: an extended header says it then. */
	snprintf(digits, sizeof(digits), "%0*llo", (int)size - 1,
	    (unsigned long long)(value & OCTAL_MAX(size - 1)));
	memcpy(field, digits, size);
}

static void
finish_header(struct tar_header *h)
{
	memcpy(h->magic,
	    "ustar\0"
	    "00",
	    8);
	put_octal(h->checksum, sizeof(h->checksum) - 1, checksum(h));
	h->checksum[7] = ' ';
}

/* Splits a name at a slash into prefix and name; false where ustar has no room for it. */
static bool
put_name(struct tar_header *h, const char *name)
{
	size_t n = strlen(name), at;

	if (n <= sizeof(h->name)) {
		memcpy(h->name, name, n);
		return true;
	}
	for (at = n - sizeof(h->name) - 1; at < n && at <= sizeof(h->prefix); at++)
		if (name[at] == '/' && at > 0 && at + 1 < n) {
			memcpy(h->prefix, name, at);
			memcpy(h->name, name + at + 1, n - at - 1);
			return true;
		}
	/* A reader that knows no pax still gets something to call it. */
	memcpy(h->name, name, sizeof(h->name));
	return false;
}

static size_t
put_record(char *at, const char *key, const char *value)
{
	const size_t rest = strlen(key) + strlen(value) + 3; /* space, '=', newline */
	size_t length = rest + 1, digits;

	/* The length counts its own digits. */
	for (;;) {
		digits = (size_t)snprintf(NULL, 0, "%zu", length);
		if (length == rest + digits)
			break;
		length = rest + digits;
	}
	return (size_t)sprintf(at, "%zu %s=%s\n", length, key, value);
}

static size_t
put_number(char *at, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	return put_record(at, key, text);
}

size_t
tar_header_encode(const struct tar_entry *e, uint8_t *out)
{
	struct tar_header h = {.type = (char)e->type}, x = {.type = TAR_TYPE_PAX};
	char *records = (char *)out + TAR_BLOCK;
	const size_t target = strlen(e->target);
	size_t n = 0;

	if (!put_name(&h, e->name))
		n += put_record(records + n, "path", e->name);
	memcpy(h.target, e->target, target < sizeof(h.target) ? target : sizeof(h.target));
	if (target > sizeof(h.target))
		n += put_record(records + n, "linkpath", e->target);
	put_octal(h.mode, sizeof(h.mode), e->mode);
	put_octal(h.uid, sizeof(h.uid), e->uid);
	if (e->uid > OCTAL_MAX(7))
		n += put_number(records + n, "uid", (int64_t)e->uid);
	put_octal(h.gid, sizeof(h.gid), e->gid);
	if (e->gid > OCTAL_MAX(7))
		n += put_number(records + n, "gid", (int64_t)e->gid);
	put_octal(h.size, sizeof(h.size), e->size);
	if (e->size > OCTAL_MAX(11))
		n += put_number(records + n, "size", (int64_t)e->size);
	put_octal(h.mtime, sizeof(h.mtime), e->mtime > 0 ? (uint64_t)e->mtime : 0);
	if (e->mtime < 0 || (uint64_t)e->mtime > OCTAL_MAX(11))
		n += put_number(records + n, "mtime", e->mtime);
	finish_header(&h);
	if (n == 0) {
		memcpy(out, &h, TAR_BLOCK);
		return TAR_BLOCK;
	}
	assert(n <= TAR_PAX_MAX);
	snprintf(x.name, sizeof(x.name), "pax");
	put_octal(x.mode, sizeof(x.mode), 0644);
	put_octal(x.uid, sizeof(x.uid), 0);
	put_octal(x.gid, sizeof(x.gid), 0);
	put_octal(x.size, sizeof(x.size), n);
	put_octal(x.mtime, sizeof(x.mtime), 0);
	finish_header(&x);
	memcpy(out, &x, TAR_BLOCK);
	memset(records + n, 0, tar_padding(n));
	n += tar_padding(n);
	memcpy(records + n, &h, TAR_BLOCK);
	return TAR_BLOCK + n + TAR_BLOCK;
}
