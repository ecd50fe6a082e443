/* SPDX-License-Identifier: Apache-2.0 */
/* What `gondolin diff` and `gondolin apply` need: who holds the changes, and where they would go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/changes.pb-c.h"
#include "ipc/message.h"
#include "supervisor/mounts.h"

/* A name of its own for each mount: the directory is new, and nobody but its user's. */
static int
write_file(int dir, size_t n, const uint8_t *bytes, size_t length)
{
	char name[32];
	int fd, rc = 0;

	snprintf(name, sizeof(name), SESSION_CHANGES_MOUNT "%zu", n);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, bytes, length) != (ssize_t)length)
		rc = -EIO;
	close(fd);
	return rc;
}

/*
 * Where the directory is, whatever the working directory of who asks.  Not realpath(3): the mount's
 * user may be the only one who can follow the path.  Returns 0 with *out the caller's, or -errno.
 */
static int
absolute(const char *host, char **out)
{
	char *here;
	int rc = 0;

	if (*host == '/')
		return (*out = strdup(host)) != NULL ? 0 : -ENOMEM;
	here = getcwd(NULL, 0);
	if (here == NULL)
		return -errno;
	while (*host == '.' && (host[1] == '/' || host[1] == '\0'))
		host += 1 + strspn(host + 1, "/");
	if (*here != '/')
		rc = -ENOENT; /* out of our reach, as the kernel says in front of it */
	else if (asprintf(out, "%s%s%s", here, *host != '\0' ? "/" : "", host) < 0)
		rc = -ENOMEM;
	free(here);
	return rc;
}

static int
offer(const struct mounts_row *r, const struct session *s, size_t n)
{
	Gondolin__ChangesMount m = GONDOLIN__CHANGES_MOUNT__INIT;
	uint8_t *bytes;
	char *host;
	int rc;

	rc = absolute(r->config->host, &host);
	if (rc < 0)
		return rc;
	m.path = ipc_text(r->config->path);
	m.host = ipc_text(host);
	m.dev = r->dev;
	m.ino = r->ino;
	m.uid = r->uid;
	m.gid = r->gid;
	m.seconds = r->opened.tv_sec;
	m.nanoseconds = (uint32_t)r->opened.tv_nsec;
	bytes = malloc(gondolin__changes_mount__get_packed_size(&m));
	rc = bytes == NULL ? -ENOMEM : 0;
	if (rc == 0)
		rc = write_file(s->dir_fd, n, bytes, gondolin__changes_mount__pack(&m, bytes));
	free(bytes);
	free(host);
	return rc;
}

int
mounts_offer_changes(struct mounts *m, const struct session *s)
{
	size_t i, n = 0;
	int rc = 0;

	for (i = 0; i < m->n && rc == 0; i++)
		if (m->rows[i].config->mode == CONFIG_MOUNT_COW)
			rc = offer(&m->rows[i], s, n++);
	if (rc == 0 && n > 0)
		rc = m->changes_fd = session_listen_at(s, SESSION_CHANGES_SOCKET, 16);
	return rc < 0 ? rc : 0;
}

int
mounts_hand_changes(struct mounts *m)
{
	Gondolin__VfsdServeChanges message = GONDOLIN__VFSD_SERVE_CHANGES__INIT;
	int rc;

	if (m->changes_fd < 0)
		return 0;
	rc = mounts_send(m, GONDOLIN__SUP_TO_VFSD__BODY_SERVE_CHANGES, &message, m->changes_fd);
	close(m->changes_fd);
	m->changes_fd = -1;
	return rc;
}
