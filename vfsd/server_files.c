/* SPDX-License-Identifier: Apache-2.0 */
/* The server's operations on open files and directories. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfsd/server_internal.h"

/* True where the range of bytes ends within what off_t can say. */
static bool
range_ok(uint64_t offset, uint64_t size)
{
	return offset <= INT64_MAX && size <= INT64_MAX - offset;
}

ssize_t
server_open(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct vfs_change kill = {.set = VFS_SET_KILL_PRIVILEGE};
	int flags = (int)r->arg.open.flags & (O_ACCMODE | O_TRUNC);
	struct fuse_open_out out = {0};
	struct vfs_handle *h = NULL;
	bool unchanged = false;
	struct vfs_attr a;
	int error;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	error = server_handle_room(s);
	if (error == 0)
		error = s->provider->ops->open(s->provider, node, flags, &h, &unchanged);
	if (error != 0)
		return error;
	if (r->arg.open.open_flags & FUSE_OPEN_KILL_SUIDGID)
		error = s->provider->ops->setattr(s->provider, node, h, &kill, &a);
	if (error != 0) {
		s->provider->ops->close(s->provider, h);
		return error;
	}
	if (unchanged || s->provider->exclusive)
		out.open_flags |= FOPEN_KEEP_CACHE;
	error = server_handle_add(s, h, &out.fh);
	return error != 0 ? error : server_body(s, &out, sizeof(out));
}

ssize_t
server_read(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_read_in *in = &r->arg.read;
	struct vfs_handle *h = server_handle(s, in->fh, node, false);

	if (h == NULL)
		return -EBADF;
	if (in->size > FUSE_DATA_MAX || !range_ok(in->offset, in->size))
		return -EINVAL;
	return s->provider->ops->read(s->provider, h, s->out->body, in->size, in->offset);
}

ssize_t
server_write(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_write_in *in = &r->arg.write;
	struct vfs_handle *h = server_handle(s, in->fh, node, false);
	struct fuse_write_out out = {0};
	unsigned flags = 0;
	ssize_t n;

	if (h == NULL || !h->writable)
		return -EBADF;
	if (in->size > FUSE_DATA_MAX)
		return -EINVAL;
	if (!range_ok(in->offset, in->size))
		return -EFBIG;
	/* Pages that the cache writes back have their place, whatever the file's flags say. */
	if ((in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE))
		flags |= VFS_WRITE_APPEND;
	if (in->write_flags & FUSE_WRITE_KILL_SUIDGID)
		flags |= VFS_WRITE_KILL_PRIVILEGE;
	n = s->provider->ops->write(s->provider, h, r->data, r->data_length, in->offset, flags);
	if (n < 0)
		return n;
	out.size = (uint32_t)n;
	return server_body(s, &out, sizeof(out));
}

/* RELEASE and RELEASEDIR. */
ssize_t
server_release(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	bool directory = r->header.opcode == FUSE_RELEASEDIR;
	struct vfs_handle *h = server_handle(s, r->arg.release.fh, node, directory);

	if (h == NULL)
		return -EBADF;
	vfs_table_remove(&s->handles, r->arg.release.fh);
	server_locks_release(s, h);
	s->provider->ops->close(s->provider, h);
	return 0;
}

/* Nothing is kept back and no lock ends with a close: ENOSYS spares the guest the question. */
ssize_t
server_flush(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return server_handle(s, r->arg.flush.fh, node, false) != NULL ? -ENOSYS : -EBADF;
}

/* FSYNC and FSYNCDIR. */
ssize_t
server_fsync(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	bool directory = r->header.opcode == FUSE_FSYNCDIR;
	struct vfs_handle *h = server_handle(s, r->arg.fsync.fh, node, directory);

	if (h == NULL)
		return -EBADF;
	return s->provider->ops->sync(
	    s->provider, h, r->arg.fsync.fsync_flags & FUSE_FSYNC_FDATASYNC);
}

ssize_t
server_fallocate(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_fallocate_in *in = &r->arg.fallocate;
	struct vfs_handle *h = server_handle(s, in->fh, node, false);

	if (h == NULL || !h->writable)
		return -EBADF;
	if (in->length == 0 || in->mode > INT32_MAX)
		return -EINVAL;
	if (!range_ok(in->offset, in->length))
		return -EFBIG;
	return s->provider->ops->allocate(s->provider, h, (int)in->mode, in->offset, in->length);
}

ssize_t
server_lseek(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_lseek_in *in = &r->arg.lseek;
	struct vfs_handle *h = server_handle(s, in->fh, node, false);
	struct fuse_lseek_out out;
	int64_t at;

	if (h == NULL)
		return -EBADF;
	/*
	 * The kernel asks without writing back first, so that data it still holds would look like a
	 * hole, and cp(1) would leave it out.  ENOSYS: it takes the whole file for data.
	 */
	if (s->writeback)
		return -ENOSYS;
	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL;
	if (in->offset > INT64_MAX)
		return -ENXIO;
	at = s->provider->ops->seek(s->provider, h, in->offset, (int)in->whence);
	if (at < 0)
		return at;
	out.offset = (uint64_t)at;
	return server_body(s, &out, sizeof(out));
}

ssize_t
server_copy(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_copy_file_range_in *in = &r->arg.copy;
	struct vfs_handle *from = server_handle(s, in->fh_in, node, false);
	struct vfs_node *to_node = server_node(s, in->nodeid_out);
	struct vfs_handle *to;
	struct fuse_write_out out = {0};
	/* The reply has 32 bits for the count, and one request should not hold up the others. */
	uint64_t size = in->len < (64u << 20) ? in->len : 64u << 20;
	ssize_t n;

	to = to_node != NULL ? server_handle(s, in->fh_out, to_node, false) : NULL;
	if (from == NULL || to == NULL || !to->writable)
		return -EBADF;
	if (in->flags != 0)
		return -EINVAL;
	if (!range_ok(in->off_in, size) || !range_ok(in->off_out, size))
		return -EFBIG;
	n = s->provider->ops->copy(s->provider, from, in->off_in, to, in->off_out, size);
	if (n < 0)
		return n;
	out.size = (uint32_t)n;
	return server_body(s, &out, sizeof(out));
}

ssize_t
server_opendir(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	struct fuse_open_out out = {0};
	struct vfs_handle *h = NULL;
	int error;

	(void)r;
	error = server_handle_room(s);
	if (error == 0)
		error = s->provider->ops->opendir(s->provider, node, &h);
	if (error == 0)
		error = server_handle_add(s, h, &out.fh);
	return error != 0 ? error : server_body(s, &out, sizeof(out));
}

/* A directory's reply in the making. */
struct listing {
	struct vfs_server *server;
	size_t used, size;
	bool plus;
};

static void
put_dirent(uint8_t *at, const struct vfs_dirent *d)
{
	struct fuse_dirent out = {
	    .ino = d->ino,
	    .off = d->cookie,
	    .namelen = (uint32_t)d->length,
	    .type = d->type >> 12, /* DT_* are the S_IF* bits */
	};
	size_t end = FUSE_NAME_OFFSET + d->length;

	memcpy(at, &out, FUSE_NAME_OFFSET);
	memcpy(at + FUSE_NAME_OFFSET, d->name, d->length);
	memset(at + end, 0, FUSE_DIRENT_ALIGN(end) - end);
}

static bool
emit(void *ctx, const struct vfs_dirent *d)
{
	struct listing *l = ctx;
	size_t head = l->plus ? sizeof(struct fuse_entry_out) : 0;
	size_t need = head + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d->length);
	uint8_t *at = l->server->out->body + l->used;
	struct fuse_entry_out out;
	struct vfs_entry e = d->entry;

	if (l->size - l->used < need)
		return false;
	if (l->plus) {
		memset(&out, 0, sizeof(out));
		/* Too many nodes: the bare name still goes out. */
		if (e.node != NULL && server_entry(l->server, &e, &out) != 0)
			memset(&out, 0, sizeof(out));
		memcpy(at, &out, sizeof(out));
	}
	put_dirent(at + head, d);
	l->used += need;
	return true;
}

static ssize_t
list(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node, bool plus)
{
	const struct fuse_read_in *in = &r->arg.read;
	struct vfs_handle *h = server_handle(s, in->fh, node, true);
	struct listing l = {.server = s, .plus = plus};
	int error;

	if (h == NULL)
		return -EBADF;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	l.size = in->size < FUSE_DATA_MAX ? in->size : FUSE_DATA_MAX;
	error = s->provider->ops->readdir(s->provider, h, in->offset, plus, emit, &l);
	/* An error behind some entries comes again with the next request. */
	return error != 0 && l.used == 0 ? error : (ssize_t)l.used;
}

ssize_t
server_readdir(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return list(s, r, node, false);
}

ssize_t
server_readdirplus(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return list(s, r, node, true);
}

ssize_t
server_ioctl(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	(void)s;
	(void)r;
	(void)node;
	return -ENOTTY;
}
