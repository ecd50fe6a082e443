/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashing parts.  They are large, so this is libcrypto's work; it is a file of its own so that who
 * only resolves an image (the supervisor) does not map that library.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/image/private.h"
#include "ipc/sha256.h"

#define COPY_CHUNK    (256u * 1024u)
#define PROGRESS_STEP (32ull * 1024u * 1024u)

static void
finish(EVP_MD_CTX *md, char sha256[IMAGE_ID_LENGTH + 1])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_DigestFinal_ex(md, digest, &n) != 1 || n != SHA256_SIZE)
		abort();
	sha256_hex(digest, sha256);
}

static bool
all_zero(const unsigned char *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static int
write_at(int fd, const unsigned char *bytes, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, bytes, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

static int
copy_chunks(int in, int out, uint64_t size, const char *what, const struct image_progress *p,
    EVP_MD_CTX *md, unsigned char *buffer)
{
	uint64_t offset = 0;

	while (offset < size) {
		size_t want = size - offset < COPY_CHUNK ? (size_t)(size - offset) : COPY_CHUNK;
		ssize_t got = pread(in, buffer, want, (off_t)offset);

		if (image_cancelled(p))
			return -EINTR;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EBADMSG;
		EVP_DigestUpdate(md, buffer, (size_t)got);
		if (out != -1 && !all_zero(buffer, (size_t)got)) {
			int error = write_at(out, buffer, (size_t)got, offset);

			if (error < 0)
				return error;
		}
		if (offset / PROGRESS_STEP != (offset + (uint64_t)got) / PROGRESS_STEP)
			image_step(p, what, offset, size);
		offset += (uint64_t)got;
	}
	if (out != -1 && ftruncate(out, (off_t)size) < 0)
		return -errno;
	return 0;
}

int
image_copy_hashed(int in, int out, uint64_t size, const char *what, const struct image_progress *p,
    char sha256[IMAGE_ID_LENGTH + 1])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char *buffer = malloc(COPY_CHUNK);
	int error;

	if (md == NULL || buffer == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	image_step(p, what, 0, size);
	error = copy_chunks(in, out, size, what, p, md, buffer);
	if (error == 0)
		finish(md, sha256);
	free(buffer);
	EVP_MD_CTX_free(md);
	return error;
}

int
image_verify(
    const struct image *i, const struct image_progress *progress, char *error, size_t error_size)
{
	for (int kind = 0; kind < IMAGE_PARTS; kind++) {
		const struct image_part *p = &i->manifest.parts[kind];
		char sha256[IMAGE_ID_LENGTH + 1] = "";
		char *what = image_format("verifying %s", p->file);
		int result = image_copy_hashed(i->fds[kind], -1, p->size, what, progress, sha256);

		free(what);
		if (result < 0 && result != -EBADMSG)
			return log_fail(
			    error, error_size, result, "%s: %s", i->paths[kind], strerror(-result));
		if (strcmp(sha256, p->sha256) != 0)
			return log_fail(error, error_size, -EBADMSG,
			    "%s does not have the hash of its manifest: remove the image and build "
			    "it again",
			    i->paths[kind]);
	}
	return 0;
}
