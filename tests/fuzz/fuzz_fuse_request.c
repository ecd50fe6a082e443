/* SPDX-License-Identifier: Apache-2.0 */
/* Whole FUSE requests of any shape, to a server over a stack of every provider without a host. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/vfs_pair.h"
#include "vfsd/layer_hide.h"
#include "vfsd/provider_cow.h"
#include "vfsd/provider_memory.h"
#include "vfsd/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static int
swallow(struct vfs_transport *t, const struct iovec *parts, int n_parts)
{
	struct fuse_out_header h;

	(void)t;
	memcpy(&h, parts[0].iov_base, sizeof(h));
	if (n_parts != 1 || h.len != parts[0].iov_len || h.error > 0 || h.error <= -512)
		abort();
	return 0;
}

static struct vfs_provider *
memory(void)
{
	struct vfs_memory_config config = {.bytes = 1u << 20, .mode = 0755};
	struct vfs_provider *p;

	if (vfs_memory_new(&config, &p) != 0)
		abort();
	vfs_pair_populate(p);
	return p;
}

static struct vfs_provider *
stack(void)
{
	static const char *const patterns[] = {"secret*", "dir/sub"};
	struct vfs_hide_config hide = {.patterns = patterns, .n_patterns = 2, .scratch = 1u << 18};
	struct vfs_provider *p;

	if (vfs_cow_new(memory(), memory(), &p) != 0 || vfs_hide_new(&hide, p, &p) != 0)
		abort();
	return p;
}

static void
negotiate(struct vfs_server *s)
{
	uint8_t bytes[sizeof(struct fuse_in_header) + 16];
	struct fuse_in_header h = {.len = sizeof(bytes), .opcode = FUSE_INIT};
	uint32_t in[4] = {7, 38, 1u << 17, UINT32_MAX};

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), in, sizeof(in));
	if (vfs_server_request(s, bytes, sizeof(bytes)) != 0)
		abort();
}

/*
 * Input: the first byte says whether INIT was done; then requests, each with its length in two
 * bytes before it.  An odd length byte leaves the request's own length field as it is; else it is
 * put right, so that the fuzzer gets past it.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct vfs_transport transport = {.send = swallow};
	struct vfs_server_config config = {.transport = &transport,
	    .limits = {.nodes = 64, .handles = 16, .locks = 4, .background = 8}};
	struct vfs_server *server;
	uint8_t *request;
	size_t at = 1, n;
	uint32_t own;

	if (length == 0)
		return 0;
	config.provider = stack();
	if (vfs_server_new(&config, &server) != 0)
		abort();
	if (bytes[0] & 1)
		negotiate(server);
	while (at + 2 < length) {
		n = (size_t)bytes[at] | (size_t)bytes[at + 1] << 8;
		at += 2;
		if (n > length - at)
			n = length - at;
		/* A copy of its own, so that reading past its end shows. */
		request = malloc(n > 0 ? n : 1);
		memcpy(request, bytes + at, n);
		own = (uint32_t)n;
		if (n >= sizeof(own) && !(bytes[at - 2] & 1))
			memcpy(request, &own, sizeof(own));
		(void)vfs_server_request(server, request, n);
		free(request);
		at += n;
	}
	vfs_server_free(server);
	config.provider->ops->free(config.provider);
	return 0;
}
