/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of files in a host directory: the host's own, and those that only the guest sees. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vfsd/host_internal.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

int
host_getattr(
    struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *handle, struct vfs_attr *out)
{
	struct host *h = HOST(p);
	struct host_node *n = NODE(node);
	struct owner_key key = host_node_key(n), found;
	struct statx st;
	bool opened = false;
	int fd, error;

	if (handle == NULL && n->handles == NULL && n->dir == h->root && n->name != NULL) {
		/* One call is enough beside the root: no directory in between can be a link. */
		error = host_statx_at(h->config.root, n->name, &st);
		if (error == 0)
			error = host_key(h, &st, &found);
		if (error == 0 && memcmp(&found, &key, sizeof(key)) != 0)
			error = -ESTALE;
		if (error == -ENOENT)
			error = -ESTALE;
	} else {
		fd = host_node_any(h, n, handle, &opened);
		if (fd < 0)
			return fd;
		error = host_statx(fd, &st);
		if (opened)
			close(fd);
	}
	if (error == 0)
		host_attr(h, &key, &st, out);
	return error;
}

/*
 * Changes the host's mode.  Kernels before 6.6 cannot do that to an O_PATH descriptor: then the
 * file is opened, which its mode may forbid even to its owner.
 */
static int
chmod_host(struct host *h, const struct host_node *n, int fd, uint32_t mode)
{
	int real, error = 0;

	if (fchmod(fd, mode) == 0)
		return 0;
	if (errno != EBADF)
		return -errno;
	if (syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOSYS)
		return -errno;
	real = host_node_open(h, n, O_RDONLY, NULL);
	if (real < 0)
		return real;
	if (fchmod(real, mode) < 0)
		error = -errno;
	close(real);
	return error;
}

/* The bits that never reach the host, and an owner, are remembered where they differ. */
static int
remember(struct host *h, const struct owner_key *key, unsigned has, uint32_t uid, uint32_t gid,
    uint32_t mode)
{
	struct owner_entry *e = owner_find(&h->owners, key);
	bool plain = !(has & OWNER_MODE) && (mode & (S_ISUID | S_ISGID)) == 0;

	/* Nothing to say, and nothing said before: the common case costs no memory. */
	if (h->config.squash) {
		if ((has & OWNER_UID) && uid == h->config.uid && e == NULL)
			has &= ~(unsigned)OWNER_UID;
		if ((has & OWNER_GID) && gid == h->config.gid && e == NULL)
			has &= ~(unsigned)OWNER_GID;
	}
	if ((has & OWNER_SPECIAL) && plain && e == NULL)
		has &= ~(unsigned)OWNER_SPECIAL;
	if (has == 0)
		return 0;
	e = owner_make(&h->owners, key);
	if (e == NULL)
		return -ENOSPC;
	if (has & OWNER_UID)
		e->uid = uid;
	if (has & OWNER_GID)
		e->gid = gid;
	if (has & (OWNER_SPECIAL | OWNER_MODE)) {
		e->mode = (uint16_t)(mode & 07777);
		/* A mode that the host took is the host's again. */
		if (!(has & OWNER_MODE))
			e->has &= (uint16_t)~OWNER_MODE;
	}
	e->has |= (uint16_t)has;
	return 0;
}

static int
set_mode(
    struct host *h, const struct host_node *n, const struct owner_key *key, int fd, uint32_t mode)
{
	int error = chmod_host(h, n, fd, mode & 01777);

	if (error == -EPERM || error == -EROFS)
		return remember(h, key, OWNER_MODE, 0, 0, mode);
	return error != 0 ? error : remember(h, key, OWNER_SPECIAL, 0, 0, mode);
}

/* What the host calls an owner of the guest's; *known is false where it has no such owner. */
static uint32_t
host_id(uint32_t id, uint32_t shown, uint32_t ours, bool *known)
{
	*known = *known && (id == shown || id != ours);
	return id == shown ? ours : id;
}

static int
set_owner(
    struct host *h, const struct owner_key *key, int fd, unsigned set, uint32_t uid, uint32_t gid)
{
	unsigned has = (set & VFS_SET_UID ? OWNER_UID : 0) | (set & VFS_SET_GID ? OWNER_GID : 0);
	uid_t new_uid = (uid_t)-1;
	gid_t new_gid = (gid_t)-1;
	struct owner_entry *e;
	bool known = true;

	if (h->config.squash)
		return remember(h, key, has, uid, gid, 0);
	if (set & VFS_SET_UID)
		new_uid = host_id(uid, h->config.uid, h->uid, &known);
	if (set & VFS_SET_GID)
		new_gid = host_id(gid, h->config.gid, h->gid, &known);
	if (known && fchownat(fd, "", new_uid, new_gid, AT_EMPTY_PATH) == 0) {
		e = owner_find(&h->owners, key);
		if (e != NULL)
			e->has &= (uint16_t)~has;
		return 0;
	}
	/* EINVAL: an owner that the user namespace does not know. */
	if (known && errno != EPERM && errno != EINVAL)
		return -errno;
	return remember(h, key, has, uid, gid, 0);
}

static int
set_size(struct host *h, struct host_node *n, struct vfs_handle *handle, uint64_t size)
{
	struct host_handle *with = n->handles;
	int fd, error = 0;
	bool opened = false;

	if (handle != NULL && handle->writable)
		with = (struct host_handle *)handle;
	while (with != NULL && !with->base.writable)
		with = with->next;
	if (n->type != S_IFREG)
		return n->type == S_IFDIR ? -EISDIR : -EINVAL;
	if (with != NULL) {
		fd = with->fd;
	} else {
		fd = host_node_open(h, n, O_WRONLY, NULL);
		opened = true;
	}
	if (fd < 0)
		return fd;
	error = host_truncate(h, fd, size);
	if (opened)
		close(fd);
	return error;
}

static int
set_times(int fd, const struct vfs_change *c)
{
	struct timespec times[2] = {c->atime, c->mtime};

	if (!(c->set & VFS_SET_ATIME))
		times[0].tv_nsec = UTIME_OMIT;
	if (!(c->set & VFS_SET_MTIME))
		times[1].tv_nsec = UTIME_OMIT;
	return utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int
host_setattr(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *handle,
    const struct vfs_change *c, struct vfs_attr *out)
{
	struct host *h = HOST(p);
	struct host_node *n = NODE(node);
	struct owner_key key = host_node_key(n);
	bool opened;
	struct statx st;
	int fd, error = 0;

	fd = host_node_any(h, n, handle, &opened);
	if (fd < 0)
		return fd;
	if (c->set & (VFS_SET_UID | VFS_SET_GID))
		error = set_owner(h, &key, fd, c->set, c->uid, c->gid);
	if (error == 0 && (c->set & VFS_SET_KILL_PRIVILEGE) && n->type != S_IFDIR)
		owner_kill_privilege(&h->owners, &key);
	if (error == 0 && (c->set & VFS_SET_MODE))
		error = set_mode(h, n, &key, fd, c->mode);
	if (error == 0 && (c->set & VFS_SET_SIZE))
		error = set_size(h, n, handle, c->size);
	if (error == 0 && (c->set & (VFS_SET_ATIME | VFS_SET_MTIME)))
		error = set_times(fd, c);
	if (error == 0)
		error = host_statx(fd, &st);
	if (error == 0)
		host_attr(h, &key, &st, out);
	if (opened)
		close(fd);
	return error;
}

/*
 * BSD's rule for set-group-ID directories is kept for the guest: files take the group, directories
 * the bit as well.
 */
int
host_own(struct host *h, int fd, struct host_node *dir, const struct vfs_make *make,
    const struct owner_key *key)
{
	struct owner_key dir_key = host_node_key(dir);
	const struct owner_entry *above = owner_find(&h->owners, &dir_key);
	uint32_t gid = make->gid, mode = make->mode & 07777;
	struct vfs_attr dir_attr;
	bool changes;
	int error;

	if (above != NULL && (above->mode & S_ISGID) &&
	    (above->has & (OWNER_SPECIAL | OWNER_MODE))) {
		error = host_getattr(&h->base, &dir->base, NULL, &dir_attr);
		if (error != 0)
			return error;
		gid = dir_attr.gid;
		if (S_ISDIR(make->mode))
			mode |= S_ISGID;
	}
	/* An entry of a file that had this number before would be a lie. */
	owner_drop(&h->owners, key);
	changes = h->config.squash || make->uid != h->config.uid || gid != h->config.gid;
	if (changes) {
		error = set_owner(h, key, fd, VFS_SET_UID | VFS_SET_GID, make->uid, gid);
		if (error != 0)
			return error;
	}
	error = mode & (S_ISUID | S_ISGID) ? remember(h, key, OWNER_SPECIAL, 0, 0, mode) : 0;
	return error != 0 ? error : changes && !h->config.squash;
}

ssize_t
host_readlink(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	struct host *h = HOST(p);
	bool opened;
	int fd = host_node_any(h, NODE(node), NULL, &opened);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", buffer, size);
	/* ENOENT: the kernel's word for a descriptor that is no link. */
	if (n < 0)
		n = errno == ENOENT ? -EINVAL : -errno;
	if (opened)
		close(fd);
	return n;
}

int
host_statfs(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out)
{
	struct host *h = HOST(p);
	struct statfs st;
	uint64_t left;

	(void)node;
	if (fstatfs(h->config.root, &st) < 0)
		return -errno;
	out->blocks = st.f_blocks;
	out->bfree = st.f_bfree;
	out->bavail = st.f_bavail;
	out->files = st.f_files;
	out->ffree = st.f_ffree;
	out->bsize = (uint32_t)st.f_bsize;
	out->frsize = (uint32_t)(st.f_frsize > 0 ? st.f_frsize : st.f_bsize);
	out->namelen = VFS_NAME_MAX;
	if (h->config.bytes > 0) {
		left = (h->config.bytes - h->ledger.bytes) / out->frsize;
		out->bavail = out->bavail < left ? out->bavail : left;
		out->bfree = out->bfree < left ? out->bfree : left;
	}
	if (h->config.inodes > 0) {
		left = h->config.inodes - h->ledger.inodes;
		out->ffree = out->ffree < left ? out->ffree : left;
	}
	return 0;
}

/* Extended attributes need a real descriptor.  Links and special files have no user.* ones. */
static int
xattr_open(struct host *h, const struct host_node *n, bool *opened)
{
	*opened = false;
	if (n->type != S_IFREG && n->type != S_IFDIR)
		return -EPERM;
	if (n->handles != NULL)
		return n->handles->fd;
	*opened = true;
	return host_node_open(h, n, O_RDONLY, NULL);
}

ssize_t
host_getxattr(
    struct vfs_provider *p, struct vfs_node *node, const char *name, void *buffer, size_t size)
{
	bool opened;
	int fd = xattr_open(HOST(p), NODE(node), &opened);
	ssize_t n;

	if (fd < 0)
		return fd == -EPERM ? -ENODATA : fd;
	n = fgetxattr(fd, name, buffer, size);
	if (n < 0)
		n = -errno;
	if (opened)
		close(fd);
	return n;
}

/* Keeps the names that begin with "user.". */
static size_t
user_names(char *list, size_t length)
{
	size_t at = 0, kept = 0, one;

	while (at < length) {
		one = strlen(list + at) + 1;
		if (strncmp(list + at, "user.", 5) == 0) {
			memmove(list + kept, list + at, one);
			kept += one;
		}
		at += one;
	}
	return kept;
}

ssize_t
host_listxattr(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	bool opened;
	int fd = xattr_open(HOST(p), NODE(node), &opened);
	char *all;
	ssize_t n;

	if (fd < 0)
		return fd == -EPERM ? 0 : fd;
	n = flistxattr(fd, NULL, 0);
	if (n <= 0) {
		n = n < 0 ? -errno : 0;
		goto out;
	}
	all = malloc(VFS_XATTR_MAX);
	if (all == NULL) {
		n = -ENOMEM;
		goto out;
	}
	n = flistxattr(fd, all, VFS_XATTR_MAX);
	n = n < 0 ? -errno : (ssize_t)user_names(all, (size_t)n);
	if (n > 0 && size > 0) {
		if ((size_t)n > size)
			n = -ERANGE;
		else
			memcpy(buffer, all, (size_t)n);
	}
	free(all);
out:
	if (opened)
		close(fd);
	return n;
}

int
host_setxattr(struct vfs_provider *p, struct vfs_node *node, const char *name, const void *value,
    size_t size, int flags)
{
	bool opened;
	int fd = xattr_open(HOST(p), NODE(node), &opened), error;
	struct host_charge charge;

	if (fd < 0)
		return fd;
	error = host_charge_attribute(HOST(p), fd, name, &size, &charge);
	if (error == 0 && fsetxattr(fd, name, value, size, flags) < 0) {
		error = -errno;
		host_uncharge_attribute(HOST(p), &charge);
	}
	if (opened)
		close(fd);
	return error;
}

int
host_removexattr(struct vfs_provider *p, struct vfs_node *node, const char *name)
{
	bool opened;
	int fd = xattr_open(HOST(p), NODE(node), &opened), error;
	struct host_charge charge;

	if (fd < 0)
		return fd;
	error = host_charge_attribute(HOST(p), fd, name, NULL, &charge);
	if (error == 0 && fremovexattr(fd, name) < 0) {
		error = -errno;
		host_uncharge_attribute(HOST(p), &charge);
	}
	if (opened)
		close(fd);
	return error;
}
