/* SPDX-License-Identifier: Apache-2.0 */
/* Files in and out, as tar streams that the guest's agent packs and unpacks. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/transfer.h"
#include "ipc/tar.h"

#define BLOCK   65536
#define TAR_IN  GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_IN
#define TAR_OUT GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_OUT

static int
check_guest_path(const char *path, struct gondolin_error *error)
{
	if (path[0] == '/')
		return 0;
	return client_fail(error, -EINVAL, "\"%s\": a path in the guest has to be absolute", path);
}

static int
write_to_guest(void *ctx, const void *bytes, size_t n)
{
	return transfer_write(ctx, bytes, n);
}

static ssize_t
read_from_guest(void *ctx, void *bytes, size_t n)
{
	return transfer_read(ctx, bytes, n);
}

/* ---- Trees ---- */

/* A file that could not be read fails the copy, by its first line. */
static void
on_warning(void *ctx, const char *line)
{
	char *why = ctx;

	if (why[0] == '\0')
		strncat(why, line, TAR_WHY_MAX - 1);
}

int
gondolin_copy_in(struct gondolin_session *session, const char *host_path, const char *guest_path,
    struct gondolin_error *error)
{
	char name[NAME_MAX + 1], why[TAR_WHY_MAX] = "";
	const struct tar_write_options options = {.warn = on_warning, .ctx = why};
	struct transfer t;
	struct tar_sink sink = {.write = write_to_guest, .ctx = &t};
	int dir = -1, rc;
	struct stat st;

	rc = check_guest_path(guest_path, error);
	if (rc < 0)
		return rc;
	rc = tar_open_source(host_path, &dir, name);
	if (rc == 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -errno;
	if (rc < 0) {
		client_fail(error, rc, "%s: %s", host_path, strerror(-rc));
		goto out;
	}
	/* Left out within a tree, but not where it is all that was asked for. */
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
		rc = client_fail(error, -EINVAL,
		    "%s: a device, fifo or socket is not copied; pipe what it holds through "
		    "gondolin exec",
		    host_path);
		goto out;
	}
	rc = transfer_start(&t, session, TAR_IN, guest_path, error);
	if (rc < 0)
		goto out;
	rc = tar_write_tree(dir, name, name, &sink, &options);
	rc = transfer_end(&t, rc, why, error);
out:
	client_close(&dir);
	return rc;
}

/*
 * The guest names what it sends; here everything of it gets the name that was asked for, so that
 * it cannot choose which of the destination's other files to replace.
 */
static int
pin_name(const char *guest_path, struct tar_extract_options *options, char *name)
{
	size_t end = strlen(guest_path), start;

	while (end > 0 && guest_path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && guest_path[start - 1] != '/';)
		start--;
	if (options->rename_first != NULL || end == start)
		return 0;
	if (end - start > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, guest_path + start, end - start);
	name[end - start] = '\0';
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		options->rename_first = name;
	return 0;
}

int
gondolin_copy_out(struct gondolin_session *session, const char *guest_path, const char *host_path,
    struct gondolin_error *error)
{
	char name[NAME_MAX + 1], why[TAR_WHY_MAX] = "";
	struct tar_extract_options options;
	struct transfer t;
	const struct tar_source source = {.read = read_from_guest, .ctx = &t};
	int dir = -1, rc;

	rc = check_guest_path(guest_path, error);
	if (rc < 0)
		return rc;
	rc = tar_open_destination(host_path, &dir, &options, name);
	if (rc < 0)
		return client_fail(error, rc, "%s: %s", host_path, strerror(-rc));
	rc = pin_name(guest_path, &options, name);
	if (rc < 0)
		client_fail(error, rc, "%s: %s", guest_path, strerror(-rc));
	else
		rc = transfer_start(&t, session, TAR_OUT, guest_path, error);
	if (rc == 0)
		rc = transfer_end(&t, tar_extract(dir, &source, &options, why), why, error);
	client_close(&dir);
	return rc;
}

/* ---- Streams ---- */

int
gondolin_tar_in(
    struct gondolin_session *session, int fd, const char *guest_path, struct gondolin_error *error)
{
	struct transfer t;
	char block[BLOCK];
	ssize_t n;
	int rc;

	rc = check_guest_path(guest_path, error);
	if (rc == 0)
		rc = transfer_start(&t, session, TAR_IN, guest_path, error);
	if (rc < 0)
		return rc;
	while (rc == 0 && (n = read(fd, block, sizeof(block))) != 0)
		if (n > 0)
			rc = transfer_write(&t, block, (size_t)n);
		else if (errno != EINTR)
			rc = -errno;
	return transfer_end(&t, rc, NULL, error);
}

int
gondolin_tar_out(
    struct gondolin_session *session, const char *guest_path, int fd, struct gondolin_error *error)
{
	struct transfer t;
	struct tar_sink sink = tar_sink_fd(&fd);
	char block[BLOCK], why[TAR_WHY_MAX] = "";
	ssize_t n = 0;
	int rc;

	rc = check_guest_path(guest_path, error);
	if (rc == 0)
		rc = transfer_start(&t, session, TAR_OUT, guest_path, error);
	if (rc < 0)
		return rc;
	while (rc == 0 && (n = transfer_read(&t, block, sizeof(block))) > 0)
		rc = sink.write(sink.ctx, block, (size_t)n);
	if (rc < 0)
		snprintf(why, sizeof(why), "the archive cannot be written: %s", strerror(-rc));
	return transfer_end(&t, n < 0 ? (int)n : rc, why, error);
}
