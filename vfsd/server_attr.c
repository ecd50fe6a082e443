/* SPDX-License-Identifier: Apache-2.0 */
/* The server's operations on what is known about a file. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfsd/server_internal.h"

#define FATTR_KNOWN                                                                               \
	(FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME | FATTR_FH | \
	    FATTR_ATIME_NOW | FATTR_MTIME_NOW | FATTR_LOCKOWNER | FATTR_CTIME |                   \
	    FATTR_KILL_SUIDGID)

static ssize_t
reply_attr(struct vfs_server *s, int error, const struct vfs_attr *a)
{
	struct fuse_attr_out out = {0};

	if (error != 0)
		return error;
	server_trust(s, &out.attr_valid, &out.attr_valid_nsec);
	server_attr(a, &out.attr);
	return server_body(s, &out, sizeof(out));
}

ssize_t
server_getattr(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	struct vfs_handle *h = NULL;
	struct vfs_attr a;

	if (r->arg.getattr.getattr_flags & FUSE_GETATTR_FH) {
		h = server_handle(s, r->arg.getattr.fh, node, false);
		if (h == NULL)
			return -EBADF;
	}
	return reply_attr(s, s->provider->ops->getattr(s->provider, node, h, &a), &a);
}

/* A time of the request; its nanoseconds are the guest's number. */
static int
take_time(uint64_t seconds, uint32_t nanoseconds, bool now, struct timespec *out)
{
	out->tv_sec = (time_t)seconds;
	out->tv_nsec = now ? UTIME_NOW : (long)nanoseconds;
	return now || nanoseconds < 1000000000u ? 0 : -EINVAL;
}

static int
take_change(const struct fuse_setattr_in *in, struct vfs_change *c)
{
	static const struct {
		uint32_t wire;
		unsigned set;
	} map[] = {
	    {FATTR_MODE, VFS_SET_MODE},
	    {FATTR_UID, VFS_SET_UID},
	    {FATTR_GID, VFS_SET_GID},
	    {FATTR_SIZE, VFS_SET_SIZE},
	    {FATTR_ATIME, VFS_SET_ATIME},
	    {FATTR_MTIME, VFS_SET_MTIME},
	    {FATTR_KILL_SUIDGID, VFS_SET_KILL_PRIVILEGE},
	};
	size_t i;
	int error;

	memset(c, 0, sizeof(*c));
	if (in->valid & ~(uint32_t)FATTR_KNOWN)
		return -EINVAL;
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (in->valid & map[i].wire)
			c->set |= map[i].set;
	}
	/* A change of owner always ends privilege (FUSE_HANDLE_KILLPRIV_V2). */
	if (c->set & (VFS_SET_UID | VFS_SET_GID))
		c->set |= VFS_SET_KILL_PRIVILEGE;
	c->mode = in->mode & 07777;
	c->uid = in->uid;
	c->gid = in->gid;
	c->size = in->size;
	if ((c->set & VFS_SET_SIZE) && c->size > INT64_MAX)
		return -EFBIG;
	error = c->set & VFS_SET_ATIME
		    ? take_time(in->atime, in->atimensec, in->valid & FATTR_ATIME_NOW, &c->atime)
		    : 0;
	if (error == 0 && (c->set & VFS_SET_MTIME))
		error = take_time(in->mtime, in->mtimensec, in->valid & FATTR_MTIME_NOW, &c->mtime);
	return error;
}

ssize_t
server_setattr(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_setattr_in *in = &r->arg.setattr;
	struct vfs_handle *h = NULL;
	struct vfs_change c;
	struct vfs_attr a;
	int error;

	error = take_change(in, &c);
	if (error != 0)
		return error;
	if (in->valid & FATTR_FH) {
		h = server_handle(s, in->fh, node, false);
		if (h == NULL)
			return -EBADF;
	}
	return reply_attr(s, s->provider->ops->setattr(s->provider, node, h, &c, &a), &a);
}

ssize_t
server_readlink(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	(void)r;
	return s->provider->ops->readlink(s->provider, node, (char *)s->out->body, VFS_TARGET_MAX);
}

/* Only asked of a mount without default_permissions; the caller's further groups are not known. */
ssize_t
server_access(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	uint32_t want = r->arg.access.mask, have;
	struct vfs_attr a;
	int error;

	if (want & ~(uint32_t)(R_OK | W_OK | X_OK))
		return -EINVAL;
	error = s->provider->ops->getattr(s->provider, node, NULL, &a);
	if (error != 0)
		return error;
	if (r->header.uid == 0) {
		have = R_OK | W_OK | (S_ISDIR(a.mode) || (a.mode & 0111) ? X_OK : 0);
	} else if (r->header.uid == a.uid) {
		have = a.mode >> 6;
	} else {
		have = r->header.gid == a.gid ? a.mode >> 3 : a.mode;
	}
	return (want & ~have) == 0 ? 0 : -EACCES;
}

ssize_t
server_statfs(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	struct fuse_statfs_out out = {0};
	struct vfs_statfs st;
	int error;

	(void)r;
	error = s->provider->ops->statfs(s->provider, node, &st);
	if (error != 0)
		return error;
	out.st.blocks = st.blocks;
	out.st.bfree = st.bfree;
	out.st.bavail = st.bavail;
	out.st.files = st.files;
	out.st.ffree = st.ffree;
	out.st.bsize = st.bsize;
	out.st.frsize = st.frsize;
	out.st.namelen = st.namelen;
	return server_body(s, &out, sizeof(out));
}

/* The namespaces security, system and trusted are the host's own: none of them is served. */
static bool
is_user_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 && name[5] != '\0';
}

ssize_t
server_setxattr(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	uint32_t flags = r->arg.setxattr.flags;

	if (!is_user_xattr(r->name))
		return -EOPNOTSUPP;
	if (flags > 2) /* XATTR_CREATE or XATTR_REPLACE, not both */
		return -EINVAL;
	if (r->data_length > VFS_XATTR_MAX)
		return -E2BIG;
	return s->provider->ops->setxattr(
	    s->provider, node, r->name, r->data, r->data_length, (int)flags);
}

/* A size of 0 asks how long the answer is. */
static ssize_t
reply_xattr(struct vfs_server *s, uint32_t asked, ssize_t n)
{
	struct fuse_getxattr_out out = {0};

	if (n < 0 || asked > 0)
		return n;
	out.size = (uint32_t)n;
	return server_body(s, &out, sizeof(out));
}

ssize_t
server_getxattr(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	uint32_t size = r->arg.getxattr.size;

	if (!is_user_xattr(r->name))
		return -EOPNOTSUPP;
	if (size > VFS_XATTR_MAX)
		size = VFS_XATTR_MAX;
	return reply_xattr(
	    s, size, s->provider->ops->getxattr(s->provider, node, r->name, s->out->body, size));
}

ssize_t
server_listxattr(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	uint32_t size = r->arg.getxattr.size;

	if (size > VFS_XATTR_MAX)
		size = VFS_XATTR_MAX;
	return reply_xattr(
	    s, size, s->provider->ops->listxattr(s->provider, node, (char *)s->out->body, size));
}

ssize_t
server_removexattr(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	if (!is_user_xattr(r->name))
		return -EOPNOTSUPP;
	return s->provider->ops->removexattr(s->provider, node, r->name);
}
