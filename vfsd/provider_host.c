/* SPDX-License-Identifier: Apache-2.0 */
/* A host directory, served: names.  The theory is at the head of host_node.c. */
#include "vfsd/provider_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfsd/host_internal.h"

#define HOST_MODE 01777u /* what of a mode reaches the host */

static struct vfs_node *
host_root(struct vfs_provider *p)
{
	return &HOST(p)->root->base;
}

static int
host_lookup(struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out)
{
	struct host *h = HOST(p);
	int fd = host_dir_open(h, NODE(dir)), error;
	struct statx st;

	if (fd < 0)
		return fd;
	error = host_statx_at(fd, name, &st);
	host_dir_done(h, fd);
	return error != 0 ? error : host_node_get(h, NODE(dir), name, &st, out);
}

/* Notes that a name goes: the last name of a file takes its memory and its cost along. */
static void
forget_file(struct host *h, const struct statx *st)
{
	struct owner_key key;

	if (!S_ISDIR(st->stx_mode) && st->stx_nlink > 1)
		return;
	if (host_key(h, st, &key) != 0)
		return;
	host_unnamed(h, &key);
	/* A file that is open still needs its entry; the identity's next owner drops it. */
	if (host_node_find(h, &key) == NULL)
		owner_drop(&h->owners, &key);
}

/* Whether removing a name needs to know what it names. */
static bool
keeps_books(const struct host *h)
{
	return h->owners.entries.used > 0 || h->ledger.files.used > 0;
}

static int
make_at(int dir, const char *name, const struct vfs_make *make)
{
	int error;

	switch (make->mode & S_IFMT) {
	case S_IFDIR:
		error = mkdirat(dir, name, make->mode & HOST_MODE);
		break;
	case S_IFLNK:
		error = symlinkat(make->target, dir, name);
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		error = mknodat(dir, name, make->mode & (S_IFMT | HOST_MODE), 0);
		break;
	default:
		return -EPERM;
	}
	return error < 0 ? -errno : 0;
}

/* Owner and entry of what was just made. */
static int
made(struct host *h, struct host_node *dir, int dir_fd, const char *name,
    const struct vfs_make *make, struct vfs_entry *out)
{
	struct owner_key key;
	struct statx st;
	int fd, error;

	fd = host_openat(dir_fd, name, O_PATH, 0);
	if (fd < 0)
		return fd;
	error = host_statx(fd, &st);
	if (error == 0)
		error = host_key(h, &st, &key);
	if (error == 0) {
		host_made(h, &key);
		error = host_own(h, fd, dir, make, &key);
	}
	if (error > 0)
		error = host_statx(fd, &st);
	if (error == 0)
		error = host_node_get(h, dir, name, &st, out);
	close(fd);
	return error;
}

static int
host_make(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, struct vfs_entry *out)
{
	struct host *h = HOST(p);
	int fd, error;

	fd = host_dir_open(h, NODE(dir));
	if (fd < 0)
		return fd;
	error = ledger_count(&h->ledger);
	if (error != 0)
		goto out;
	error = make_at(fd, name, make);
	if (error != 0)
		ledger_uncount(&h->ledger);
	else
		error = made(h, NODE(dir), fd, name, make, out);
out:
	host_dir_done(h, fd);
	return error;
}

/* The guest's kernel reads through a handle that is open for writing only when it caches writes. */
static int
host_flags(const struct host *h, int flags)
{
	int mode = flags & O_ACCMODE;

	return mode == O_WRONLY && h->config.exclusive ? O_RDWR : mode;
}

/* Entry and handle of a file that is open already (fd is taken). */
static int
opened(struct host *h, struct host_node *dir, const char *name, int fd, int flags,
    const struct vfs_make *make, struct vfs_entry *out, struct vfs_handle **handle)
{
	struct owner_key key;
	struct statx st;
	int error;

	error = host_statx(fd, &st);
	if (error == 0 && !S_ISREG(st.stx_mode))
		error = -EEXIST;
	if (error == 0)
		error = host_key(h, &st, &key);
	if (error == 0 && make != NULL) {
		host_made(h, &key);
		error = host_own(h, fd, dir, make, &key);
	} else if (error == 0 && (flags & O_TRUNC)) {
		error = host_truncate(h, fd, 0);
	}
	/* What changed since the attributes were taken. */
	if (error > 0 || (error == 0 && (flags & O_TRUNC)))
		error = host_statx(fd, &st);
	if (error == 0)
		error = host_node_get(h, name != NULL ? dir : NULL, name, &st, out);
	if (error != 0) {
		close(fd);
		return error;
	}
	error =
	    host_handle_new(h, NODE(out->node), fd, false, (flags & O_ACCMODE) != O_RDONLY, handle);
	if (error != 0)
		vfs_node_put(out->node);
	return error;
}

static int
host_create(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **handle)
{
	struct host *h = HOST(p);
	int mode = host_flags(h, flags), dir_fd, fd, error;

	dir_fd = host_dir_open(h, NODE(dir));
	if (dir_fd < 0)
		return dir_fd;
	error = ledger_count(&h->ledger);
	if (error != 0)
		goto out;
	fd = host_openat(dir_fd, name, mode | O_CREAT | O_EXCL, make->mode & HOST_MODE);
	if (fd < 0) {
		ledger_uncount(&h->ledger);
		make = NULL;
		if (fd == -EEXIST && !(flags & O_EXCL))
			fd = host_openat(dir_fd, name, mode, 0);
	}
	error = fd < 0 ? fd : opened(h, NODE(dir), name, fd, flags, make, out, handle);
	/* A link or a directory has that name by now. */
	if (error == -ELOOP)
		error = -EEXIST;
out:
	host_dir_done(h, dir_fd);
	return error;
}

static int
host_tmpfile(struct vfs_provider *p, struct vfs_node *dir, const struct vfs_make *make, int flags,
    struct vfs_entry *out, struct vfs_handle **handle)
{
	struct host *h = HOST(p);
	int mode = host_flags(h, flags), excl = flags & O_EXCL, dir_fd, fd, error;

	dir_fd = host_dir_open(h, NODE(dir));
	if (dir_fd < 0)
		return dir_fd;
	error = ledger_count(&h->ledger);
	if (error == 0) {
		fd = host_openat(dir_fd, ".", mode | O_TMPFILE | excl, make->mode & HOST_MODE);
		if (fd < 0)
			ledger_uncount(&h->ledger);
		error = fd < 0 ? fd : opened(h, NODE(dir), NULL, fd, flags, make, out, handle);
	}
	host_dir_done(h, dir_fd);
	return error;
}

/*
 * By name, for kernels that do not let us link a descriptor (before 6.10, without a capability).
 * Another file that got in between is taken away again.
 */
static int
link_by_name(struct host *h, struct host_node *n, int to, const char *name)
{
	struct owner_key key = host_node_key(n), found;
	struct statx st;
	int from, error = 0;

	if (n->dir == NULL || n->name == NULL)
		return -EOPNOTSUPP;
	from = host_dir_open(h, n->dir);
	if (from < 0)
		return from;
	if (linkat(from, n->name, to, name, 0) < 0)
		error = -errno;
	host_dir_done(h, from);
	if (error != 0)
		return error == -ENOENT ? -ESTALE : error;
	error = host_statx_at(to, name, &st);
	if (error == 0)
		error = host_key(h, &st, &found);
	if (error == 0 && memcmp(&key, &found, sizeof(key)) != 0) {
		unlinkat(to, name, 0);
		error = -ESTALE;
	}
	return error;
}

static int
host_link(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir, const char *name,
    struct vfs_entry *out)
{
	struct host *h = HOST(p);
	struct host_node *n = NODE(node);
	struct statx st;
	bool own_fd;
	int fd, to, error = 0;

	if (n->type == S_IFDIR)
		return -EPERM;
	fd = host_node_any(h, n, NULL, &own_fd);
	if (fd < 0)
		return fd;
	to = host_dir_open(h, NODE(dir));
	if (to < 0) {
		error = to;
		goto out;
	}
	if (linkat(fd, "", to, name, AT_EMPTY_PATH) < 0)
		error = errno == ENOENT ? link_by_name(h, n, to, name) : -errno;
	if (error == 0)
		error = host_statx(fd, &st);
	host_dir_done(h, to);
	if (error == 0)
		error = host_node_get(h, NODE(dir), name, &st, out);
out:
	if (own_fd)
		close(fd);
	return error;
}

static int
host_unlink(struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory)
{
	struct host *h = HOST(p);
	bool known = false;
	struct statx st;
	int fd, error = 0;

	fd = host_dir_open(h, NODE(dir));
	if (fd < 0)
		return fd;
	if (keeps_books(h))
		known = host_statx_at(fd, name, &st) == 0;
	if (unlinkat(fd, name, directory ? AT_REMOVEDIR : 0) < 0)
		error = -errno;
	else if (known)
		forget_file(h, &st);
	host_dir_done(h, fd);
	return error;
}

/* Tells a known node its new place.  A failure only costs the guest a lookup. */
static void
moved(struct host *h, const struct statx *st, struct host_node *dir, const char *name)
{
	struct owner_key key;
	struct host_node *n;

	if (host_key(h, st, &key) != 0)
		return;
	n = host_node_find(h, &key);
	if (n == NULL || n == h->root)
		return;
	vfs_node_ref(&n->base);
	(void)host_node_move(n, dir, name);
	vfs_node_put(&n->base);
}

static int
host_rename(struct vfs_provider *p, struct vfs_node *from, const char *old, struct vfs_node *to,
    const char *new, unsigned flags)
{
	struct host *h = HOST(p);
	struct statx st, over;
	int from_fd, to_fd, error;
	bool replaced = false;

	from_fd = host_dir_open(h, NODE(from));
	if (from_fd < 0)
		return from_fd;
	to_fd = from == to ? from_fd : host_dir_open(h, NODE(to));
	if (to_fd < 0) {
		host_dir_done(h, from_fd);
		return to_fd;
	}
	error = host_statx_at(from_fd, old, &st);
	if (error == 0 && (flags == RENAME_EXCHANGE || keeps_books(h)))
		replaced = host_statx_at(to_fd, new, &over) == 0;
	if (error == 0 && renameat2(from_fd, old, to_fd, new, flags) < 0)
		error = -errno;
	if (error == 0) {
		moved(h, &st, NODE(to), new);
		if (replaced && flags == RENAME_EXCHANGE)
			moved(h, &over, NODE(from), old);
		else if (replaced && (st.stx_ino != over.stx_ino))
			forget_file(h, &over);
	}
	host_dir_done(h, from_fd);
	if (from != to)
		host_dir_done(h, to_fd);
	return error;
}

static struct vfs_node *
host_where(struct vfs_provider *p, struct vfs_node *node, const char **name)
{
	struct host_node *n = NODE(node);

	(void)p;
	*name = n->name;
	return n->dir != NULL ? &n->dir->base : NULL;
}

static void
host_free(struct vfs_provider *p)
{
	struct host *h = HOST(p);

	vfs_node_put(&h->root->base);
	owner_map_clear(&h->owners);
	ledger_clear(&h->ledger);
	vfs_buckets_clear(&h->nodes);
	free(h);
}

static const struct vfs_provider_ops host_ops = {
    .name = "host",
    .free = host_free,
    .root = host_root,
    .node_free = host_node_free,
    .lookup = host_lookup,
    .getattr = host_getattr,
    .setattr = host_setattr,
    .readlink = host_readlink,
    .make = host_make,
    .create = host_create,
    .tmpfile = host_tmpfile,
    .link = host_link,
    .unlink = host_unlink,
    .rename = host_rename,
    .open = host_open,
    .close = host_close,
    .read = host_read,
    .write = host_write,
    .copy = host_copy,
    .allocate = host_allocate,
    .seek = host_seek,
    .flock = host_flock,
    .sync = host_sync,
    .opendir = host_opendir,
    .readdir = host_readdir,
    .statfs = host_statfs,
    .getxattr = host_getxattr,
    .listxattr = host_listxattr,
    .setxattr = host_setxattr,
    .removexattr = host_removexattr,
    .where = host_where,
    .identity = vfs_node_itself,
};

int
vfs_host_new(const struct vfs_host_config *config, struct vfs_provider **out)
{
	struct host *h = calloc(1, sizeof(*h));
	struct vfs_entry root;
	struct statx st;
	int fd, error;

	if (h == NULL)
		return -ENOMEM;
	h->base.ops = &host_ops;
	h->base.exclusive = config->exclusive;
	h->base.shares_locks = !config->exclusive;
	h->config = *config;
	if (h->config.nodes == 0)
		h->config.nodes = VFS_HOST_NODES_DEFAULT;
	host_nodes_init(h);
	owner_map_init(&h->owners);
	ledger_init(&h->ledger, config->bytes, config->inodes);
	h->uid = geteuid();
	h->gid = getegid();
	fd = host_openat(config->root, ".", O_PATH | O_DIRECTORY, 0);
	error = fd < 0 ? fd : host_statx(fd, &st);
	if (error == 0)
		error = host_node_get(h, NULL, NULL, &st, &root);
	if (fd >= 0)
		close(fd);
	if (error != 0) {
		vfs_buckets_clear(&h->nodes);
		free(h);
		return error;
	}
	h->root = NODE(root.node);
	*out = &h->base;
	return 0;
}
