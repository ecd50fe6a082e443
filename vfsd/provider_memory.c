/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree in memory: names.
 *
 * Everything that the guest can make costs bytes of the budget, names and attributes as well as
 * pages, so that the cap holds whatever the guest makes many of.
 */
#include "vfsd/provider_memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/memory_internal.h"

#define PLACES_FIRST 8u
#define ENTRY(l)     VFS_LINKED(l, struct memory_entry, link)

static uint32_t
hash(const struct memory_node *dir, const char *name)
{
	uint64_t h = dir->ino * 0x9e3779b97f4a7c15ull;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull;
	return (uint32_t)(h >> 16) ^ (uint32_t)h;
}

static uint32_t
hash_of(const struct vfs_link *link)
{
	return hash(ENTRY(link)->dir, ENTRY(link)->name);
}

static struct memory_entry *
find(const struct memory *m, const struct memory_node *dir, const char *name)
{
	struct vfs_link *link = vfs_buckets_first(&m->names, hash(dir, name));

	while (link != NULL && (ENTRY(link)->dir != dir || strcmp(ENTRY(link)->name, name) != 0))
		link = link->next;
	return link != NULL ? ENTRY(link) : NULL;
}

/* ---- A directory's order ---- */

/* The first place with a cookie above this one. */
static uint64_t
place_behind(const struct memory_node *dir, uint64_t cookie)
{
	uint64_t low = 0, high = dir->u.dir.n_places, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (dir->u.dir.places[mid].cookie > cookie)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Drops the places whose names are gone, and the room that nobody pays for any more. */
static void
compact(struct memory_node *dir)
{
	uint64_t i, kept = 0, capacity;
	struct memory_place *places;

	for (i = 0; i < dir->u.dir.n_places; i++) {
		if (dir->u.dir.places[i].entry != NULL)
			dir->u.dir.places[kept++] = dir->u.dir.places[i];
	}
	dir->u.dir.n_places = kept;
	capacity = kept > PLACES_FIRST / 2 ? kept * 2 : PLACES_FIRST;
	if (capacity >= dir->u.dir.capacity)
		return;
	places = reallocarray(dir->u.dir.places, capacity, sizeof(*places));
	if (places == NULL)
		return;
	dir->u.dir.places = places;
	dir->u.dir.capacity = capacity;
}

static int
place_add(struct memory_node *dir, struct memory_entry *e)
{
	struct memory_place *places;
	uint64_t capacity;

	if (dir->u.dir.n_places == dir->u.dir.capacity) {
		capacity = dir->u.dir.capacity > 0 ? dir->u.dir.capacity * 2 : PLACES_FIRST;
		places = reallocarray(dir->u.dir.places, capacity, sizeof(*places));
		if (places == NULL)
			return -ENOMEM;
		dir->u.dir.places = places;
		dir->u.dir.capacity = capacity;
	}
	e->cookie = ++dir->u.dir.last_cookie;
	dir->u.dir.places[dir->u.dir.n_places++] =
	    (struct memory_place){.cookie = e->cookie, .entry = e};
	dir->u.dir.n_entries++;
	return 0;
}

static void
place_remove(struct memory_node *dir, const struct memory_entry *e)
{
	dir->u.dir.places[place_behind(dir, e->cookie - 1)].entry = NULL;
	if (--dir->u.dir.n_entries < dir->u.dir.n_places / 2)
		compact(dir);
}

/* ---- Entries ---- */

static uint64_t
entry_cost(const char *name)
{
	return sizeof(struct memory_entry) + sizeof(struct memory_place) + sizeof(void *) +
	       strlen(name) + 1;
}

/* Adds a name (and its reference) for a node. */
static int
entry_add(struct memory *m, struct memory_node *dir, const char *name, struct memory_node *n)
{
	struct memory_entry *e;
	int error;

	if (!vfs_buckets_reserve(&m->names))
		return -ENOMEM;
	error = memory_charge(&m->budget, entry_cost(name));
	if (error != 0)
		return error;
	e = calloc(1, sizeof(*e) + strlen(name) + 1);
	error = e != NULL ? place_add(dir, e) : -ENOMEM;
	if (error != 0) {
		memory_credit(&m->budget, entry_cost(name));
		free(e);
		return error;
	}
	memcpy(e->name, name, strlen(name) + 1);
	e->dir = dir;
	vfs_node_ref(&dir->base);
	e->node = n;
	vfs_buckets_add(&m->names, &e->link);
	vfs_node_ref(&n->base);
	n->seen = e;
	n->nlink++;
	n->ctime = dir->mtime = dir->ctime = memory_now();
	if (S_ISDIR(n->mode)) {
		n->u.dir.parent = dir;
		dir->nlink++;
	}
	return 0;
}

/* Takes a name away; the node may go with it. */
static void
entry_remove(struct memory *m, struct memory_entry *e)
{
	struct memory_node *n = e->node, *dir = e->dir;

	vfs_buckets_remove(&m->names, &e->link);
	place_remove(dir, e);
	memory_credit(&m->budget, entry_cost(e->name));
	n->nlink--;
	n->ctime = dir->mtime = dir->ctime = memory_now();
	if (S_ISDIR(n->mode)) {
		n->u.dir.parent = NULL;
		dir->nlink--;
	}
	if (n->seen == e)
		n->seen = NULL;
	free(e);
	vfs_node_put(&n->base);
	vfs_node_put(&dir->base);
}

/* ---- Nodes ---- */

static struct memory_node *
node_new(struct memory *m, const struct vfs_make *make, const struct memory_node *dir, int *error)
{
	struct memory_node *n;

	*error = -ENOSPC;
	if (m->budget.inodes >= m->budget.inodes_max || memory_charge(&m->budget, sizeof(*n)) != 0)
		return NULL;
	n = calloc(1, sizeof(*n));
	*error = n != NULL ? 0 : -ENOMEM;
	if (n != NULL && S_ISLNK(make->mode)) {
		assert(make->target != NULL);
		n->size = strlen(make->target);
		*error = memory_charge(&m->budget, n->size + 1);
		n->u.target = *error == 0 ? strdup(make->target) : NULL;
	}
	if (*error != 0) {
		memory_credit(&m->budget, sizeof(*n));
		free(n);
		return NULL;
	}
	m->budget.inodes++;
	n->base.provider = &m->base;
	n->base.refs = 1;
	n->ino = ++m->last_ino;
	n->mode = make->mode;
	n->uid = make->uid;
	n->gid = make->gid;
	n->nlink = S_ISDIR(make->mode);
	n->atime = n->mtime = n->ctime = memory_now();
	if (dir != NULL && (dir->mode & S_ISGID)) {
		n->gid = dir->gid;
		if (S_ISDIR(n->mode))
			n->mode |= S_ISGID;
	}
	return n;
}

static void
memory_node_free(struct vfs_provider *p, struct vfs_node *node)
{
	struct memory *m = MEMORY(p);
	struct memory_node *n = NODE(node);

	memory_xattrs_free(m, n);
	if (S_ISREG(n->mode)) {
		memory_pages_free(&n->u.data, &m->budget, 0, UINT64_MAX);
	} else if (S_ISLNK(n->mode)) {
		memory_credit(&m->budget, n->size + 1);
		free(n->u.target);
	} else if (S_ISDIR(n->mode)) {
		free(n->u.dir.places);
	}
	memory_credit(&m->budget, sizeof(*n));
	m->budget.inodes--;
	free(n);
}

static struct vfs_node *
memory_root(struct vfs_provider *p)
{
	return &MEMORY(p)->root->base;
}

/* A directory that still has a place in the tree. */
static int
check_dir(const struct memory *m, const struct memory_node *dir)
{
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	return dir == m->root || dir->u.dir.parent != NULL ? 0 : -ENOENT;
}

static void
fill(struct memory_node *n, struct vfs_entry *out)
{
	vfs_node_ref(&n->base);
	out->node = &n->base;
	memory_attr(n, &out->attr);
}

static int
memory_lookup(struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out)
{
	int error = check_dir(MEMORY(p), NODE(dir));
	struct memory_entry *e;

	if (error != 0)
		return error;
	e = find(MEMORY(p), NODE(dir), name);
	if (e == NULL)
		return -ENOENT;
	e->node->seen = e;
	fill(e->node, out);
	return 0;
}

/* A new node under a new name. */
static int
add(struct memory *m, struct memory_node *dir, const char *name, const struct vfs_make *make,
    struct vfs_entry *out)
{
	int error = check_dir(m, dir);
	struct memory_node *n;

	if (error != 0)
		return error;
	if (find(m, dir, name) != NULL)
		return -EEXIST;
	n = node_new(m, make, dir, &error);
	if (n == NULL)
		return error;
	error = entry_add(m, dir, name, n);
	if (error == 0)
		fill(n, out);
	vfs_node_put(&n->base);
	return error;
}

static int
memory_make(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, struct vfs_entry *out)
{
	if (S_ISCHR(make->mode) || S_ISBLK(make->mode))
		return -EPERM;
	return add(MEMORY(p), NODE(dir), name, make, out);
}

static int
memory_create(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **h)
{
	struct memory *m = MEMORY(p);
	int error = add(m, NODE(dir), name, make, out);
	bool unchanged;

	if (error == -EEXIST && !(flags & O_EXCL)) {
		error = memory_lookup(p, dir, name, out);
		if (error == 0 && !S_ISREG(out->attr.mode)) {
			vfs_node_put(out->node);
			return S_ISDIR(out->attr.mode) ? -EISDIR : -EEXIST;
		}
	}
	if (error != 0)
		return error;
	error = memory_open(p, out->node, flags, h, &unchanged);
	if (error != 0)
		vfs_node_put(out->node);
	else
		memory_attr(NODE(out->node), &out->attr);
	return error;
}

static int
memory_tmpfile(struct vfs_provider *p, struct vfs_node *dir, const struct vfs_make *make, int flags,
    struct vfs_entry *out, struct vfs_handle **h)
{
	int error = check_dir(MEMORY(p), NODE(dir));
	struct memory_node *n;

	if (error == 0)
		n = node_new(MEMORY(p), make, NODE(dir), &error);
	if (error != 0)
		return error;
	n->linkable = !(flags & O_EXCL);
	*h = memory_handle(MEMORY(p), n, flags, false);
	if (*h == NULL)
		error = -ENOMEM;
	else
		fill(n, out);
	vfs_node_put(&n->base);
	return error;
}

static int
memory_link(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir, const char *name,
    struct vfs_entry *out)
{
	struct memory *m = MEMORY(p);
	int error = check_dir(m, NODE(dir));

	if (error != 0)
		return error;
	if (S_ISDIR(NODE(node)->mode))
		return -EPERM;
	if (NODE(node)->nlink == 0 && !NODE(node)->linkable)
		return -ENOENT;
	if (find(m, NODE(dir), name) != NULL)
		return -EEXIST;
	if (NODE(node)->nlink == UINT32_MAX)
		return -EMLINK;
	error = entry_add(m, NODE(dir), name, NODE(node));
	if (error == 0)
		fill(NODE(node), out);
	return error;
}

static int
memory_unlink(struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory)
{
	struct memory *m = MEMORY(p);
	struct memory_entry *e;
	struct memory_node *n;

	if (!S_ISDIR(NODE(dir)->mode))
		return -ENOTDIR;
	e = find(m, NODE(dir), name);
	if (e == NULL)
		return -ENOENT;
	n = e->node;
	if (directory != (bool)S_ISDIR(n->mode))
		return directory ? -ENOTDIR : -EISDIR;
	if (directory && n->u.dir.n_entries > 0)
		return -ENOTEMPTY;
	if (directory)
		n->nlink--; /* its own "." */
	entry_remove(m, e);
	return 0;
}

/* True where dir is n or below it. */
static bool
is_below(const struct memory_node *dir, const struct memory_node *n)
{
	for (; dir != NULL; dir = dir->u.dir.parent) {
		if (dir == n)
			return true;
	}
	return false;
}

/* Whether `old` may take the place of `new` (NULL: nothing there). */
static int
check_rename(const struct memory_node *old, const struct memory_node *to,
    const struct memory_node *new, unsigned flags)
{
	bool exchange = flags == RENAME_EXCHANGE;

	if (S_ISDIR(old->mode) && is_below(to, old))
		return -EINVAL;
	if (new == NULL)
		return exchange ? -ENOENT : 0;
	if (flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (exchange)
		return 0;
	if (S_ISDIR(old->mode) && !S_ISDIR(new->mode))
		return -ENOTDIR;
	if (!S_ISDIR(old->mode) && S_ISDIR(new->mode))
		return -EISDIR;
	return S_ISDIR(new->mode) && new->u.dir.n_entries > 0 ? -ENOTEMPTY : 0;
}

/* Gives a name another node (and the reference of it that the caller has) and returns the old one.
 */
static struct memory_node *
entry_point(struct memory_entry *e, struct memory_node *n)
{
	struct memory_node *old = e->node;

	e->dir->nlink += (uint32_t)S_ISDIR(n->mode) - (uint32_t)S_ISDIR(old->mode);
	e->node = n;
	n->seen = e;
	if (S_ISDIR(n->mode))
		n->u.dir.parent = e->dir;
	n->ctime = old->ctime = e->dir->mtime = e->dir->ctime = memory_now();
	return old;
}

static int
memory_rename(struct vfs_provider *p, struct vfs_node *from, const char *old, struct vfs_node *to,
    const char *new, unsigned flags)
{
	struct memory *m = MEMORY(p);
	struct memory_entry *a, *b;
	struct memory_node *n, *gone;
	int error = check_dir(m, NODE(from));

	if (error == 0)
		error = check_dir(m, NODE(to));
	if (error != 0)
		return error;
	a = find(m, NODE(from), old);
	b = find(m, NODE(to), new);
	if (a == NULL)
		return -ENOENT;
	if (b != NULL && a->node == b->node)
		return flags == RENAME_NOREPLACE ? -EEXIST : 0;
	error = check_rename(a->node, NODE(to), b != NULL ? b->node : NULL, flags);
	if (error != 0)
		return error;
	n = a->node;
	if (flags == RENAME_EXCHANGE && b != NULL) {
		if (S_ISDIR(b->node->mode) && is_below(NODE(from), b->node))
			return -EINVAL;
		entry_point(a, entry_point(b, n));
		return 0;
	}
	if (b != NULL) {
		/* The old name's reference and count move over to the new one. */
		vfs_node_ref(&n->base);
		n->nlink++;
		gone = entry_point(b, n);
		gone->nlink -= S_ISDIR(gone->mode) ? 2u : 1u;
		if (S_ISDIR(gone->mode))
			gone->u.dir.parent = NULL;
		if (gone->seen == b)
			gone->seen = NULL;
		vfs_node_put(&gone->base);
	} else {
		error = entry_add(m, NODE(to), new, n);
		if (error != 0)
			return error;
	}
	entry_remove(m, find(m, NODE(from), old));
	/* Removing the old name made it look like a directory without a place. */
	if (S_ISDIR(n->mode))
		n->u.dir.parent = NODE(to);
	return 0;
}

static ssize_t
memory_readlink(struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size)
{
	struct memory_node *n = NODE(node);

	(void)p;
	if (!S_ISLNK(n->mode))
		return -EINVAL;
	if (size > n->size)
		size = (size_t)n->size;
	memcpy(buffer, n->u.target, size);
	return (ssize_t)size;
}

static int
memory_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **out)
{
	if (!S_ISDIR(NODE(node)->mode))
		return -ENOTDIR;
	*out = memory_handle(MEMORY(p), NODE(node), 0, true);
	return *out != NULL ? 0 : -ENOMEM;
}

/* "." and ".." have the cookies 1 and 2; names follow from 3 on. */
#define COOKIE_NAMES 2u

static int
memory_readdir(struct vfs_provider *p, struct vfs_handle *h, uint64_t cookie, bool with_entries,
    vfs_emit emit, void *ctx)
{
	struct memory_node *dir = NODE(h->node), *parent = dir->u.dir.parent;
	struct vfs_dirent d = {.type = S_IFDIR};
	struct memory_entry *e;
	uint64_t i;

	(void)p;
	for (i = cookie; i < COOKIE_NAMES; i++) {
		d.name = "..";
		d.length = (size_t)i + 1;
		d.cookie = i + 1;
		d.ino = i == 0 || parent == NULL ? dir->ino : parent->ino;
		if (!emit(ctx, &d))
			return 0;
	}
	i = place_behind(dir, cookie > COOKIE_NAMES ? cookie - COOKIE_NAMES : 0);
	for (; i < dir->u.dir.n_places; i++) {
		e = dir->u.dir.places[i].entry;
		if (e == NULL)
			continue;
		d.name = e->name;
		d.length = strlen(e->name);
		d.cookie = e->cookie + COOKIE_NAMES;
		d.ino = e->node->ino;
		d.type = e->node->mode & S_IFMT;
		d.entry.node = NULL;
		if (with_entries) {
			e->node->seen = e;
			fill(e->node, &d.entry);
		}
		if (!emit(ctx, &d)) {
			vfs_node_put(d.entry.node);
			break;
		}
	}
	return 0;
}

static int
memory_sync(struct vfs_provider *p, struct vfs_handle *h, bool data_only)
{
	(void)p;
	(void)h;
	(void)data_only;
	return 0;
}

static int
memory_statfs(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out)
{
	const struct memory_budget *b = &MEMORY(p)->budget;

	(void)node;
	out->bsize = out->frsize = MEMORY_PAGE;
	out->blocks = b->bytes_max / MEMORY_PAGE;
	out->bfree = out->bavail = (b->bytes_max - b->bytes) / MEMORY_PAGE;
	out->files = b->inodes_max;
	out->ffree = b->inodes_max - b->inodes;
	out->namelen = VFS_NAME_MAX;
	return 0;
}

static struct vfs_node *
memory_where(struct vfs_provider *p, struct vfs_node *node, const char **name)
{
	const struct memory_entry *e = NODE(node)->seen;

	(void)p;
	*name = e != NULL ? e->name : NULL;
	return e != NULL ? &e->dir->base : NULL;
}

static void
end_entry(void *ctx, struct vfs_link *link)
{
	entry_remove(ctx, ENTRY(link));
}

static void
memory_free(struct vfs_provider *p)
{
	struct memory *m = MEMORY(p);

	vfs_buckets_drain(&m->names, end_entry, m);
	vfs_node_put(&m->root->base);
	vfs_buckets_clear(&m->names);
	free(m);
}

/* Nobody outside can hold a lock on these files. */
static int
memory_flock(struct vfs_provider *p, struct vfs_handle *h, int operation)
{
	(void)p;
	(void)h;
	(void)operation;
	return -EOPNOTSUPP;
}

static const struct vfs_provider_ops memory_ops = {
    .name = "memory",
    .free = memory_free,
    .root = memory_root,
    .node_free = memory_node_free,
    .lookup = memory_lookup,
    .getattr = memory_getattr,
    .setattr = memory_setattr,
    .readlink = memory_readlink,
    .make = memory_make,
    .create = memory_create,
    .tmpfile = memory_tmpfile,
    .link = memory_link,
    .unlink = memory_unlink,
    .rename = memory_rename,
    .open = memory_open,
    .close = memory_close,
    .read = memory_read,
    .write = memory_write,
    .copy = memory_copy,
    .allocate = memory_allocate,
    .seek = memory_seek,
    .flock = memory_flock,
    .sync = memory_sync,
    .opendir = memory_opendir,
    .readdir = memory_readdir,
    .statfs = memory_statfs,
    .getxattr = memory_getxattr,
    .listxattr = memory_listxattr,
    .setxattr = memory_setxattr,
    .removexattr = memory_removexattr,
    .where = memory_where,
    .identity = vfs_node_itself,
};

int
vfs_memory_new(const struct vfs_memory_config *config, struct vfs_provider **out)
{
	struct vfs_make make = {
	    .mode = S_IFDIR | (config->mode & 07777), .uid = config->uid, .gid = config->gid};
	struct memory *m = calloc(1, sizeof(*m));
	int error = -ENOMEM;

	if (m == NULL)
		return -ENOMEM;
	m->base.ops = &memory_ops;
	m->base.exclusive = true;
	m->budget.bytes_max = config->bytes;
	m->budget.inodes_max =
	    config->inodes > 0 ? config->inodes : config->bytes / MEMORY_PAGE + 1;
	vfs_buckets_init(&m->names, hash_of);
	m->root = node_new(m, &make, NULL, &error);
	if (m->root == NULL) {
		free(m);
		return error;
	}
	m->root->nlink++; /* what an entry would count */
	*out = &m->base;
	return 0;
}

void
vfs_memory_usage(const struct vfs_provider *p, uint64_t *bytes, uint64_t *inodes)
{
	const struct memory *m = (const struct memory *)p;

	*bytes = m->budget.bytes;
	*inodes = m->budget.inodes;
}
