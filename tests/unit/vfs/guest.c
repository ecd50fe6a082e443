/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's side of a FUSE connection: see the header. */
#include "tests/unit/vfs/guest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
keep_reply(struct vfs_transport *t, const struct iovec *parts, int n_parts)
{
	struct guest *g = (struct guest *)t;
	struct fuse_out_header h;
	size_t at = 0;
	int i;

	memcpy(&h, parts[0].iov_base, sizeof(h));
	if (h.unique != g->unique) {
		assert(g->n_later < GUEST_LATER_MAX);
		g->later[g->n_later].unique = h.unique;
		g->later[g->n_later++].error = h.error;
		return 0;
	}
	for (i = 0; i < n_parts; i++) {
		assert(at + parts[i].iov_len <= FUSE_REPLY_MAX);
		memcpy(g->reply + at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	assert(h.len == at);
	g->reply_length = at;
	g->n_replies++;
	return 0;
}

void
guest_open_raw(struct guest *g, struct vfs_provider *p, const struct vfs_server_config *config)
{
	struct vfs_server_config c = {0};

	memset(g, 0, sizeof(*g));
	g->transport.send = keep_reply;
	g->request = malloc(FUSE_REQUEST_MAX);
	g->reply = malloc(FUSE_REPLY_MAX);
	assert(g->request != NULL && g->reply != NULL);
	if (config != NULL)
		c = *config;
	c.provider = p;
	c.transport = &g->transport;
	assert(vfs_server_new(&c, &g->server) == 0);
}

void
guest_open(struct guest *g, struct vfs_provider *p, const struct vfs_server_config *config)
{
	struct fuse_init_in in = {.major = 7,
	    .minor = 38,
	    .max_readahead = 1 << 17,
	    .flags = ~(uint32_t)FUSE_WRITEBACK_CACHE};

	guest_open_raw(g, p, config);
	assert(guest_call(g, FUSE_INIT, 0, &in, sizeof(in), NULL, NULL) == 0);
}

void
guest_close(struct guest *g)
{
	vfs_server_free(g->server);
	free(g->request);
	free(g->reply);
}

static int
send_request(struct guest *g, uint32_t opcode, uint64_t nodeid, size_t length)
{
	struct fuse_in_header h = {
	    .len = (uint32_t)length,
	    .opcode = opcode,
	    .unique = ++g->unique,
	    .nodeid = nodeid,
	    .uid = g->uid,
	    .gid = g->gid,
	    .pid = 1,
	};
	struct fuse_out_header out;
	int error;

	memcpy(g->request, &h, sizeof(h));
	g->reply_length = 0;
	error = vfs_server_request(g->server, g->request, length);
	if (error != 0)
		return error;
	if (g->reply_length == 0)
		return 1;
	memcpy(&out, g->reply, sizeof(out));
	return out.error;
}

static size_t
put(struct guest *g, size_t at, const void *bytes, size_t n)
{
	assert(at + n <= FUSE_REQUEST_MAX);
	if (n > 0)
		memcpy(g->request + at, bytes, n);
	return at + n;
}

int
guest_call(struct guest *g, uint32_t opcode, uint64_t nodeid, const void *arg, size_t arg_size,
    const char *name, const char *second)
{
	size_t at = put(g, sizeof(struct fuse_in_header), arg, arg_size);

	if (name != NULL)
		at = put(g, at, name, strlen(name) + 1);
	if (second != NULL)
		at = put(g, at, second, strlen(second) + 1);
	return send_request(g, opcode, nodeid, at);
}

int
guest_call_data(struct guest *g, uint32_t opcode, uint64_t nodeid, const void *arg, size_t arg_size,
    const void *data, size_t length)
{
	size_t at = put(g, sizeof(struct fuse_in_header), arg, arg_size);

	return send_request(g, opcode, nodeid, put(g, at, data, length));
}

const void *
guest_body(const struct guest *g)
{
	return g->reply + sizeof(struct fuse_out_header);
}

size_t
guest_body_length(const struct guest *g)
{
	return g->reply_length - sizeof(struct fuse_out_header);
}

int
guest_lookup(struct guest *g, uint64_t dir, const char *name, struct fuse_entry_out *out)
{
	struct fuse_entry_out own;
	int error = guest_call(g, FUSE_LOOKUP, dir, NULL, 0, name, NULL);

	if (error != 0)
		return error;
	memcpy(&own, guest_body(g), sizeof(own));
	if (out != NULL)
		*out = own;
	return own.nodeid != 0 ? 0 : -ENOENT;
}

int
guest_getattr(struct guest *g, uint64_t node, struct fuse_attr *out)
{
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out reply;
	int error = guest_call(g, FUSE_GETATTR, node, &in, sizeof(in), NULL, NULL);

	if (error == 0) {
		memcpy(&reply, guest_body(g), sizeof(reply));
		*out = reply.attr;
	}
	return error;
}

static int
entry_id(struct guest *g, int error, uint64_t *id)
{
	struct fuse_entry_out out;

	if (error == 0 && id != NULL) {
		memcpy(&out, guest_body(g), sizeof(out));
		*id = out.nodeid;
	}
	return error;
}

int
guest_mkdir(struct guest *g, uint64_t dir, const char *name, uint32_t mode, uint64_t *id)
{
	struct fuse_mkdir_in in = {.mode = mode};

	return entry_id(g, guest_call(g, FUSE_MKDIR, dir, &in, sizeof(in), name, NULL), id);
}

int
guest_symlink(struct guest *g, uint64_t dir, const char *name, const char *target)
{
	return guest_call(g, FUSE_SYMLINK, dir, NULL, 0, name, target);
}

int
guest_create(struct guest *g, uint64_t dir, const char *name, uint32_t flags, uint32_t mode,
    uint64_t *id, uint64_t *fh)
{
	struct fuse_create_in in = {.flags = flags | O_CREAT, .mode = mode};
	struct fuse_open_out out;
	int error = guest_call(g, FUSE_CREATE, dir, &in, sizeof(in), name, NULL);

	entry_id(g, error, id);
	if (error == 0) {
		const uint8_t *body = guest_body(g);

		memcpy(&out, body + sizeof(struct fuse_entry_out), sizeof(out));
		*fh = out.fh;
	}
	return error;
}

int
guest_open_file(struct guest *g, uint64_t node, uint32_t flags, uint64_t *fh)
{
	struct fuse_open_in in = {.flags = flags};
	struct fuse_open_out out;
	int error = guest_call(g, FUSE_OPEN, node, &in, sizeof(in), NULL, NULL);

	if (error == 0) {
		memcpy(&out, guest_body(g), sizeof(out));
		*fh = out.fh;
	}
	return error;
}

int
guest_release(struct guest *g, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = {.fh = fh};

	return guest_call(g, FUSE_RELEASE, node, &in, sizeof(in), NULL, NULL);
}

long
guest_write(
    struct guest *g, uint64_t node, uint64_t fh, uint64_t offset, const void *bytes, size_t size)
{
	struct fuse_write_in in = {.fh = fh, .offset = offset, .size = (uint32_t)size};
	struct fuse_write_out out;
	int error = guest_call_data(g, FUSE_WRITE, node, &in, sizeof(in), bytes, size);

	if (error != 0)
		return error;
	memcpy(&out, guest_body(g), sizeof(out));
	return out.size;
}

long
guest_read(struct guest *g, uint64_t node, uint64_t fh, uint64_t offset, void *out, size_t size)
{
	struct fuse_read_in in = {.fh = fh, .offset = offset, .size = (uint32_t)size};
	int error = guest_call(g, FUSE_READ, node, &in, sizeof(in), NULL, NULL);

	if (error != 0)
		return error;
	assert(guest_body_length(g) <= size);
	memcpy(out, guest_body(g), guest_body_length(g));
	return (long)guest_body_length(g);
}

int
guest_unlink(struct guest *g, uint64_t dir, const char *name)
{
	return guest_call(g, FUSE_UNLINK, dir, NULL, 0, name, NULL);
}

int
guest_rmdir(struct guest *g, uint64_t dir, const char *name)
{
	return guest_call(g, FUSE_RMDIR, dir, NULL, 0, name, NULL);
}

int
guest_rename(
    struct guest *g, uint64_t from, const char *old, uint64_t to, const char *new, uint32_t flags)
{
	struct fuse_rename2_in in = {.newdir = to, .flags = flags};

	return guest_call(g, FUSE_RENAME2, from, &in, sizeof(in), old, new);
}

int
guest_link(struct guest *g, uint64_t node, uint64_t dir, const char *name)
{
	struct fuse_link_in in = {.oldnodeid = node};

	return guest_call(g, FUSE_LINK, dir, &in, sizeof(in), name, NULL);
}

void
guest_forget(struct guest *g, uint64_t node, uint64_t n)
{
	struct fuse_forget_in in = {.nlookup = n};

	guest_call(g, FUSE_FORGET, node, &in, sizeof(in), NULL, NULL);
}

int
guest_put(struct guest *g, uint64_t dir, const char *name, const char *text)
{
	uint64_t id, fh;
	int error = guest_create(g, dir, name, O_RDWR | O_TRUNC, 0644, &id, &fh);
	long n;

	if (error != 0)
		return error;
	n = guest_write(g, id, fh, 0, text, strlen(text));
	error = guest_release(g, id, fh);
	guest_forget(g, id, 1);
	return n < 0 ? (int)n : error;
}

int
guest_get(struct guest *g, uint64_t dir, const char *name, char *out, size_t size)
{
	struct fuse_entry_out e;
	uint64_t fh;
	long n;
	int error = guest_lookup(g, dir, name, &e);

	if (error != 0)
		return error;
	error = guest_open_file(g, e.nodeid, O_RDONLY, &fh);
	if (error == 0) {
		n = guest_read(g, e.nodeid, fh, 0, out, size - 1);
		if (n >= 0)
			out[n] = '\0';
		error = n < 0 ? (int)n : 0;
		guest_release(g, e.nodeid, fh);
	}
	guest_forget(g, e.nodeid, 1);
	return error;
}

#define NAMES_MAX 512

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Takes the names of one reply; returns the cookie of the last one, 0 at the end. */
static uint64_t
take_names(struct guest *g, bool plus, char names[NAMES_MAX][256], size_t *n)
{
	const uint8_t *body = guest_body(g);
	size_t at = 0, length = guest_body_length(g),
	       head = plus ? sizeof(struct fuse_entry_out) : 0;
	struct fuse_dirent d;
	uint64_t cookie = 0;

	while (at < length) {
		memcpy(&d, body + at + head, FUSE_NAME_OFFSET);
		assert(*n < NAMES_MAX && d.namelen < 256);
		memcpy(names[*n], body + at + head + FUSE_NAME_OFFSET, d.namelen);
		names[*n][d.namelen] = '\0';
		if (strcmp(names[*n], ".") != 0 && strcmp(names[*n], "..") != 0)
			(*n)++;
		cookie = d.off;
		at += head + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
	}
	return cookie;
}

int
guest_list(struct guest *g, uint64_t dir, bool plus, char *out, size_t size)
{
	static char names[NAMES_MAX][256];
	struct fuse_open_in open_in = {0};
	struct fuse_open_out opened;
	struct fuse_read_in in = {.size = 512};
	struct fuse_release_in release = {0};
	size_t n = 0, i, used = 0;
	int error = guest_call(g, FUSE_OPENDIR, dir, &open_in, sizeof(open_in), NULL, NULL);

	if (error != 0)
		return error;
	memcpy(&opened, guest_body(g), sizeof(opened));
	in.fh = release.fh = opened.fh;
	do {
		error = guest_call(
		    g, plus ? FUSE_READDIRPLUS : FUSE_READDIR, dir, &in, sizeof(in), NULL, NULL);
		in.offset = error == 0 ? take_names(g, plus, names, &n) : 0;
	} while (in.offset != 0);
	guest_call(g, FUSE_RELEASEDIR, dir, &release, sizeof(release), NULL, NULL);
	qsort(names, n, sizeof(names[0]), by_name);
	out[0] = '\0';
	for (i = 0; i < n; i++)
		used += (size_t)snprintf(out + used, size - used, "%s ", names[i]);
	return error;
}
