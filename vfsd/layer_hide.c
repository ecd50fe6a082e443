/* SPDX-License-Identifier: Apache-2.0 */
/* A layer that hides names: see the header. */
#include "vfsd/layer_hide.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfsd/glob.h"
#include "vfsd/hide_files.h"
#include "vfsd/layer.h"
#include "vfsd/merge.h"
#include "vfsd/provider_memory.h"

struct part {
	const char *text;
	size_t length;
};

struct pattern {
	char *text;
	bool anchored; /* a path; else parts[0] is a name anywhere */
	size_t n_parts;
	struct part parts[HIDE_PARTS_MAX];
};

#define SCRATCH_NAME 32u /* bytes of a number */

/* The guest's own files under hidden names of one directory. */
struct scratch {
	struct scratch *next;
	struct vfs_node *dir;  /* of the lower provider, with a reference */
	struct vfs_node *mine; /* a directory in memory, with a reference */
};

struct hide {
	struct vfs_layer layer;
	struct vfs_hide_config config;
	struct pattern *patterns;
	size_t n_patterns;
	struct hide_files files;
	struct vfs_provider *memory; /* scratch only */
	struct scratch *scratches;
	uint64_t n_scratches;
};

/* A merged listing's handle. */
struct hide_handle {
	struct vfs_handle base;
	struct hide *hide;
	struct vfs_merge merge;
	bool with_entries;
};

#define HIDE(p) ((struct hide *)(p))

static struct vfs_provider *
lower_of(const struct hide *h)
{
	return h->layer.lower;
}

static bool
is_mine(const struct hide *h, const struct vfs_node *node)
{
	return node->provider == h->memory;
}

static struct vfs_provider *
hide_route(struct vfs_layer *l, const struct vfs_node *node)
{
	struct hide *h = (struct hide *)l;

	return is_mine(h, node) ? h->memory : l->lower;
}

/* ---- Patterns ---- */

static bool
part_fits(const struct part *part, const char *name)
{
	return vfs_glob(part->text, part->length, name, strlen(name));
}

/* True where dir and name are just the first n parts of the pattern. */
static bool
path_fits(struct hide *h, const struct pattern *p, size_t n, struct vfs_node *dir, const char *name)
{
	struct vfs_provider *lower = lower_of(h);
	struct vfs_node *root = lower->ops->root(lower);

	while (n > 0 && name != NULL && part_fits(&p->parts[n - 1], name)) {
		n--;
		if (dir == root)
			return n == 0;
		if (dir == NULL)
			return false;
		dir = lower->ops->where(lower, dir, &name);
	}
	return false;
}

static bool
is_hidden_name(struct hide *h, struct vfs_node *dir, const char *name)
{
	const struct pattern *p;

	for (p = h->patterns; p < h->patterns + h->n_patterns; p++) {
		if (p->anchored ? path_fits(h, p, p->n_parts, dir, name)
				: part_fits(&p->parts[0], name))
			return true;
	}
	return false;
}

/* True where a hidden path leads through this name. */
static bool
is_on_the_way(struct hide *h, struct vfs_node *dir, const char *name)
{
	const struct pattern *p;
	size_t n;

	for (p = h->patterns; p < h->patterns + h->n_patterns; p++) {
		for (n = 1; p->anchored && n < p->n_parts; n++) {
			if (path_fits(h, p, n, dir, name))
				return true;
		}
	}
	return false;
}

/* True for a name that leads to a file which was met under a hidden one. */
static bool
is_hidden_file(const struct hide *h, const struct vfs_entry *e)
{
	struct vfs_provider *lower = lower_of(h);

	return !is_mine(h, e->node) &&
	       hide_files_has_file(&h->files, lower->ops->identity(lower, e->node));
}

/*
 * What the guest knew before the host gave it a hidden name, or put it below one, is out of its
 * reach from then on.
 */
static int
hide_refuse(struct vfs_layer *l, struct vfs_node *node)
{
	struct hide *h = (struct hide *)l;
	struct vfs_provider *lower = lower_of(h);
	const char *name;

	if (hide_files_empty(&h->files) || is_mine(h, node))
		return 0;
	for (; node != NULL; node = lower->ops->where(lower, node, &name)) {
		if (hide_files_has_node(&h->files, node))
			return -ESTALE;
	}
	return 0;
}

/* Remembers which file a hidden name is now. */
static void
meet(struct hide *h, struct vfs_node *dir, const char *name)
{
	struct vfs_provider *lower = lower_of(h);
	struct vfs_entry e;

	if (lower->ops->lookup(lower, dir, name, &e) == 0)
		hide_files_add(
		    &h->files, e.node, lower->ops->identity(lower, e.node), HIDE_FILES_MAX);
}

static void
tell(struct hide *h, struct vfs_node *dir, const char *name)
{
	if (h->config.denied != NULL)
		h->config.denied(h->config.ctx, dir, name);
}

/* Meets the files of patterns that are plain paths before the guest can ask for anything. */
static void
meet_path(struct hide *h, const struct pattern *p)
{
	struct vfs_provider *lower = lower_of(h);
	struct vfs_node *dir = lower->ops->root(lower);
	char name[VFS_NAME_MAX + 1];
	struct vfs_entry e;
	size_t i;

	vfs_node_ref(dir);
	for (i = 0; i < p->n_parts; i++) {
		if (vfs_glob_is_pattern(p->parts[i].text, p->parts[i].length))
			break;
		memcpy(name, p->parts[i].text, p->parts[i].length);
		name[p->parts[i].length] = '\0';
		if (i + 1 == p->n_parts) {
			meet(h, dir, name);
			break;
		}
		if (lower->ops->lookup(lower, dir, name, &e) != 0)
			break;
		vfs_node_put(dir);
		dir = e.node;
	}
	vfs_node_put(dir);
}

/* ---- The guest's own ---- */

static struct scratch *
scratch_of(const struct hide *h, const struct vfs_node *dir)
{
	struct scratch *s = h->scratches;

	while (s != NULL && s->dir != dir)
		s = s->next;
	return s;
}

/* The directory in memory for hidden names of dir, made where there is none. */
static struct vfs_node *
scratch_make(struct hide *h, struct vfs_node *dir, int *error)
{
	struct vfs_make make = {.mode = S_IFDIR | 0755, .uid = h->config.uid, .gid = h->config.gid};
	struct scratch *s = scratch_of(h, dir);
	struct vfs_entry e;
	char name[SCRATCH_NAME];

	*error = 0;
	if (s != NULL)
		return s->mine;
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	snprintf(name, sizeof(name), "%llu", (unsigned long long)h->n_scratches);
	*error = h->memory->ops->make(h->memory, h->memory->ops->root(h->memory), name, &make, &e);
	if (*error != 0) {
		free(s);
		return NULL;
	}
	h->n_scratches++;
	vfs_node_ref(dir);
	s->dir = dir;
	s->mine = e.node;
	s->next = h->scratches;
	h->scratches = s;
	return s->mine;
}

/*
 * A directory is about to go: so does the one in memory that stands beside it.  -ENOTEMPTY where
 * the guest has names there.
 */
static int
scratch_drop(struct hide *h, const struct vfs_node *dir)
{
	struct scratch **at = &h->scratches, *s;
	const char *name;
	char copy[SCRATCH_NAME];
	int error;

	while (*at != NULL && (*at)->dir != dir)
		at = &(*at)->next;
	s = *at;
	if (s == NULL)
		return 0;
	(void)h->memory->ops->where(h->memory, s->mine, &name);
	snprintf(copy, sizeof(copy), "%s", name);
	error = h->memory->ops->unlink(h->memory, h->memory->ops->root(h->memory), copy, true);
	if (error != 0)
		return error;
	*at = s->next;
	vfs_node_put(s->mine);
	vfs_node_put(s->dir);
	free(s);
	return 0;
}

/*
 * Where a name is to be made or changed: the lower directory, or the guest's own.  Sets *where and
 * *p; returns 0, -EACCES for a hidden name, or -ESTALE for a directory that is hidden itself.
 */
static int
place(struct hide *h, struct vfs_node *dir, const char *name, bool make, struct vfs_node **where,
    struct vfs_provider **p)
{
	struct scratch *s;
	int error = hide_refuse(&h->layer, dir);

	*where = dir;
	*p = hide_route(&h->layer, dir);
	if (error != 0 || is_mine(h, dir) || !is_hidden_name(h, dir, name))
		return error;
	if (h->memory == NULL) {
		tell(h, dir, name);
		return make ? -EACCES : -ENOENT;
	}
	s = scratch_of(h, dir);
	*p = h->memory;
	if (make)
		*where = scratch_make(h, dir, &error);
	else if (s == NULL)
		return -ENOENT;
	else
		*where = s->mine;
	return error;
}

/* ---- Functions of the provider ---- */

/*
 * True for names by which a file system of the host may find a file of another name: other forms of
 * a letter and letters that it ignores (case folding), short names, endings that it cuts off,
 * streams.  Letters in the other case are a pattern's.
 */
static bool
may_be_alias(const char *name)
{
	size_t length = strlen(name), i;

	for (i = 0; i < length; i++) {
		if ((unsigned char)name[i] >= 0x80 || strchr("~:\\", name[i]) != NULL)
			return true;
	}
	return name[length - 1] == '.' || name[length - 1] == ' ';
}

/*
 * Finds a name of the lower tree.  -ENOENT and *hidden for what leads to a hidden file, or is no
 * name that the directory lists: patterns judge names, so that no other one may lead to a file.
 */
static int
find_lower(struct hide *h, struct vfs_node *dir, const char *name, bool listed,
    struct vfs_entry *out, bool *hidden)
{
	struct vfs_provider *lower = lower_of(h);
	int error = lower->ops->lookup(lower, dir, name, out);

	*hidden = error == 0 && (is_hidden_file(h, out) || (!listed && may_be_alias(name) &&
							       !vfs_lists(lower, dir, name)));
	if (!*hidden)
		return error;
	vfs_node_put(out->node);
	tell(h, dir, name);
	return -ENOENT;
}

/* listed: the name comes from its directory's listing. */
static int
find(struct hide *h, struct vfs_node *dir, const char *name, bool listed, struct vfs_entry *out)
{
	struct vfs_provider *owner;
	struct vfs_node *where;
	bool hidden;
	int error;

	if (!is_mine(h, dir) && is_hidden_name(h, dir, name))
		meet(h, dir, name);
	error = place(h, dir, name, false, &where, &owner);
	if (error != 0)
		return error;
	return owner == h->memory ? owner->ops->lookup(owner, where, name, out)
				  : find_lower(h, where, name, listed, out, &hidden);
}

static int
hide_lookup(struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out)
{
	return find(HIDE(p), dir, name, false, out);
}

static int
hide_make(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, struct vfs_entry *out)
{
	struct vfs_node *where;
	int error = place(HIDE(p), dir, name, true, &where, &p);

	return error != 0 ? error : p->ops->make(p, where, name, make, out);
}

static int
hide_create(struct vfs_provider *p, struct vfs_node *dir, const char *name,
    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **handle)
{
	struct hide *h = HIDE(p);
	struct vfs_node *where;
	struct vfs_entry e;
	bool hidden = false;
	int error = place(h, dir, name, true, &where, &p);

	if (error != 0)
		return error;
	/* Another name of a hidden file would be opened here. */
	if (p != h->memory && find_lower(h, dir, name, false, &e, &hidden) == 0)
		vfs_node_put(e.node);
	if (hidden)
		return -EACCES;
	error = p->ops->create(p, where, name, make, flags, out, handle);
	/* The host may have put one there since. */
	if (error == 0 && is_hidden_file(h, out)) {
		p->ops->close(p, *handle);
		vfs_node_put(out->node);
		error = -EACCES;
	}
	return error;
}

static int
hide_link(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir, const char *name,
    struct vfs_entry *out)
{
	struct hide *h = HIDE(p);
	struct vfs_node *where;
	int error = hide_refuse(&h->layer, node);

	if (error == 0)
		error = place(h, dir, name, true, &where, &p);
	if (error != 0)
		return error;
	if (hide_route(&h->layer, node) != p)
		return -EXDEV;
	return p->ops->link(p, node, where, name, out);
}

/* Whether a name of the lower tree may go: not another name of a hidden file. */
static int
may_go(struct hide *h, struct vfs_node *dir, const char *name, bool directory)
{
	struct vfs_entry e;
	bool hidden;
	int error;

	if (h->scratches == NULL && hide_files_empty(&h->files) && !may_be_alias(name))
		return 0;
	error = find_lower(h, dir, name, false, &e, &hidden);
	if (error != 0)
		return error;
	error = directory ? scratch_drop(h, e.node) : 0;
	vfs_node_put(e.node);
	return error;
}

static int
hide_unlink(struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory)
{
	struct hide *h = HIDE(p);
	struct vfs_node *where;
	int error = place(h, dir, name, false, &where, &p);

	if (error == 0 && p != h->memory)
		error = may_go(h, dir, name, directory);
	return error != 0 ? error : p->ops->unlink(p, where, name, directory);
}

/* A directory on the way to something hidden stays where it is.  replaced: what is there goes. */
static int
may_move(struct hide *h, struct vfs_node *dir, const char *name, bool replaced)
{
	struct vfs_entry e;
	bool hidden;
	int error;

	if (is_mine(h, dir))
		return 0;
	error = find_lower(h, dir, name, false, &e, &hidden);
	if (hidden)
		return -EACCES;
	if (error != 0)
		return error == -ENOENT ? 0 : error;
	if (S_ISDIR(e.attr.mode) && is_on_the_way(h, dir, name)) {
		tell(h, dir, name);
		error = -EACCES;
	} else if (S_ISDIR(e.attr.mode) && replaced) {
		error = scratch_drop(h, e.node);
	}
	vfs_node_put(e.node);
	return error;
}

static int
hide_rename(struct vfs_provider *p, struct vfs_node *from, const char *old, struct vfs_node *to,
    const char *new, unsigned flags)
{
	struct hide *h = HIDE(p);
	struct vfs_provider *from_p, *to_p;
	struct vfs_node *from_dir, *to_dir;
	int error = place(h, from, old, false, &from_dir, &from_p);

	if (error == 0)
		error = place(h, to, new, true, &to_dir, &to_p);
	if (error != 0)
		return error;
	if (from_p != to_p)
		return -EXDEV;
	if (from_p != h->memory) {
		error = may_move(h, from, old, false);
		/* What is replaced must not be a hidden file's other name either. */
		if (error == 0)
			error = may_move(h, to, new, flags == 0);
	}
	return error != 0 ? error : from_p->ops->rename(from_p, from_dir, old, to_dir, new, flags);
}

static ssize_t
hide_copy(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset, struct vfs_handle *out,
    uint64_t out_offset, size_t size)
{
	struct hide *h = HIDE(p);

	if (is_mine(h, in->node) != is_mine(h, out->node))
		return -EXDEV;
	return vfs_pass_copy(p, in, in_offset, out, out_offset, size);
}

static int
hide_opendir(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **out)
{
	struct hide *h = HIDE(p);
	struct vfs_provider *lower = lower_of(h);
	struct scratch *s = scratch_of(h, node);
	struct hide_handle *handle;
	int error;

	if (is_mine(h, node))
		return vfs_pass_opendir(p, node, out);
	error = hide_refuse(&h->layer, node);
	if (error != 0)
		return error;
	handle = calloc(1, sizeof(*handle));
	if (handle == NULL)
		return -ENOMEM;
	handle->base = (struct vfs_handle){.provider = p, .node = node, .directory = true};
	handle->hide = h;
	handle->merge.part[0] = lower;
	handle->merge.part[1] = h->memory;
	error = lower->ops->opendir(lower, node, &handle->merge.handle[0]);
	if (error == 0 && s != NULL)
		error = h->memory->ops->opendir(h->memory, s->mine, &handle->merge.handle[1]);
	if (error != 0) {
		vfs_merge_close(&handle->merge);
		free(handle);
		return error;
	}
	vfs_node_ref(node);
	*out = &handle->base;
	return 0;
}

/* Handles of directories are the layer's own, those of files the provider's below. */
static void
hide_close(struct vfs_provider *p, struct vfs_handle *handle)
{
	struct hide_handle *own = (struct hide_handle *)handle;

	if (handle->provider != p) {
		vfs_pass_close(p, handle);
		return;
	}
	vfs_merge_close(&own->merge);
	vfs_node_put(handle->node);
	free(own);
}

static int
hide_sync(struct vfs_provider *p, struct vfs_handle *handle, bool data_only)
{
	struct hide_handle *own = (struct hide_handle *)handle;
	struct vfs_provider *lower = lower_of(HIDE(p));

	if (handle->provider != p)
		return vfs_pass_sync(p, handle, data_only);
	return lower->ops->sync(lower, own->merge.handle[0], data_only);
}

static bool
keep_name(void *ctx, int phase, struct vfs_dirent *d)
{
	struct hide_handle *own = ctx;
	struct hide *h = own->hide;
	struct vfs_node *dir = own->base.node;
	char name[VFS_NAME_MAX + 1];

	if (d->length > VFS_NAME_MAX)
		return false;
	memcpy(name, d->name, d->length);
	name[d->length] = '\0';
	if (phase == 0 && is_hidden_name(h, dir, name)) {
		meet(h, dir, name);
		return false;
	}
	if (!own->with_entries && hide_files_empty(&h->files))
		return true;
	/* A name that is gone by now, or another name of a hidden file. */
	if (find(h, dir, name, true, &d->entry) != 0) {
		d->entry.node = NULL;
		return false;
	}
	if (!own->with_entries) {
		vfs_node_put(d->entry.node);
		d->entry.node = NULL;
	}
	return true;
}

static int
hide_readdir(struct vfs_provider *p, struct vfs_handle *handle, uint64_t cookie, bool with_entries,
    vfs_emit emit, void *ctx)
{
	struct hide_handle *own = (struct hide_handle *)handle;

	if (handle->provider != p)
		return vfs_pass_readdir(p, handle, cookie, with_entries, emit, ctx);
	own->with_entries = with_entries;
	return vfs_merge_read(&own->merge, cookie, keep_name, own, emit, ctx);
}

static struct vfs_node *
hide_where(struct vfs_provider *p, struct vfs_node *node, const char **name)
{
	struct hide *h = HIDE(p);
	struct vfs_node *dir = vfs_pass_where(p, node, name);
	struct scratch *s = h->scratches;

	/* The guest's own stands where the hidden name would. */
	while (s != NULL && (dir == NULL || s->mine != dir))
		s = s->next;
	return s != NULL ? s->dir : dir;
}

static void
hide_free(struct vfs_provider *p)
{
	struct hide *h = HIDE(p);
	struct scratch *s, *next;
	size_t i;

	for (s = h->scratches; s != NULL; s = next) {
		next = s->next;
		vfs_node_put(s->mine);
		vfs_node_put(s->dir);
		free(s);
	}
	hide_files_clear(&h->files);
	if (h->memory != NULL)
		h->memory->ops->free(h->memory);
	lower_of(h)->ops->free(lower_of(h));
	for (i = 0; i < h->n_patterns; i++)
		free(h->patterns[i].text);
	free(h->patterns);
	free(h);
}

/* Nodes are the other providers'. */
static void
hide_node_free(struct vfs_provider *p, struct vfs_node *node)
{
	(void)p;
	(void)node;
	abort();
}

static const struct vfs_provider_ops hide_ops = {
    .name = "hide",
    .free = hide_free,
    .root = vfs_pass_root,
    .node_free = hide_node_free,
    .lookup = hide_lookup,
    .getattr = vfs_pass_getattr,
    .setattr = vfs_pass_setattr,
    .readlink = vfs_pass_readlink,
    .make = hide_make,
    .create = hide_create,
    .tmpfile = vfs_pass_tmpfile,
    .link = hide_link,
    .unlink = hide_unlink,
    .rename = hide_rename,
    .open = vfs_pass_open,
    .close = hide_close,
    .read = vfs_pass_read,
    .write = vfs_pass_write,
    .copy = hide_copy,
    .allocate = vfs_pass_allocate,
    .seek = vfs_pass_seek,
    .flock = vfs_pass_flock,
    .sync = hide_sync,
    .opendir = hide_opendir,
    .readdir = hide_readdir,
    .statfs = vfs_pass_statfs,
    .getxattr = vfs_pass_getxattr,
    .listxattr = vfs_pass_listxattr,
    .setxattr = vfs_pass_setxattr,
    .removexattr = vfs_pass_removexattr,
    .where = hide_where,
    .identity = vfs_pass_identity,
};

/* Cuts a pattern into its parts. */
static int
pattern_take(struct pattern *p, const char *text)
{
	const char *at, *end;

	p->anchored = strchr(text, '/') != NULL;
	while (*text == '/')
		text++;
	p->text = strdup(text);
	if (p->text == NULL)
		return -ENOMEM;
	for (at = p->text; *at != '\0'; at = *end != '\0' ? end + 1 : end) {
		end = strchrnul(at, '/');
		if (end == at)
			continue;
		if (p->n_parts == HIDE_PARTS_MAX || (size_t)(end - at) > VFS_NAME_MAX ||
		    strncmp(at, ".", (size_t)(end - at)) == 0 ||
		    strncmp(at, "..", (size_t)(end - at)) == 0)
			return -EINVAL;
		p->parts[p->n_parts].text = at;
		p->parts[p->n_parts++].length = (size_t)(end - at);
	}
	return p->n_parts > 0 ? 0 : -EINVAL;
}

/* Everything but what is ended with the layer. */
static int
hide_fill(struct hide *h, const struct vfs_hide_config *config)
{
	struct vfs_memory_config memory = {
	    .bytes = config->scratch, .uid = config->uid, .gid = config->gid, .mode = 0755};
	size_t i;
	int error = 0;

	h->patterns = calloc(config->n_patterns + 1, sizeof(*h->patterns));
	if (h->patterns == NULL)
		return -ENOMEM;
	for (i = 0; i < config->n_patterns && error == 0; i++, h->n_patterns++)
		error = pattern_take(&h->patterns[i], config->patterns[i]);
	if (error == 0 && config->scratch > 0)
		error = vfs_memory_new(&memory, &h->memory);
	return error;
}

int
vfs_hide_new(
    const struct vfs_hide_config *config, struct vfs_provider *lower, struct vfs_provider **out)
{
	struct hide *h;
	size_t i;
	int error;

	if (config->n_patterns > HIDE_PATTERNS_MAX)
		return -E2BIG;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	hide_files_init(&h->files);
	error = hide_fill(h, config);
	if (error != 0) {
		for (i = 0; i < config->n_patterns && h->patterns != NULL; i++)
			free(h->patterns[i].text);
		free(h->patterns);
		free(h);
		return error;
	}
	h->config = *config;
	h->config.patterns = NULL;
	h->layer.base.ops = &hide_ops;
	h->layer.base.exclusive = lower->exclusive;
	h->layer.base.shares_locks = lower->shares_locks;
	h->layer.lower = lower;
	h->layer.route = hide_route;
	h->layer.refuse = hide_refuse;
	for (i = 0; i < h->n_patterns; i++)
		meet_path(h, &h->patterns[i]);
	*out = &h->layer.base;
	return 0;
}
