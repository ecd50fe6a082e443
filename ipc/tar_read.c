/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a tar archive entry by entry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/tar_private.h"

/* Zeros that archivers add after the end to fill a record (20 blocks by default). */
#define TRAILER_MAX (1u << 20)

struct tar_reader {
	struct tar_source source;
	uint64_t left;  /* bytes of data of the current entry that were not read */
	size_t padding; /* after them */
	bool ended;
	struct tar_pax pax;
	char records[TAR_PAX_MAX + TAR_BLOCK];
};

static ssize_t
read_fd(void *ctx, void *bytes, size_t n)
{
	ssize_t r;

	do
		r = read(*(int *)ctx, bytes, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

struct tar_source
tar_source_fd(int *fd)
{
	return (struct tar_source){read_fd, fd};
}

struct tar_reader *
tar_reader_new(const struct tar_source *source)
{
	struct tar_reader *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->source = *source;
	return r;
}

void
tar_reader_free(struct tar_reader *r)
{
	free(r);
}

/* Reads just n bytes.  Returns 0, -EPROTO where the source ends before, or its -errno. */
static int
read_all(struct tar_reader *r, void *bytes, size_t n)
{
	ssize_t got;
	size_t done = 0;

	while (done < n) {
		got = r->source.read(r->source.ctx, (char *)bytes + done, n - done);
		if (got <= 0)
			return got == 0 ? -EPROTO : (int)got;
		done += (size_t)got;
	}
	return 0;
}

ssize_t
tar_reader_data(struct tar_reader *r, void *bytes, size_t n)
{
	ssize_t got;

	if (r->left == 0 || n == 0)
		return 0;
	got = r->source.read(r->source.ctx, bytes, n < r->left ? n : (size_t)r->left);
	if (got == 0)
		return -EPROTO;
	if (got > 0)
		r->left -= (uint64_t)got;
	return got;
}

static int
skip_data(struct tar_reader *r)
{
	char waste[8192];
	ssize_t n;
	int rc;

	while (r->left > 0) {
		n = tar_reader_data(r, waste, sizeof(waste));
		if (n < 0)
			return (int)n;
	}
	rc = read_all(r, waste, r->padding);
	r->padding = 0;
	return rc;
}

/* After one block of zeros: another one, and nothing but zeros up to the source's end. */
static const char *
read_end(struct tar_reader *r, int *rc)
{
	char bytes[8192];
	size_t total = 0;
	ssize_t n;

	*rc = read_all(r, bytes, TAR_BLOCK);
	if (*rc < 0 || !file_is_zero(bytes, TAR_BLOCK))
		return "an archive that ends in the middle";
	while ((n = r->source.read(r->source.ctx, bytes, sizeof(bytes))) > 0) {
		total += (size_t)n;
		if (!file_is_zero(bytes, (size_t)n) || total > TRAILER_MAX)
			return "bytes after the archive's end";
	}
	*rc = (int)n;
	r->ended = true;
	return NULL;
}

static const char *
read_pax(struct tar_reader *r, const struct tar_header *h, int *rc)
{
	const bool global = h->type == TAR_TYPE_PAX_GLOBAL;
	uint64_t size;

	if (tar_header_size(h, &size) < 0 || size > TAR_PAX_MAX)
		return "an extended header that is too long";
	*rc = read_all(r, r->records, (size_t)size + tar_padding(size));
	if (*rc < 0)
		return "an archive that ends in the middle";
	if (!global)
		memset(&r->pax, 0, sizeof(r->pax));
	return tar_pax_decode(r->records, (size_t)size, global, &r->pax);
}

/* Returns NULL with *rc 1, 0 or a source's error; or what is wrong, with *rc 0 or such an error. */
static const char *
next(struct tar_reader *r, struct tar_entry *e, int *rc)
{
	struct tar_header h;
	const char *wrong;
	bool extended = false;

	*rc = skip_data(r);
	if (*rc < 0)
		return "an archive that ends in the middle";
	memset(&r->pax, 0, sizeof(r->pax));
	for (;;) {
		*rc = read_all(r, &h, sizeof(h));
		if (*rc < 0)
			return "an archive that ends in the middle";
		if (file_is_zero(&h, sizeof(h)))
			return extended ? "an extended header without an entry" : read_end(r, rc);
		if (!tar_header_is_sound(&h))
			return "a header that is not ustar or has a wrong checksum";
		if (h.type != TAR_TYPE_PAX && h.type != TAR_TYPE_PAX_GLOBAL)
			break;
		if (h.type == TAR_TYPE_PAX && extended)
			return "two extended headers for one entry";
		extended = extended || h.type == TAR_TYPE_PAX;
		wrong = read_pax(r, &h, rc);
		if (wrong != NULL)
			return wrong;
	}
	wrong = tar_header_decode(&h, &r->pax, e);
	if (wrong != NULL)
		return wrong;
	r->left = e->size;
	r->padding = tar_padding(e->size);
	*rc = 1;
	return NULL;
}

int
tar_reader_next(struct tar_reader *r, struct tar_entry *e, const char **why)
{
	int rc = 0;

	*why = NULL;
	if (r->ended)
		return 0;
	*why = next(r, e, &rc);
	if (*why == NULL)
		return rc;
	/* The source's own failure is not the archive's. */
	if (rc < 0 && rc != -EPROTO) {
		*why = NULL;
		return rc;
	}
	return -EPROTO;
}
