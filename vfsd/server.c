/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE server of one mount: negotiation, dispatch, and what the guest knows.
 *
 * Nodes.  The guest names files by node ids.  It gets one with every entry that it is told about,
 * each time counted; FORGET gives counts back, and at zero the id is gone and its number goes
 * stale.  The count is kept in 32 bits and stops at the top, so that four thousand million lookups
 * cannot bring it round to zero: such a node just stays.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfsd/server_internal.h"

#define TRUST_EXCLUSIVE_NS (86400ull * 1000000000ull)
#define READAHEAD_MAX      (1u << 20)

ssize_t
server_body(struct vfs_server *s, const void *body, size_t length)
{
	memcpy(s->out->body, body, length);
	return (ssize_t)length;
}

struct vfs_node *
server_node(struct vfs_server *s, uint64_t nodeid)
{
	struct vfs_slot *slot = vfs_table_get(&s->nodes, nodeid);

	return slot != NULL ? slot->thing : NULL;
}

struct vfs_handle *
server_handle(struct vfs_server *s, uint64_t fh, const struct vfs_node *node, bool directory)
{
	struct vfs_slot *slot = vfs_table_get(&s->handles, fh);
	struct vfs_handle *h = slot != NULL ? slot->thing : NULL;

	return h != NULL && h->node == node && h->directory == directory ? h : NULL;
}

int
server_handle_room(const struct vfs_server *s)
{
	return s->handles.used < s->handles.max ? 0 : -ENFILE;
}

int
server_node_room(const struct vfs_server *s)
{
	return s->nodes.used < s->nodes.max ? 0 : -ENOMEM;
}

int
server_handle_add(struct vfs_server *s, struct vfs_handle *h, uint64_t *fh)
{
	if (vfs_table_add(&s->handles, h, fh) != NULL)
		return 0;
	s->provider->ops->close(s->provider, h);
	return -ENFILE;
}

void
server_trust(const struct vfs_server *s, uint64_t *seconds, uint32_t *nanoseconds)
{
	*seconds = s->fresh_ns / 1000000000ull;
	*nanoseconds = (uint32_t)(s->fresh_ns % 1000000000ull);
}

void
server_attr(const struct vfs_attr *a, struct fuse_attr *out)
{
	*out = (struct fuse_attr){
	    .ino = a->ino,
	    .size = a->size,
	    .blocks = a->blocks,
	    .atime = (uint64_t)a->atime.tv_sec,
	    .mtime = (uint64_t)a->mtime.tv_sec,
	    .ctime = (uint64_t)a->ctime.tv_sec,
	    .atimensec = (uint32_t)a->atime.tv_nsec,
	    .mtimensec = (uint32_t)a->mtime.tv_nsec,
	    .ctimensec = (uint32_t)a->ctime.tv_nsec,
	    .mode = a->mode,
	    .nlink = a->nlink,
	    .uid = a->uid,
	    .gid = a->gid,
	    .rdev = a->rdev,
	    .blksize = a->blksize,
	};
}

int
server_entry(struct vfs_server *s, struct vfs_entry *e, struct fuse_entry_out *out)
{
	struct vfs_slot *slot;
	uint64_t id;

	memset(out, 0, sizeof(*out));
	if (e->node->index != 0) {
		slot = vfs_table_at(&s->nodes, e->node->index, &id);
		assert(slot->thing == e->node);
		vfs_node_put(e->node);
	} else {
		slot = vfs_table_add(&s->nodes, e->node, &id);
		if (slot == NULL) {
			vfs_node_put(e->node);
			return -ENOMEM;
		}
		e->node->index = (uint32_t)id;
	}
	if (slot->count < UINT32_MAX)
		slot->count++;
	out->nodeid = id;
	server_trust(s, &out->entry_valid, &out->entry_valid_nsec);
	server_trust(s, &out->attr_valid, &out->attr_valid_nsec);
	server_attr(&e->attr, &out->attr);
	return 0;
}

void
server_forget(struct vfs_server *s, uint64_t nodeid, uint64_t n)
{
	struct vfs_slot *slot = vfs_table_get(&s->nodes, nodeid);
	struct vfs_node *node;

	if (slot == NULL || nodeid == FUSE_ROOT_ID || slot->count == UINT32_MAX)
		return;
	if (n < slot->count) {
		slot->count -= (uint32_t)n;
		return;
	}
	node = slot->thing;
	vfs_table_remove(&s->nodes, nodeid);
	node->index = 0;
	vfs_node_put(node);
}

static ssize_t
on_forget(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	(void)node;
	server_forget(s, r->header.nodeid, r->arg.forget.nlookup);
	return SERVER_NO_REPLY;
}

static ssize_t
on_batch_forget(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	struct fuse_forget_one one;
	size_t i;

	(void)node;
	for (i = 0; i + sizeof(one) <= r->data_length; i += sizeof(one)) {
		memcpy(&one, r->data + i, sizeof(one));
		server_forget(s, one.nodeid, one.nlookup);
	}
	return SERVER_NO_REPLY;
}

static ssize_t
on_init(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_init_in *in = &r->arg.init;
	uint32_t want = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
			FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
			FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 |
			FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS;
	struct fuse_init_out out = {
	    .major = FUSE_KERNEL_VERSION,
	    .minor = in->minor < FUSE_MINOR_MAX ? in->minor : FUSE_MINOR_MAX,
	    .max_readahead = in->max_readahead < READAHEAD_MAX ? in->max_readahead : READAHEAD_MAX,
	    .max_background = (uint16_t)s->config.limits.background,
	    .congestion_threshold = (uint16_t)((s->config.limits.background * 3 + 3) / 4),
	    .max_write = s->config.limits.write,
	    .time_gran = 1,
	    .max_pages = FUSE_DATA_PAGES,
	};

	(void)node;
	if (s->ready)
		return -EINVAL;
	/* A newer major asks again with ours; an older one cannot be served. */
	if (in->major > FUSE_KERNEL_VERSION) {
		out.minor = FUSE_MINOR_MAX;
		return server_body(s, &out, sizeof(out));
	}
	if (in->major < FUSE_KERNEL_VERSION || in->minor < FUSE_MINOR_MIN)
		return -EPROTO;
	if (s->provider->exclusive)
		want |= FUSE_WRITEBACK_CACHE;
	if (server_shares_locks(s))
		want |= FUSE_FLOCK_LOCKS;
	out.flags = in->flags & want;
	if (!(out.flags & FUSE_MAX_PAGES) && out.max_write > 32u * 4096u)
		out.max_write = 32u * 4096u;
	s->ready = true;
	s->writeback = out.flags & FUSE_WRITEBACK_CACHE;
	return server_body(s, &out, sizeof(out));
}

static ssize_t
on_nothing(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	(void)s;
	(void)r;
	(void)node;
	return 0;
}

/* What is interrupted is answered already, or is a waiting lock. */
static ssize_t
on_interrupt(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	(void)node;
	/* A broken transport shows with the next reply. */
	(void)server_locks_interrupt(s, r->arg.interrupt.unique);
	return SERVER_NO_REPLY;
}

struct row {
	server_op *serve;
	bool node; /* the header's node id must be known */
};

static const struct row rows[FUSE_OPCODES_MAX] = {
    [FUSE_INIT] = {on_init, false},
    [FUSE_DESTROY] = {on_nothing, false},
    [FUSE_FORGET] = {on_forget, false},
    [FUSE_BATCH_FORGET] = {on_batch_forget, false},
    [FUSE_INTERRUPT] = {on_interrupt, false},
    [FUSE_LOOKUP] = {server_lookup, true},
    [FUSE_GETATTR] = {server_getattr, true},
    [FUSE_SETATTR] = {server_setattr, true},
    [FUSE_READLINK] = {server_readlink, true},
    [FUSE_SYMLINK] = {server_symlink, true},
    [FUSE_MKNOD] = {server_mknod, true},
    [FUSE_MKDIR] = {server_mkdir, true},
    [FUSE_UNLINK] = {server_unlink, true},
    [FUSE_RMDIR] = {server_rmdir, true},
    [FUSE_RENAME] = {server_rename, true},
    [FUSE_RENAME2] = {server_rename2, true},
    [FUSE_LINK] = {server_link, true},
    [FUSE_OPEN] = {server_open, true},
    [FUSE_READ] = {server_read, true},
    [FUSE_WRITE] = {server_write, true},
    [FUSE_STATFS] = {server_statfs, true},
    [FUSE_RELEASE] = {server_release, true},
    [FUSE_FSYNC] = {server_fsync, true},
    [FUSE_SETXATTR] = {server_setxattr, true},
    [FUSE_GETXATTR] = {server_getxattr, true},
    [FUSE_LISTXATTR] = {server_listxattr, true},
    [FUSE_REMOVEXATTR] = {server_removexattr, true},
    [FUSE_FLUSH] = {server_flush, true},
    [FUSE_OPENDIR] = {server_opendir, true},
    [FUSE_READDIR] = {server_readdir, true},
    [FUSE_READDIRPLUS] = {server_readdirplus, true},
    [FUSE_RELEASEDIR] = {server_release, true},
    [FUSE_FSYNCDIR] = {server_fsync, true},
    [FUSE_ACCESS] = {server_access, true},
    [FUSE_CREATE] = {server_create, true},
    [FUSE_TMPFILE] = {server_tmpfile, true},
    [FUSE_FALLOCATE] = {server_fallocate, true},
    [FUSE_LSEEK] = {server_lseek, true},
    [FUSE_COPY_FILE_RANGE] = {server_copy, true},
    [FUSE_SETLK] = {server_setlk, true},
    [FUSE_SETLKW] = {server_setlk, true},
    [FUSE_IOCTL] = {server_ioctl, false},
};

/* A reply that the guest gave up on is no failure of the transport. */
static int
send_out(struct vfs_server *s, uint64_t unique, int error, size_t length)
{
	struct iovec part = {.iov_base = s->out, .iov_len = sizeof(s->out->header) + length};
	int sent;

	s->out->header.len = (uint32_t)part.iov_len;
	s->out->header.error = error;
	s->out->header.unique = unique;
	sent = s->config.transport->send(s->config.transport, &part, 1);
	return sent == -ENOENT ? 0 : sent;
}

int
server_send_later(struct vfs_server *s, uint64_t unique, int error)
{
	return send_out(s, unique, error, 0);
}

static bool
is_denial(int result)
{
	return result == -EACCES || result == -EPERM || result == -EROFS;
}

/* The other path of an operation on two names, or NULL. */
static const char *
second_path(struct vfs_server *s, const struct fuse_request *r, char *path, size_t size)
{
	struct vfs_node *other = NULL;
	const char *name = r->second;

	if (r->header.opcode == FUSE_RENAME) {
		other = server_node(s, r->arg.rename.newdir);
	} else if (r->header.opcode == FUSE_RENAME2) {
		other = server_node(s, r->arg.rename2.newdir);
	} else if (r->header.opcode == FUSE_LINK) {
		other = server_node(s, r->arg.link.oldnodeid);
		name = NULL;
	}
	if (other == NULL)
		return r->second;
	vfs_node_path(s->provider, other, name, path, size);
	return path;
}

void
server_record(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node, int result)
{
	char path[VFS_RECORD_PATH] = "?", second[VFS_RECORD_PATH];
	struct vfs_record rec = {
	    .operation = fuse_opcode_name(r->header.opcode),
	    .path = path,
	    .result = result,
	    .uid = r->header.uid,
	    .pid = r->header.pid,
	    .denied = is_denial(result),
	};
	bool attribute = r->header.opcode == FUSE_SETXATTR || r->header.opcode == FUSE_GETXATTR ||
			 r->header.opcode == FUSE_REMOVEXATTR;

	if (s->config.record == NULL || (!s->config.trace && !rec.denied))
		return;
	if (node != NULL) {
		vfs_node_path(s->provider, node, attribute ? NULL : r->name, path, sizeof(path));
		rec.second = attribute ? r->name : second_path(s, r, second, sizeof(second));
	}
	s->config.record(s->config.ctx, &rec);
}

/* Takes a request apart, and finds what it is for.  0, or -errno. */
static int
prepare(struct vfs_server *s, struct fuse_request *r, const uint8_t *bytes, struct vfs_node **node)
{
	int error = fuse_request_parse(bytes, r);

	*node = NULL;
	if (error != 0)
		return error;
	if (rows[r->header.opcode].serve == NULL)
		return -ENOSYS;
	if (rows[r->header.opcode].node)
		*node = server_node(s, r->header.nodeid);
	return *node != NULL || !rows[r->header.opcode].node ? 0 : -ESTALE;
}

static ssize_t
serve(struct vfs_server *s, struct fuse_request *r, const uint8_t *bytes)
{
	struct vfs_node *node;
	int error = prepare(s, r, bytes, &node);
	ssize_t n;

	if (error != 0) {
		if (!fuse_opcode_silent(r->header.opcode))
			server_record(s, r, NULL, error);
		return error;
	}
	/* The operation may take the guest's last reference away. */
	if (node != NULL)
		vfs_node_ref(node);
	n = rows[r->header.opcode].serve(s, r, node);
	/* A lock that waits has its record when it is answered. */
	if (node != NULL && n != SERVER_NO_REPLY)
		server_record(s, r, node, n < 0 ? (int)n : 0);
	vfs_node_put(node);
	return n;
}

int
vfs_server_request(struct vfs_server *s, const uint8_t *bytes, size_t length)
{
	struct fuse_request r;
	ssize_t n;
	int error;

	error = fuse_header_parse(bytes, length, &r.header);
	if (error != 0)
		return error;
	if (!s->ready && r.header.opcode != FUSE_INIT)
		return -EPROTO;
	n = serve(s, &r, bytes);
	if (n == SERVER_NO_REPLY || fuse_opcode_silent(r.header.opcode))
		return 0;
	if (n >= 0)
		return send_out(s, r.header.unique, 0, (size_t)n);
	error = send_out(s, r.header.unique, (int)n, 0);
	return error == 0 && r.header.opcode == FUSE_INIT && !s->ready ? -EPROTO : error;
}

int
vfs_server_new(const struct vfs_server_config *config, struct vfs_server **out)
{
	struct vfs_server *s = calloc(1, sizeof(*s));
	struct vfs_limits *limits;
	struct vfs_slot *slot;
	struct vfs_node *root;
	uint64_t id;

	if (s == NULL)
		return -ENOMEM;
	s->config = *config;
	s->provider = config->provider;
	limits = &s->config.limits;
	vfs_table_init(&s->nodes, limits->nodes > 0 ? limits->nodes : VFS_NODES_DEFAULT);
	vfs_table_init(&s->handles, limits->handles > 0 ? limits->handles : VFS_HANDLES_DEFAULT);
	if (limits->locks == 0)
		limits->locks = VFS_LOCKS_DEFAULT;
	if (limits->background == 0 || limits->background > VFS_BACKGROUND_MAX)
		limits->background = VFS_BACKGROUND_MAX;
	if (limits->write == 0 || limits->write > FUSE_DATA_MAX)
		limits->write = FUSE_DATA_MAX;
	s->fresh_ns = s->provider->exclusive ? TRUST_EXCLUSIVE_NS : config->fresh_ms * 1000000ull;
	s->out = malloc(sizeof(*s->out));
	root = s->provider->ops->root(s->provider);
	slot = s->out != NULL ? vfs_table_add(&s->nodes, root, &id) : NULL;
	if (slot == NULL) {
		free(s->out);
		vfs_table_clear(&s->nodes);
		free(s);
		return -ENOMEM;
	}
	assert(id == FUSE_ROOT_ID);
	vfs_node_ref(root);
	root->index = (uint32_t)id;
	slot->count = 1;
	*out = s;
	return 0;
}

void
vfs_server_free(struct vfs_server *s)
{
	uint64_t id;
	uint32_t i;

	if (s == NULL)
		return;
	server_locks_clear(s);
	for (i = VFS_TABLE_FIRST; i < s->handles.next; i++) {
		struct vfs_handle *h = vfs_table_at(&s->handles, i, &id)->thing;

		if (h != NULL)
			s->provider->ops->close(s->provider, h);
	}
	for (i = VFS_TABLE_FIRST; i < s->nodes.next; i++) {
		struct vfs_node *node = vfs_table_at(&s->nodes, i, &id)->thing;

		if (node != NULL) {
			node->index = 0;
			vfs_node_put(node);
		}
	}
	vfs_table_clear(&s->handles);
	vfs_table_clear(&s->nodes);
	free(s->out);
	free(s);
}

void
vfs_server_usage(const struct vfs_server *s, struct vfs_usage *out)
{
	out->nodes = s->nodes.used;
	out->handles = s->handles.used;
	out->waiting = s->n_waiters;
}
