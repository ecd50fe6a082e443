/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of providers from options: see the header. */
#include "tests/vfs/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfsd/layer_hide.h"
#include "vfsd/layer_readonly.h"
#include "vfsd/provider_cow.h"
#include "vfsd/provider_host.h"
#include "vfsd/provider_memory.h"
#include "vfsd/server.h"

enum option_key {
	KEY_HOST = 'h',
	KEY_MEMORY = 'm',
	KEY_COW = 'c',
	KEY_READ_ONLY = 'r',
	KEY_HIDE = 'x',
	KEY_SCRATCH = 's',
	KEY_SQUASH = 'q',
	KEY_FRESH = 'f',
	KEY_TRACE = 't',
	KEY_DEVICE = 'd',
	KEY_BACKGROUND = 'b',
};

static const struct option options[] = {
    {"host", required_argument, NULL, KEY_HOST},
    {"memory", required_argument, NULL, KEY_MEMORY},
    {"cow", required_argument, NULL, KEY_COW},
    {"read-only", no_argument, NULL, KEY_READ_ONLY},
    {"hide", required_argument, NULL, KEY_HIDE},
    {"scratch", no_argument, NULL, KEY_SCRATCH},
    {"squash", no_argument, NULL, KEY_SQUASH},
    {"fresh", required_argument, NULL, KEY_FRESH},
    {"trace", no_argument, NULL, KEY_TRACE},
    {"device", required_argument, NULL, KEY_DEVICE},
    {"background", required_argument, NULL, KEY_BACKGROUND},
    {NULL, 0, NULL, 0},
};

int
test_stack_options(struct test_stack *s, int argc, char **argv)
{
	int key;

	*s = (struct test_stack){
	    .host_fd = -1, .cow_fd = -1, .fresh_ms = VFS_FRESH_MS_DEFAULT, .device = "/dev/fuse"};
	while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (key) {
		case KEY_HOST:
			s->host = optarg;
			break;
		case KEY_MEMORY:
			s->memory = strtoull(optarg, NULL, 10);
			break;
		case KEY_COW:
			s->cow = optarg;
			break;
		case KEY_HIDE:
			if (s->n_patterns < TEST_PATTERNS_MAX)
				s->patterns[s->n_patterns++] = optarg;
			break;
		case KEY_FRESH:
			s->fresh_ms = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case KEY_BACKGROUND:
			s->background = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case KEY_READ_ONLY:
			s->read_only = true;
			break;
		case KEY_SCRATCH:
			s->scratch = true;
			break;
		case KEY_SQUASH:
			s->squash = true;
			break;
		case KEY_DEVICE:
			s->device = optarg;
			break;
		case KEY_TRACE:
			s->trace = true;
			break;
		default:
			return -1;
		}
	}
	if (optind + 1 == argc && (s->host != NULL) != (s->memory > 0))
		return 0;
	fprintf(stderr, "usage: %s --host DIR | --memory BYTES [options] TARGET\n", argv[0]);
	return -1;
}

static int
open_host(struct test_stack *s, const char *path, int *fd, struct vfs_provider **out)
{
	struct vfs_host_config config = {.squash = s->squash, .uid = geteuid(), .gid = getegid()};

	*fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	config.root = *fd;
	return vfs_host_new(&config, out);
}

/* Puts copy on write over what is there. */
static int
add_cow(struct test_stack *s)
{
	struct vfs_provider *upper = NULL;
	int error = open_host(s, s->cow, &s->cow_fd, &upper);

	return error != 0 ? error : vfs_cow_new(s->top, upper, &s->top);
}

int
test_stack_open(struct test_stack *s)
{
	struct vfs_memory_config memory = {
	    .bytes = s->memory, .uid = geteuid(), .gid = getegid(), .mode = 0755};
	struct vfs_hide_config hide = {.patterns = s->patterns,
	    .n_patterns = s->n_patterns,
	    .scratch = s->scratch ? 64u << 20 : 0,
	    .uid = geteuid(),
	    .gid = getegid()};
	int error;

	error = s->memory > 0 ? vfs_memory_new(&memory, &s->top)
			      : open_host(s, s->host, &s->host_fd, &s->top);
	if (error == 0 && s->cow != NULL)
		error = add_cow(s);
	if (error == 0 && s->n_patterns > 0)
		error = vfs_hide_new(&hide, s->top, &s->top);
	if (error == 0 && s->read_only)
		error = vfs_readonly_new(s->top, &s->top);
	return error;
}

void
test_stack_close(struct test_stack *s)
{
	if (s->top != NULL)
		s->top->ops->free(s->top);
	if (s->host_fd >= 0)
		close(s->host_fd);
	if (s->cow_fd >= 0)
		close(s->cow_fd);
}
