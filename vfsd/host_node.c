/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes of a host directory: who a file is, and how it is found again.
 *
 * Identity.  A file is its device, inode number and time of birth.  Names are only where it was
 * seen last.
 *
 * Descriptors.  A node holds none: a guest may know a million files.  Each operation opens what it
 * needs with one openat2(2) from the mount's root along the noted names, with RESOLVE_BENEATH and
 * without any link, and compares identities before it uses the descriptor.  So:
 *  - what was judged is what is used, whatever the host renames meanwhile; another file in its
 *    place is ESTALE, and the guest's kernel looks the path up again;
 *  - a directory that somebody moved out of the mount is not found any more, where an old
 *    descriptor would still lead there.
 * Acting on a name (unlink, rename, make) acts in a directory that was proved just before, on one
 * component, which the kernel never follows.
 *
 * An empty root without /proc is enough: nothing here needs a path of the host, or
 * /proc/self/fd.  The price is that an O_PATH descriptor cannot be opened again for reading, so
 * that an unlinked file can be used only through handles that are open.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vfsd/host_internal.h"

#define STATX_WANTED (STATX_BASIC_STATS | STATX_BTIME)
#define PATH_PIECE   2048u /* a longer path is opened piece by piece */
#define PIECES_MAX   64u

#define LINKED(l)    VFS_LINKED(l, struct host_node, link)

int
host_openat(int dir, const char *path, int flags, uint32_t mode)
{
	struct open_how how = {
	    .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
	    .mode = mode,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* O_NONBLOCK: a fifo that was put there does not hold us up. */
	if (!(flags & O_PATH))
		how.flags |= O_NONBLOCK | O_NOCTTY;
	do
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

int
host_statx(int fd, struct statx *st)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_SYNC_AS_STAT, STATX_WANTED, st) < 0 ? -errno
											  : 0;
}

int
host_statx_at(int dir, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_SYNC_AS_STAT;

	return statx(dir, name, flags, STATX_WANTED, st) < 0 ? -errno : 0;
}

int
host_key(struct host *h, const struct statx *st, struct owner_key *key)
{
	uint32_t i;

	for (i = 0; i < h->n_devices; i++) {
		if (h->devices[i].major == st->stx_dev_major &&
		    h->devices[i].minor == st->stx_dev_minor)
			break;
	}
	if (i == h->n_devices) {
		if (i == HOST_DEVICES_MAX)
			return -EXDEV;
		h->devices[i].major = st->stx_dev_major;
		h->devices[i].minor = st->stx_dev_minor;
		h->n_devices++;
	}
	key->ino = st->stx_ino;
	key->dev = i;
	key->birth = 0;
	if (st->stx_mask & STATX_BTIME)
		key->birth = (uint32_t)st->stx_btime.tv_sec * 2654435761u ^ st->stx_btime.tv_nsec;
	return 0;
}

struct owner_key
host_node_key(const struct host_node *n)
{
	return (struct owner_key){.ino = n->ino, .dev = n->dev, .birth = n->birth};
}

static struct timespec
time_of(const struct statx_timestamp *t)
{
	return (struct timespec){.tv_sec = t->tv_sec, .tv_nsec = (long)t->tv_nsec};
}

void
host_attr(
    const struct host *h, const struct owner_key *key, const struct statx *st, struct vfs_attr *a)
{
	uint32_t minor = st->stx_rdev_minor;

	*a = (struct vfs_attr){
	    /* Inode numbers of further file systems are kept apart by their top bits. */
	    .ino = key->ino ^ ((uint64_t)key->dev << 56),
	    .size = st->stx_size,
	    .blocks = st->stx_blocks,
	    .atime = time_of(&st->stx_atime),
	    .mtime = time_of(&st->stx_mtime),
	    .ctime = time_of(&st->stx_ctime),
	    .mode = st->stx_mode,
	    .nlink = st->stx_nlink,
	    .uid = st->stx_uid,
	    .gid = st->stx_gid,
	    .rdev = (minor & 0xff) | (st->stx_rdev_major << 8) | ((minor & ~0xffu) << 12),
	    .blksize = st->stx_blksize,
	};
	if (h->config.squash) {
		a->uid = h->config.uid;
		a->gid = h->config.gid;
		/* The host's setuid meant another owner than the one that is shown. */
		a->mode &= ~(uint32_t)(S_ISUID | S_ISGID);
	} else {
		/* Our own number is an accident of how we were started. */
		if (a->uid == h->uid)
			a->uid = h->config.uid;
		if (a->gid == h->gid)
			a->gid = h->config.gid;
	}
	owner_apply(&h->owners, key, a);
}

static uint32_t
hash_of(const struct vfs_link *link)
{
	const struct owner_key key = host_node_key(LINKED(link));

	return owner_key_hash(&key);
}

void
host_nodes_init(struct host *h)
{
	vfs_buckets_init(&h->nodes, hash_of);
}

static bool
is_node(const struct host_node *n, const struct owner_key *key)
{
	const struct owner_key own = host_node_key(n);

	return owner_key_same(&own, key);
}

struct host_node *
host_node_find(const struct host *h, const struct owner_key *key)
{
	struct vfs_link *link = vfs_buckets_first(&h->nodes, owner_key_hash(key));

	while (link != NULL && !is_node(LINKED(link), key))
		link = link->next;
	return link != NULL ? LINKED(link) : NULL;
}

/*
 * A directory cannot be below itself, whatever the host's races made it look like: such a node has
 * no place until it is found again.
 */
static bool
is_below(const struct host_node *n, const struct host_node *top)
{
	for (; n != NULL; n = n->dir) {
		if (n == top)
			return true;
	}
	return false;
}

int
host_node_move(struct host_node *n, struct host_node *dir, const char *name)
{
	struct host_node *old = n->dir;
	char *copy = NULL;

	if (n->dir == dir && (name == NULL || (n->name != NULL && strcmp(n->name, name) == 0)))
		return 0;
	if (dir != NULL && is_below(dir, n)) {
		dir = NULL;
		name = NULL;
	}
	if (name != NULL) {
		copy = strdup(name);
		if (copy == NULL)
			return -ENOMEM;
	}
	free(n->name);
	n->name = copy;
	n->dir = dir;
	if (dir != NULL)
		vfs_node_ref(&dir->base);
	if (old != NULL)
		vfs_node_put(&old->base);
	return 0;
}

static struct host_node *
node_new(struct host *h, const struct owner_key *key, const struct statx *st)
{
	struct host_node *n;

	if (h->nodes.used >= h->config.nodes || !vfs_buckets_reserve(&h->nodes))
		return NULL;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->base.provider = &h->base;
	n->base.refs = 1;
	n->ino = key->ino;
	n->dev = key->dev;
	n->birth = key->birth;
	n->type = st->stx_mode & S_IFMT;
	vfs_buckets_add(&h->nodes, &n->link);
	return n;
}

int
host_node_get(struct host *h, struct host_node *dir, const char *name, const struct statx *st,
    struct vfs_entry *e)
{
	struct owner_key key;
	struct host_node *n;
	int error;

	error = host_key(h, st, &key);
	if (error != 0)
		return error;
	n = host_node_find(h, &key);
	if (n != NULL)
		vfs_node_ref(&n->base);
	else
		n = node_new(h, &key, st);
	if (n == NULL)
		return -ENOMEM;
	if (n != h->root && name != NULL) {
		error = host_node_move(n, dir, name);
		if (error != 0) {
			vfs_node_put(&n->base);
			return error;
		}
	}
	host_attr(h, &key, st, &e->attr);
	e->node = &n->base;
	return 0;
}

void
host_node_free(struct vfs_provider *p, struct vfs_node *node)
{
	struct host *h = HOST(p);
	struct host_node *n = NODE(node), *dir;

	/* A loop, not recursion: the guest chose the depth. */
	while (n != NULL) {
		vfs_buckets_remove(&h->nodes, &n->link);
		dir = n->dir;
		free(n->name);
		free(n);
		n = dir != NULL && --dir->base.refs == 0 ? dir : NULL;
	}
}

/*
 * Writes the end of the path to n that fits into a piece; returns the directory that it starts
 * from, and *path.  -> NULL where the node has no place.
 */
static const struct host_node *
path_piece(const struct host *h, const struct host_node *n, char buffer[PATH_PIECE], char **path)
{
	size_t at = PATH_PIECE - 1, length;

	buffer[at] = '\0';
	while (n != h->root) {
		if (n->dir == NULL || n->name == NULL)
			return NULL;
		length = strlen(n->name);
		if (at < length + 1)
			break;
		if (buffer[at] != '\0')
			buffer[--at] = '/';
		at -= length;
		memcpy(buffer + at, n->name, length);
		n = n->dir;
	}
	*path = buffer + at;
	return n;
}

/* Opens a place, link-free, from the root or from pieces of a very deep path. */
static int
open_place(struct host *h, const struct host_node *n, int flags, unsigned depth)
{
	char buffer[PATH_PIECE], *path;
	const struct host_node *from = path_piece(h, n, buffer, &path);
	int dir, fd;

	if (from == NULL)
		return -ESTALE;
	if (depth == 0)
		return -ENAMETOOLONG;
	if (from == h->root)
		return host_openat(h->config.root, *path != '\0' ? path : ".", flags, 0);
	dir = open_place(h, from, O_PATH | O_DIRECTORY, depth - 1);
	if (dir < 0)
		return dir;
	fd = host_openat(dir, path, flags, 0);
	close(dir);
	return fd;
}

static bool
same_file(struct host *h, const struct host_node *n, const struct statx *st)
{
	struct owner_key key;

	return host_key(h, st, &key) == 0 && is_node(n, &key);
}

int
host_node_open(struct host *h, const struct host_node *n, int flags, struct statx *st)
{
	struct statx own;
	int fd, error;

	if (st == NULL)
		st = &own;
	fd = open_place(h, n, flags, PIECES_MAX);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EXDEV)
		return -ESTALE;
	if (fd < 0)
		return fd;
	error = host_statx(fd, st);
	if (error == 0 && !same_file(h, n, st))
		error = -ESTALE;
	if (error != 0) {
		close(fd);
		return error;
	}
	return fd;
}

int
host_dir_open(struct host *h, const struct host_node *n)
{
	if (n == h->root)
		return h->config.root;
	if (n->type != S_IFDIR)
		return -ENOTDIR;
	return host_node_open(h, n, O_PATH | O_DIRECTORY, NULL);
}

void
host_dir_done(const struct host *h, int fd)
{
	if (fd >= 0 && fd != h->config.root)
		close(fd);
}

int
host_node_any(
    struct host *h, const struct host_node *n, const struct vfs_handle *with, bool *opened)
{
	*opened = false;
	if (with != NULL)
		return ((const struct host_handle *)with)->fd;
	if (n == h->root)
		return h->config.root;
	if (n->handles != NULL)
		return n->handles->fd;
	*opened = true;
	return host_node_open(h, n, O_PATH, NULL);
}
