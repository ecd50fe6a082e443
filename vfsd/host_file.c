/* SPDX-License-Identifier: Apache-2.0 */
/* Open files and directories of a host directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "vfsd/host_internal.h"

#define HANDLE(h)      ((struct host_handle *)(h))
#define LISTING_BUFFER 32768u
#define TICK_NS        20000000
#define COARSE_TICK_NS 2000000000

/* What getdents64(2) gave and was not handed out yet. */
struct host_listing {
	uint64_t cookie; /* of the entry before the next one */
	size_t at, used;
	char buffer[LISTING_BUFFER] __attribute__((aligned(8)));
};

/* Takes fd. */
int
host_handle_new(struct host *h, struct host_node *n, int fd, bool directory, bool writable,
    struct vfs_handle **out)
{
	struct host_handle *handle = calloc(1, sizeof(*handle));

	if (handle == NULL) {
		close(fd);
		return -ENOMEM;
	}
	handle->base.provider = &h->base;
	handle->base.node = &n->base;
	handle->base.directory = directory;
	handle->base.writable = writable;
	handle->fd = fd;
	handle->next = n->handles;
	n->handles = handle;
	vfs_node_ref(&n->base);
	*out = &handle->base;
	return 0;
}

void
host_close(struct vfs_provider *p, struct vfs_handle *handle)
{
	struct host_handle *hh = HANDLE(handle), **at = &NODE(handle->node)->handles;

	while (*at != hh)
		at = &(*at)->next;
	*at = hh->next;
	host_closing(HOST(p), NODE(handle->node), hh->fd);
	close(hh->fd);
	free(hh->listing);
	vfs_node_put(hh->base.node);
	free(hh);
}

/* Content is taken for unchanged where size and both times of change are. */
static uint32_t
stamp_of(const struct statx *st)
{
	uint64_t s = st->stx_size * 0x9e3779b97f4a7c15ull;

	s = (s ^ (uint64_t)st->stx_mtime.tv_sec) * 0x9e3779b97f4a7c15ull;
	s = (s ^ st->stx_mtime.tv_nsec) * 0x9e3779b97f4a7c15ull;
	s = (s ^ (uint64_t)st->stx_ctime.tv_sec) * 0x9e3779b97f4a7c15ull;
	s = (s ^ st->stx_ctime.tv_nsec) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(s >> 32) | 1;
}

/*
 * True where another change could have the same time as the last one: file systems take their times
 * from a clock of some milliseconds, some of two seconds, which shows by their having no parts.
 */
static bool
is_recent(const struct statx *st)
{
	const struct statx_timestamp *m = &st->stx_mtime, *c = &st->stx_ctime;
	bool coarse = m->tv_nsec == 0 && c->tv_nsec == 0;
	int64_t age, tick = coarse ? COARSE_TICK_NS : TICK_NS;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec - c->tv_sec > 60 || c->tv_sec - now.tv_sec > 60)
		return false;
	age = (now.tv_sec - c->tv_sec) * 1000000000 + now.tv_nsec - (int64_t)c->tv_nsec;
	return age < tick;
}

int
host_open(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **out,
    bool *unchanged)
{
	struct host *h = HOST(p);
	struct host_node *n = NODE(node);
	int mode = flags & O_ACCMODE, fd, error;
	struct statx st;
	uint32_t stamp;

	if (n->type != S_IFREG)
		return n->type == S_IFDIR ? -EISDIR : -EINVAL;
	if (mode == O_WRONLY && h->config.exclusive)
		mode = O_RDWR;
	fd = host_node_open(h, n, mode, &st);
	if (fd < 0)
		return fd;
	error = flags & O_TRUNC ? host_truncate(h, fd, 0) : 0;
	if (error != 0) {
		close(fd);
		return error;
	}
	stamp = stamp_of(&st);
	*unchanged = n->stamp == stamp && !(flags & O_TRUNC);
	n->stamp = is_recent(&st) ? 0 : stamp;
	return host_handle_new(h, n, fd, false, (flags & O_ACCMODE) != O_RDONLY, out);
}

ssize_t
host_read(
    struct vfs_provider *p, struct vfs_handle *handle, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	(void)p;
	while (done < size) {
		n = pread(
		    HANDLE(handle)->fd, (char *)buffer + done, size - done, (off_t)(offset + done));
		if (n < 0)
			return done > 0 ? (ssize_t)done : -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t
host_write(struct vfs_provider *p, struct vfs_handle *handle, const void *bytes, size_t size,
    uint64_t offset, unsigned flags)
{
	struct host *h = HOST(p);
	struct iovec part = {.iov_len = size};
	bool append = flags & VFS_WRITE_APPEND;
	int fd = HANDLE(handle)->fd, error;
	struct host_charge charge;
	struct owner_key key;
	ssize_t n;

	/* Appending, the kernel takes no notice of the offset; nor do we. */
	error = host_charge(h, fd, append ? HOST_AT_END : offset, size, &charge);
	if (error != 0)
		return error;
	memcpy(&part.iov_base, &bytes, sizeof(bytes)); /* pwritev2 does not write there */
	n = pwritev2(fd, &part, 1, (off_t)offset, append ? RWF_APPEND : 0);
	error = n < 0 ? -errno : 0;
	if (n < (ssize_t)size)
		host_uncharge(h, fd, &charge);
	if (error != 0)
		return error;
	if ((flags & VFS_WRITE_KILL_PRIVILEGE) && h->owners.entries.used > 0) {
		key = host_node_key(NODE(handle->node));
		owner_kill_privilege(&h->owners, &key);
	}
	return n;
}

ssize_t
host_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset, struct vfs_handle *out,
    uint64_t out_offset, size_t size)
{
	off_t from = (off_t)in_offset, to = (off_t)out_offset;
	struct host_charge charge;
	ssize_t n;
	int error;

	if (in->provider != p || out->provider != p)
		return -EXDEV;
	error = host_charge(HOST(p), HANDLE(out)->fd, out_offset, size, &charge);
	if (error != 0)
		return error;
	n = copy_file_range(HANDLE(in)->fd, &from, HANDLE(out)->fd, &to, size, 0);
	error = n < 0 ? -errno : 0;
	if (n < (ssize_t)size)
		host_uncharge(HOST(p), HANDLE(out)->fd, &charge);
	return error != 0 ? error : n;
}

int
host_allocate(
    struct vfs_provider *p, struct vfs_handle *handle, int mode, uint64_t offset, uint64_t length)
{
	int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	int fd = HANDLE(handle)->fd, error;
	struct host_charge charge;

	if (mode & ~known)
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return host_punch(HOST(p), fd, mode, offset, length);
	/* Space beyond the end counts as well, size or not. */
	error = host_charge(HOST(p), fd, offset, length, &charge);
	if (error != 0)
		return error;
	if (fallocate(fd, mode, (off_t)offset, (off_t)length) < 0) {
		error = -errno;
		host_uncharge(HOST(p), fd, &charge);
	}
	return error;
}

int64_t
host_seek(struct vfs_provider *p, struct vfs_handle *handle, uint64_t offset, int whence)
{
	off_t at = lseek(HANDLE(handle)->fd, (off_t)offset, whence);

	(void)p;
	return at < 0 ? -errno : at;
}

/* One open file of the guest is one of the host: its lock is that one's. */
int
host_flock(struct vfs_provider *p, struct vfs_handle *handle, int operation)
{
	(void)p;
	return flock(HANDLE(handle)->fd, operation | LOCK_NB) < 0 ? -errno : 0;
}

int
host_sync(struct vfs_provider *p, struct vfs_handle *handle, bool data_only)
{
	int fd = HANDLE(handle)->fd;

	(void)p;
	return (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
}

int
host_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **out)
{
	struct host *h = HOST(p);
	int fd;

	if (NODE(node)->type != S_IFDIR)
		return -ENOTDIR;
	fd = host_node_open(h, NODE(node), O_RDONLY | O_DIRECTORY, NULL);
	return fd < 0 ? fd : host_handle_new(h, NODE(node), fd, true, false, out);
}

/* Makes the entry of one name and offers it. */
static bool
give(struct host *h, struct host_node *dir, int dir_fd, const struct dirent64 *d, bool with_entries,
    vfs_emit emit, void *ctx)
{
	struct vfs_dirent out = {
	    .name = d->d_name,
	    .length = strlen(d->d_name),
	    .ino = d->d_ino ^ ((uint64_t)dir->dev << 56),
	    .type = (uint32_t)d->d_type << 12,
	    .cookie = (uint64_t)d->d_off,
	};
	struct statx st;

	if (with_entries && !vfs_is_dots(d->d_name, out.length) &&
	    host_statx_at(dir_fd, d->d_name, &st) == 0 &&
	    host_node_get(h, dir, d->d_name, &st, &out.entry) == 0) {
		out.ino = out.entry.attr.ino;
		out.type = out.entry.attr.mode & S_IFMT;
	} else {
		out.entry.node = NULL;
	}
	if (emit(ctx, &out))
		return true;
	vfs_node_put(out.entry.node);
	return false;
}

/* The listing, placed behind `cookie`. */
static int
listing_at(struct host_handle *hh, uint64_t cookie, struct host_listing **out)
{
	if (hh->listing == NULL) {
		hh->listing = malloc(sizeof(*hh->listing));
		if (hh->listing == NULL)
			return -ENOMEM;
		hh->listing->cookie = 0;
		hh->listing->at = hh->listing->used = 0;
	}
	*out = hh->listing;
	/* 0 reads anew what may have changed. */
	if ((*out)->cookie == cookie && cookie != 0)
		return 0;
	(*out)->at = (*out)->used = 0;
	(*out)->cookie = cookie;
	return lseek(hh->fd, (off_t)cookie, SEEK_SET) < 0 ? -errno : 0;
}

/* A directory that was removed while it was open is empty; one that is elsewhere is stale. */
static int
prove(struct host *h, struct host_handle *hh, int *dir_fd)
{
	struct statx st;

	*dir_fd = host_dir_open(h, NODE(hh->base.node));
	if (*dir_fd >= 0)
		return 1;
	if (*dir_fd == -ESTALE && host_statx(hh->fd, &st) == 0 && st.stx_nlink == 0)
		return 0;
	return *dir_fd;
}

int
host_readdir(struct vfs_provider *p, struct vfs_handle *handle, uint64_t cookie, bool with_entries,
    vfs_emit emit, void *ctx)
{
	struct host *h = HOST(p);
	struct host_handle *hh = HANDLE(handle);
	struct host_listing *l;
	struct dirent64 *d;
	int dir_fd, error;
	long n;

	error = prove(h, hh, &dir_fd);
	if (error <= 0)
		return error;
	error = listing_at(hh, cookie, &l);
	while (error == 0) {
		if (l->at == l->used) {
			n = syscall(SYS_getdents64, hh->fd, l->buffer, sizeof(l->buffer));
			error = n < 0 ? -errno : 0;
			if (n <= 0)
				break;
			l->at = 0;
			l->used = (size_t)n;
		}
		d = (struct dirent64 *)(l->buffer + l->at);
		if (!give(h, NODE(handle->node), dir_fd, d, with_entries, emit, ctx))
			break;
		l->at += d->d_reclen;
		l->cookie = (uint64_t)d->d_off;
	}
	host_dir_done(h, dir_fd);
	return error;
}
