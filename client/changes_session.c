/* SPDX-License-Identifier: Apache-2.0 */
/* The session's side of a change: see the header. */
#include "client/changes_session.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/dispatch.h"
#include "ipc/message.h"
#include "ipc/mount_frame.h"
#include "ipc/packet.h"

static int __attribute__((format(printf, 3, 4))) fail(char *error, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, CHANGES_ERROR_SIZE, format, args);
	va_end(args);
	return rc;
}

/* ---- The mount ---- */

/* The n-th mount's description; NULL behind the last one. */
static Gondolin__ChangesMount *
read_mount(int dir, unsigned n)
{
	uint8_t bytes[16384];
	ProtobufCMessage *m = NULL;
	char name[32];
	ssize_t length;
	int fd;

	snprintf(name, sizeof(name), SESSION_CHANGES_MOUNT "%u", n);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	length = read(fd, bytes, sizeof(bytes));
	if (length > 0)
		m = ipc_message_decode(&gondolin__changes_mount__descriptor, bytes, (size_t)length);
	close(fd);
	return (Gondolin__ChangesMount *)m;
}

static bool
has_path(const Gondolin__ChangesMount *m, const char *path)
{
	return m->path.len == strlen(path) && memcmp(m->path.data, path, m->path.len) == 0;
}

static int
find_mount(struct changes_session *s, const char *path, char *error)
{
	Gondolin__ChangesMount *m;
	unsigned i, found = 0;

	for (i = 0; i < MOUNT_MAX; i++) {
		m = read_mount(s->session.dir_fd, i);
		if (m == NULL)
			break;
		if (path != NULL && !has_path(m, path)) {
			gondolin__changes_mount__free_unpacked(m, NULL);
			continue;
		}
		if (found++ > 0)
			gondolin__changes_mount__free_unpacked(m, NULL);
		else
			s->mount = m;
	}
	if (found > 1)
		return fail(error, -ENOTUNIQ,
		    "%s has several mounts with mode = cow; name one by its path in the guest",
		    s->session.id);
	if (found == 0 && path != NULL)
		return fail(
		    error, -ENOENT, "%s has no mount %s with mode = cow", s->session.id, path);
	if (found == 0)
		return fail(error, -ENOENT, "%s has no mount with mode = cow", s->session.id);
	s->path = ipc_string(&s->mount->path);
	s->host = ipc_string(&s->mount->host);
	return 0;
}

/* ---- The layer ---- */

/* A file without a name; in memory where no directory for temporary files takes one. */
static int
make_archive(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir != NULL && dir[0] == '/' ? dir : "/var/tmp",
	    O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		fd = memfd_create("changes", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
ask(int fd, const struct changes_session *s)
{
	Gondolin__ClientToVfsdChanges m = GONDOLIN__CLIENT_TO_VFSD_CHANGES__INIT;
	Gondolin__ChangesCopy copy = GONDOLIN__CHANGES_COPY__INIT;

	m.body_case = GONDOLIN__CLIENT_TO_VFSD_CHANGES__BODY_COPY;
	m.copy = &copy;
	copy.mount = s->mount->path;
	return ipc_packet_send(fd, &m.base, &s->archive, 1);
}

static int
on_copied(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const Gondolin__ChangesCopied *m = body;

	(void)fds;
	(void)n_fds;
	*(uint32_t *)ctx = m->error;
	return 0;
}

static const struct ipc_row rows[] = {
    {GONDOLIN__VFSD_CHANGES_TO_CLIENT__BODY_COPIED, "copied", IPC_ANY_STATE, 0, 0, on_copied},
};

static const struct ipc_table vfsd_table = {
    .envelope = &gondolin__vfsd_changes_to_client__descriptor,
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
};

/* Returns vfsd's own error as *refused. */
static int
receive(int fd, uint32_t *refused)
{
	uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	const char *name;
	int rc = ipc_packet_receive(fd, &p);

	if (rc <= 0)
		return rc < 0 ? rc : -EPIPE;
	return ipc_dispatch(&vfsd_table, refused, 1, &p, &name);
}

static int
fetch(struct changes_session *s, char *error)
{
	uint32_t refused = 0;
	int fd, rc;

	s->archive = make_archive();
	if (s->archive < 0)
		return fail(error, s->archive, "no temporary file: %s", strerror(-s->archive));
	fd = session_connect_at(&s->session, SESSION_CHANGES_SOCKET);
	rc = fd < 0 ? fd : ask(fd, s);
	if (rc == 0)
		rc = receive(fd, &refused);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return fail(error, rc, "%s does not answer: %s", s->session.id, strerror(-rc));
	if (refused == EAGAIN)
		return fail(error, -EAGAIN, "%s is still starting; try again", s->session.id);
	if (refused == EFBIG)
		return fail(error, -EFBIG,
		    "%s: the guest made files with more than 4 GiB of holes there; remove them in "
		    "the sandbox",
		    s->path);
	if (refused != 0)
		return fail(error, -EIO, "%s: the changes cannot be copied: %s", s->path,
		    strerror((int)refused));
	return 0;
}

/* ---- The user ---- */

/* Root becomes the mount's user, for good. */
static int
become_user(const struct changes_session *s, char *error)
{
	const uid_t uid = s->mount->uid;
	const gid_t gid = s->mount->gid;

	if (uid == geteuid())
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return fail(error, -errno, "cannot act as the user of %s (uid %u): %s", s->path,
		    uid, strerror(errno));
	return 0;
}

static int
open_root(struct changes_session *s, char *error)
{
	struct stat st;

	s->root = open(s->host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0 || fstat(s->root, &st) < 0)
		return fail(error, -errno, "%s: %s", s->host, strerror(errno));
	if (st.st_dev != s->mount->dev || st.st_ino != s->mount->ino)
		return fail(error, -ESTALE,
		    "%s is another directory than the one that was mounted; move that back",
		    s->host);
	return 0;
}

/* ---- What is remembered ---- */

static int
open_note(const struct changes_session *s, const char *name, int *fd, char *error)
{
	*fd = openat(
	    s->session.dir_fd, name, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *fd < 0 ? fail(error, -errno, "%s: %s", name, strerror(errno)) : 0;
}

/* A record of the file; dev, ino and time of change. */
struct applied {
	uint64_t dev, ino;
	int64_t seconds, nanoseconds;
};

static void
read_applied(struct changes_session *s)
{
	struct changes_print p = {.mode = 0};
	struct applied a;
	off_t at = 0;

	for (; s->n_prints < CHANGES_ENTRIES_MAX &&
	       pread(s->applied, &a, sizeof(a), at) == (ssize_t)sizeof(a);
	     at += (off_t)sizeof(a)) {
		s->prints = reallocarray(s->prints, s->n_prints + 1, sizeof(p));
		if (s->prints == NULL)
			abort();
		p.dev = a.dev;
		p.ino = a.ino;
		p.ctime = (struct timespec){.tv_sec = a.seconds, .tv_nsec = (long)a.nanoseconds};
		s->prints[s->n_prints++] = p;
	}
	changes_prints_sort(s->prints, s->n_prints);
}

void
changes_session_note_applied(const struct changes_session *s, const struct changes_print *p)
{
	const struct applied a = {p->dev, p->ino, p->ctime.tv_sec, p->ctime.tv_nsec};

	/* One that is missing makes the next change of that file a conflict: the safe side. */
	if (write(s->applied, &a, sizeof(a)) != (ssize_t)sizeof(a))
		return;
}

int
changes_session_note_reviewed(const struct changes_session *s, const char *id)
{
	if (changes_session_was_reviewed(s, id))
		return 0;
	return dprintf(s->reviewed, "%s\n", id) < 0 ? -errno : 0;
}

bool
changes_session_was_reviewed(const struct changes_session *s, const char *id)
{
	char line[SHA256_HEX_SIZE + 1];
	off_t at = 0;

	while (pread(s->reviewed, line, SHA256_HEX_SIZE, at) == (ssize_t)SHA256_HEX_SIZE) {
		if (strncmp(line, id, SHA256_HEX_SIZE - 1) == 0)
			return true;
		at += SHA256_HEX_SIZE;
	}
	return false;
}

/* ---- Opening ---- */

int
changes_session_open(struct changes_session *s, const char *id, const char *path, char *error)
{
	char why[SESSION_ERROR_SIZE] = "";
	int rc;

	*s = (struct changes_session){
	    .session = SESSION_EMPTY, .root = -1, .reviewed = -1, .applied = -1, .archive = -1};
	rc = session_find(&s->session, id, why, sizeof(why));
	if (rc < 0)
		return fail(error, rc, "%s", why);
	rc = find_mount(s, path, error);
	if (rc == 0)
		rc = open_note(s, SESSION_CHANGES_REVIEWED, &s->reviewed, error);
	if (rc == 0)
		rc = open_note(s, SESSION_CHANGES_APPLIED, &s->applied, error);
	if (rc == 0)
		rc = fetch(s, error);
	if (rc == 0)
		rc = become_user(s, error);
	if (rc == 0)
		rc = open_root(s, error);
	if (rc == 0)
		read_applied(s);
	return rc;
}

static void
close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
changes_session_close(struct changes_session *s)
{
	session_close(&s->session);
	close_one(&s->root);
	close_one(&s->reviewed);
	close_one(&s->applied);
	close_one(&s->archive);
	if (s->mount != NULL)
		gondolin__changes_mount__free_unpacked(s->mount, NULL);
	s->mount = NULL;
	free(s->path);
	free(s->host);
	free(s->prints);
	s->path = s->host = NULL;
	s->prints = NULL;
}
