/* SPDX-License-Identifier: Apache-2.0 */
/* The server's operations on names: finding, making, removing, moving. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/server_internal.h"

#define CREATE_FLAGS (O_ACCMODE | O_EXCL | O_TRUNC)

/* The reply of every operation that ends with an entry. */
static ssize_t
reply_entry(struct vfs_server *s, int error, struct vfs_entry *e)
{
	struct fuse_entry_out out;

	if (error == 0)
		error = server_entry(s, e, &out);
	return error != 0 ? error : server_body(s, &out, sizeof(out));
}

ssize_t
server_lookup(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	struct vfs_entry e;
	struct fuse_entry_out out;
	int error;

	error = s->provider->ops->lookup(s->provider, node, r->name, &e);
	if (error != -ENOENT)
		return reply_entry(s, error, &e);
	/* An entry without a node: the guest may remember that there is none. */
	memset(&out, 0, sizeof(out));
	server_trust(s, &out.entry_valid, &out.entry_valid_nsec);
	return out.entry_valid + out.entry_valid_nsec == 0 ? -ENOENT
							   : server_body(s, &out, sizeof(out));
}

static ssize_t
make(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *dir, uint32_t mode,
    uint32_t rdev, const char *target)
{
	struct vfs_make m = {
	    .mode = mode,
	    .uid = r->header.uid,
	    .gid = r->header.gid,
	    .rdev = rdev,
	    .target = target,
	};
	struct vfs_entry e;
	int error = server_node_room(s);

	if (error == 0)
		error = s->provider->ops->make(s->provider, dir, r->name, &m, &e);
	return reply_entry(s, error, &e);
}

ssize_t
server_symlink(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return make(s, r, node, S_IFLNK | 0777, 0, r->second);
}

ssize_t
server_mknod(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	uint32_t mode = r->arg.mknod.mode, type = mode & S_IFMT;

	if (mode & ~(uint32_t)(S_IFMT | 07777))
		return -EINVAL;
	if (type == S_IFCHR || type == S_IFBLK)
		return -EPERM;
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EINVAL;
	return make(s, r, node, mode, 0, NULL);
}

ssize_t
server_mkdir(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return make(s, r, node, S_IFDIR | (r->arg.mkdir.mode & 07777), 0, NULL);
}

ssize_t
server_unlink(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return s->provider->ops->unlink(s->provider, node, r->name, false);
}

ssize_t
server_rmdir(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return s->provider->ops->unlink(s->provider, node, r->name, true);
}

static ssize_t
do_rename(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *from,
    uint64_t newdir, unsigned flags)
{
	struct vfs_node *to = server_node(s, newdir);

	if (to == NULL)
		return -ESTALE;
	/* RENAME_WHITEOUT would make a device node. */
	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	return s->provider->ops->rename(s->provider, from, r->name, to, r->second, flags);
}

ssize_t
server_rename(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return do_rename(s, r, node, r->arg.rename.newdir, 0);
}

ssize_t
server_rename2(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	return do_rename(s, r, node, r->arg.rename2.newdir, r->arg.rename2.flags);
}

ssize_t
server_link(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	struct vfs_node *old = server_node(s, r->arg.link.oldnodeid);
	struct vfs_entry e;

	if (old == NULL)
		return -ESTALE;
	return reply_entry(s, s->provider->ops->link(s->provider, old, node, r->name, &e), &e);
}

/* Entry and handle in one reply. */
static ssize_t
reply_created(struct vfs_server *s, struct vfs_entry *e, struct vfs_handle *h)
{
	struct fuse_open_out opened = {0};
	struct fuse_entry_out entry;
	int error;

	error = server_handle_add(s, h, &opened.fh);
	if (error != 0) {
		vfs_node_put(e->node);
		return error;
	}
	error = server_entry(s, e, &entry);
	if (error != 0) {
		vfs_table_remove(&s->handles, opened.fh);
		s->provider->ops->close(s->provider, h);
		return error;
	}
	memcpy(s->out->body, &entry, sizeof(entry));
	memcpy(s->out->body + sizeof(entry), &opened, sizeof(opened));
	return sizeof(entry) + sizeof(opened);
}

ssize_t
server_create(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_create_in *in = &r->arg.create;
	struct vfs_make m = {
	    .mode = S_IFREG | (in->mode & 07777), .uid = r->header.uid, .gid = r->header.gid};
	struct vfs_handle *h = NULL;
	struct vfs_entry e;
	int error = server_handle_room(s);

	if (error == 0)
		error = server_node_room(s);
	if (error == 0)
		error = s->provider->ops->create(
		    s->provider, node, r->name, &m, (int)(in->flags & CREATE_FLAGS), &e, &h);
	return error != 0 ? error : reply_created(s, &e, h);
}

ssize_t
server_tmpfile(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_create_in *in = &r->arg.create;
	struct vfs_make m = {
	    .mode = S_IFREG | (in->mode & 07777), .uid = r->header.uid, .gid = r->header.gid};
	struct vfs_handle *h = NULL;
	struct vfs_entry e;
	int error = server_handle_room(s);

	if (error == 0)
		error = server_node_room(s);
	if (error == 0)
		error = s->provider->ops->tmpfile(
		    s->provider, node, &m, (int)(in->flags & CREATE_FLAGS), &e, &h);
	return error != 0 ? error : reply_created(s, &e, h);
}
