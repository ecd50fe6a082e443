/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session directories.  All work goes through descriptors: the runtime directory is opened and
 * judged once, and every name below it is resolved from there without following links.
 */
#include "ipc/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/log.h"

#define LOCK_NAME    "lock"
#define LOCK_TEXT    "lock of a gondolin session\n" /* a stranger's file of that name is none */
#define SOCKET_NAME  "control.sock"
#define HALF_MADE    ".gondolin-" /* and an id: a directory that is not whole yet */
#define ATTEMPTS_MAX 100          /* to lock a directory that others remove at the same time */

/* ---- Ids and processes ---- */

void
session_id_make(char id[SESSION_ID_SIZE])
{
	uint32_t r;

	/* 4 bytes come whole or not at all; without randomness nothing is safe. */
	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		abort();
	snprintf(id, SESSION_ID_SIZE, "%08x", r);
}

bool
session_id_is_valid(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n >= 1 && n <= SESSION_ID_MAX && id[n] == '\0' && id[0] != '-';
}

uint64_t
session_process_start_time(pid_t pid)
{
	char path[64], text[1024], *p, *end;
	unsigned long long start;
	int fd, field;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* The process chose its name, which may hold spaces and ")": fields count from the last. */
	p = strrchr(text, ')');
	for (field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p == NULL)
		return 0;
	errno = 0;
	start = strtoull(p + 1, &end, 10);
	if (errno != 0 || end == p + 1 || *end != ' ')
		return 0;
	return start;
}

/* ---- Directories ---- */

static int
runtime_path(char *path, size_t size, char *error, size_t error_size)
{
	const char *own = getenv("GONDOLIN_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (own != NULL && own[0] != '\0') {
		if (own[0] != '/')
			return log_fail(error, error_size, -EINVAL,
			    "GONDOLIN_RUNTIME_DIR=%s: not an absolute path", own);
		n = snprintf(path, size, "%s", own);
	} else if (geteuid() == 0) {
		n = snprintf(path, size, "/run/gondolin");
	} else if (xdg != NULL && xdg[0] == '/') {
		n = snprintf(path, size, "%s/gondolin", xdg);
	} else {
		n = snprintf(path, size, "/tmp/gondolin-%u", (unsigned)geteuid());
	}
	if (n < 0 || (size_t)n >= size)
		return log_fail(
		    error, error_size, -ENAMETOOLONG, "the runtime directory's path is too long");
	return 0;
}

/* What another user could have put there is not ours to use. */
static const char *
directory_fault(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return "cannot be examined";
	if (st.st_uid != geteuid())
		return "belongs to another user";
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "can be written to by others";
	return NULL;
}

/* Opens the runtime directory; makes it first where that is asked for. */
static int
open_runtime(bool make, int *fd, char *error, size_t error_size)
{
	char path[SESSION_PATH_SIZE];
	const char *fault;
	int rc;

	rc = runtime_path(path, sizeof(path), error, error_size);
	if (rc < 0)
		return rc;
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST) {
		rc = -errno;
		return log_fail(error, error_size, rc,
		    "%s: cannot be made (%s); set GONDOLIN_RUNTIME_DIR to a directory of yours",
		    path, strerror(-rc));
	}
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0) {
		rc = errno == ELOOP ? -ENOTDIR : -errno;
		return log_fail(error, error_size, rc,
		    "%s: %s; set GONDOLIN_RUNTIME_DIR to a directory of yours", path,
		    rc == -ENOTDIR ? "not a directory" : strerror(-rc));
	}
	fault = directory_fault(*fd);
	if (fault != NULL) {
		close(*fd);
		*fd = -1;
		return log_fail(error, error_size, -EPERM,
		    "%s: %s; set GONDOLIN_RUNTIME_DIR to a directory of yours", path, fault);
	}
	return 0;
}

void
session_close(struct session *s)
{
	int *fds[] = {&s->lock_fd, &s->dir_fd, &s->parent_fd};
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int
open_session(struct session *s, int parent_fd, const char *id)
{
	*s = SESSION_EMPTY;
	snprintf(s->id, sizeof(s->id), "%s", id);
	s->parent_fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 0);
	if (s->parent_fd >= 0)
		s->dir_fd = openat(parent_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->parent_fd < 0 || s->dir_fd < 0 || directory_fault(s->dir_fd) != NULL) {
		int rc = s->parent_fd < 0 || s->dir_fd < 0 ? -errno : -EPERM;

		session_close(s);
		return rc;
	}
	return 0;
}

/* ---- The lock ---- */

static const struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

static bool
is_half_made(const char *name)
{
	return strncmp(name, HALF_MADE, strlen(HALF_MADE)) == 0 &&
	       session_id_is_valid(name + strlen(HALF_MADE));
}

/* The runtime directory may be one where the user keeps other things: only what says so is ours. */
static bool
is_our_lock(int fd)
{
	char text[sizeof(LOCK_TEXT)];
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       pread(fd, text, sizeof(text), 0) == (ssize_t)strlen(LOCK_TEXT) &&
	       memcmp(text, LOCK_TEXT, strlen(LOCK_TEXT)) == 0;
}

static bool
same_file(int dir_fd, const char *name, int fd)
{
	struct stat a, b;

	return fstatat(dir_fd, name, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * Takes the lock of s->lock_fd.  Returns 0; -EEXIST where another has it; -EAGAIN where the session
 * was removed meanwhile, so that it is the lock of a name that is gone.
 */
static int
take_lock(const struct session *s)
{
	if (fcntl(s->lock_fd, F_OFD_SETLK, &whole_file) < 0)
		return errno == EAGAIN || errno == EACCES ? -EEXIST : -errno;
	if (!same_file(s->parent_fd, s->id, s->dir_fd) ||
	    !same_file(s->dir_fd, LOCK_NAME, s->lock_fd))
		return -EAGAIN;
	return 0;
}

/* Locks a session that is there.  -ENOENT: no sandbox made this directory; else as take_lock. */
static int
lock_session(struct session *s)
{
	s->lock_fd = openat(s->dir_fd, LOCK_NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	/* A link, a directory, a socket, a file that its user may not write: a stranger's. */
	if (s->lock_fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
	/* What is half made may have died before it could say whose it is; its name does. */
	if (!is_half_made(s->id) && !is_our_lock(s->lock_fd))
		return -ENOENT;
	return take_lock(s);
}

bool
session_is_live(const struct session *s)
{
	struct flock probe = whole_file;
	bool live;
	int fd;

	fd = openat(s->dir_fd, LOCK_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* Asking takes no lock, so that it cannot make a starting supervisor fail. */
	live = is_our_lock(fd) && fcntl(fd, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
	close(fd);
	return live;
}

/* ---- What is in a directory ---- */

/* What a sandbox and its commands make there, all but the lock. */
static bool
is_our_file(const char *name)
{
	static const char *const names[] = {SOCKET_NAME, SESSION_FILE_NAME, SESSION_FILE_TEMPORARY,
	    SESSION_CHANGES_SOCKET, SESSION_CHANGES_REVIEWED, SESSION_CHANGES_APPLIED};
	const char *number = name + strlen(SESSION_CHANGES_MOUNT);
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, SESSION_CHANGES_MOUNT, strlen(SESSION_CHANGES_MOUNT)) == 0 &&
	       number[0] != '\0' && number[strspn(number, "0123456789")] == '\0';
}

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Calls each for every name, until one returns something else than 0, which is returned. */
static int
each_name(const struct session *s, int (*each)(const struct session *s, const char *name))
{
	struct dirent *e;
	int fd, rc = 0;
	DIR *d;

	fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (d == NULL)
		abort();
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (!is_dots(e->d_name))
			rc = each(s, e->d_name);
	closedir(d);
	return rc;
}

static int
remove_if_ours(const struct session *s, const char *name)
{
	if (!is_our_file(name) || unlinkat(s->dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

/* Removes all of ours but the lock. */
static int
empty_session(const struct session *s)
{
	return each_name(s, remove_if_ours);
}

static int
refuse(const struct session *s, const char *name)
{
	(void)s;
	(void)name;
	return -ENOTEMPTY;
}

/* ---- Making one ---- */

/*
 * Makes a directory that is locked and says whose it is, under a name that no id can have.  So
 * there is never one of ours under an id that does not say so, wherever this process dies.
 */
static int
make_half(struct session *s, int parent_fd)
{
	char id[SESSION_ID_SIZE], name[SESSION_ID_SIZE];
	int rc;

	session_id_make(id);
	snprintf(name, sizeof(name), HALF_MADE "%.8s", id);
	if (mkdirat(parent_fd, name, 0700) < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	rc = open_session(s, parent_fd, name);
	if (rc < 0) {
		(void)unlinkat(parent_fd, name, AT_REMOVEDIR);
	} else {
		s->lock_fd = openat(
		    s->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		rc = s->lock_fd < 0 ? -errno : take_lock(s);
	}
	/* A sweep found it before it was locked. */
	if (rc == -ENOENT || rc == -EEXIST)
		rc = -EAGAIN;
	if (rc == 0)
		rc = file_write_all(s->lock_fd, LOCK_TEXT, strlen(LOCK_TEXT));
	if (rc < 0)
		session_remove(s);
	return rc;
}

/* Opens and locks the directory of a dead session; -ENOTEMPTY where no sandbox made it. */
static int
take_over(struct session *s, int parent_fd, const char *id)
{
	int rc;

	rc = open_session(s, parent_fd, id);
	if (rc < 0)
		return rc == -ENOENT ? -EAGAIN : rc;
	rc = lock_session(s);
	/* An empty one is being removed. */
	if (rc == -ENOENT)
		rc = each_name(s, refuse) == 0 ? -EAGAIN : -ENOTEMPTY;
	if (rc == 0)
		rc = empty_session(s);
	if (rc < 0)
		session_close(s);
	return rc;
}

/*
 * Makes the directory of an id, or takes that of a dead session over.  Returns 0; -EEXIST where
 * that session lives; -EAGAIN where others removed it meanwhile; or another -errno.
 */
static int
claim(struct session *s, int parent_fd, const char *id)
{
	int rc;

	rc = make_half(s, parent_fd);
	if (rc < 0)
		return rc;
	/* Takes the place of nothing, or of an empty directory. */
	if (renameat(parent_fd, s->id, parent_fd, id) == 0) {
		snprintf(s->id, sizeof(s->id), "%s", id);
		return 0;
	}
	rc = -errno;
	session_remove(s);
	return rc == -EEXIST || rc == -ENOTEMPTY ? take_over(s, parent_fd, id) : rc;
}

int
session_create(struct session *s, const char *id, char *error, size_t error_size)
{
	char made[SESSION_ID_SIZE];
	int rc, parent_fd = -1, attempt;

	*s = SESSION_EMPTY;
	if (id != NULL && !session_id_is_valid(id))
		return log_fail(error, error_size, -EINVAL,
		    "not a session id; use 1 to 32 of a-z, 0-9 and -, no - first");
	rc = open_runtime(true, &parent_fd, error, error_size);
	if (rc < 0)
		return rc;
	rc = -EAGAIN;
	for (attempt = 0; rc == -EAGAIN && attempt < ATTEMPTS_MAX; attempt++) {
		if (id == NULL)
			session_id_make(made);
		rc = claim(s, parent_fd, id != NULL ? id : made);
		if (id == NULL && (rc == -EEXIST || rc == -ENOTEMPTY))
			rc = -EAGAIN;
	}
	close(parent_fd);
	if (rc == -EEXIST)
		return log_fail(error, error_size, rc,
		    "a sandbox with the id %s is running; choose another id or stop it", id);
	if (rc == -ENOTEMPTY)
		return log_fail(error, error_size, rc,
		    "session directory %s: there are files in it that are not a sandbox's; choose "
		    "another id, or another GONDOLIN_RUNTIME_DIR",
		    id);
	if (rc < 0)
		return log_fail(error, error_size, rc, "session directory %s: %s",
		    id != NULL ? id : made, strerror(-rc));
	return 0;
}

void
session_remove(struct session *s)
{
	if (s->dir_fd >= 0) {
		(void)empty_session(s);
		/* Last: until here the name is taken. */
		(void)unlinkat(s->dir_fd, LOCK_NAME, 0);
		(void)unlinkat(s->parent_fd, s->id, AT_REMOVEDIR);
	}
	session_close(s);
}

/* ---- Sockets ---- */

/* Through /proc: the session's path may be longer than a sun_path (108 bytes). */
static void
socket_address(const struct session *s, const char *name, struct sockaddr_un *a)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%.64s", s->dir_fd, name);
}

int
session_listen_at(const struct session *s, const char *name, int backlog)
{
	struct sockaddr_un a;
	int fd, rc;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	socket_address(s, name, &a);
	(void)unlinkat(s->dir_fd, name, 0);
	/* The mode of the socket becomes that of the file, so that it is never a wider one. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, backlog) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int
session_listen(const struct session *s, int backlog)
{
	return session_listen_at(s, SOCKET_NAME, backlog);
}

int
session_connect_at(const struct session *s, const char *name)
{
	struct sockaddr_un a;
	int fd, rc;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	socket_address(s, name, &a);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int
session_connect(const struct session *s)
{
	return session_connect_at(s, SOCKET_NAME);
}

/* ---- All sessions ---- */

static int
is_session_name(const struct dirent *e)
{
	return session_id_is_valid(e->d_name) || is_half_made(e->d_name);
}

/* Calls each for every directory that may be a session's, live or not. */
static int
walk(int parent_fd, int (*each)(void *ctx, struct session *s), void *ctx)
{
	struct dirent **names = NULL;
	struct session s;
	int i, n, rc = 0;

	n = scandirat(parent_fd, ".", &names, is_session_name, alphasort);
	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		if (rc == 0 && open_session(&s, parent_fd, names[i]->d_name) == 0) {
			rc = each(ctx, &s);
			session_close(&s);
		}
		free(names[i]);
	}
	free(names);
	return rc;
}

static int
walk_runtime(int (*each)(void *ctx, struct session *s), void *ctx, char *error, size_t error_size)
{
	int fd = -1, rc;

	rc = open_runtime(false, &fd, error, error_size);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	rc = walk(fd, each, ctx);
	close(fd);
	return rc;
}

struct live_walk {
	int (*each)(void *ctx, const struct session *s);
	void *ctx;
};

static int
on_live(void *ctx, struct session *s)
{
	const struct live_walk *w = ctx;

	return !is_half_made(s->id) && session_is_live(s) ? w->each(w->ctx, s) : 0;
}

int
session_each(
    int (*each)(void *ctx, const struct session *s), void *ctx, char *error, size_t error_size)
{
	struct live_walk w = {each, ctx};

	return walk_runtime(on_live, &w, error, error_size);
}

static int
on_sweep(void *ctx, struct session *s)
{
	int *count = ctx, rc = lock_session(s);

	if (rc == 0) {
		session_remove(s);
		++*count;
	} else if (rc == -ENOENT && is_half_made(s->id)) {
		/* Died before it had a lock, or is about to make one, and then makes another. */
		(void)unlinkat(s->parent_fd, s->id, AT_REMOVEDIR);
	}
	return 0;
}

int
session_sweep(char *error, size_t error_size)
{
	int count = 0, rc;

	rc = walk_runtime(on_sweep, &count, error, error_size);
	return rc < 0 ? rc : count;
}

/* ---- Finding one ---- */

struct search {
	const char *prefix;
	char names[256]; /* of the matches, as far as they fit */
	size_t n;
	struct session found; /* the first match, or the exact one */
};

static int
on_candidate(void *ctx, struct session *s)
{
	struct search *f = ctx;
	size_t used = strlen(f->names);

	if (strncmp(s->id, f->prefix, strlen(f->prefix)) != 0 || !session_is_live(s))
		return 0;
	if (f->n++ == 0 || strcmp(s->id, f->prefix) == 0) {
		session_close(&f->found);
		/* Taken from the walk, which closes an empty one then. */
		f->found = *s;
		*s = SESSION_EMPTY;
		snprintf(s->id, sizeof(s->id), "%s", f->found.id);
	}
	snprintf(f->names + used, sizeof(f->names) - used, "%s%s", used > 0 ? ", " : "", s->id);
	return strcmp(s->id, f->prefix) == 0;
}

int
session_find(struct session *s, const char *prefix, char *error, size_t error_size)
{
	struct search f = {.prefix = prefix, .found = SESSION_EMPTY};
	int rc;

	*s = SESSION_EMPTY;
	if (!session_id_is_valid(prefix))
		return log_fail(error, error_size, -EINVAL,
		    "not a session id; `gondolin list` shows the running sandboxes");
	rc = walk_runtime(on_candidate, &f, error, error_size);
	if (rc < 0) {
		session_close(&f.found);
		return rc;
	}
	if (f.n == 0)
		return log_fail(error, error_size, -ENOENT,
		    "no running sandbox %s; `gondolin list` shows those there are", prefix);
	if (f.n > 1 && strcmp(f.found.id, prefix) != 0) {
		session_close(&f.found);
		return log_fail(error, error_size, -ENOTUNIQ,
		    "%s is the start of several ids: %s; write more of it", prefix, f.names);
	}
	*s = f.found;
	return 0;
}
