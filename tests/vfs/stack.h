/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of providers, put together from command line options. */
#ifndef GONDOLIN_TESTS_VFS_STACK_H
#define GONDOLIN_TESTS_VFS_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfsd/provider.h"

#define TEST_PATTERNS_MAX 16

struct test_stack {
	const char *host, *cow;
	const char *device; /* "/dev/fuse" or another node of it */
	uint64_t memory;    /* 0 = none */
	uint64_t inodes;
	const char *patterns[TEST_PATTERNS_MAX];
	size_t n_patterns;
	bool read_only, scratch, squash, trace;
	uint32_t fresh_ms, background;
	int host_fd, cow_fd;
	struct vfs_provider *top;
};

/* Reads options; optind is the target's place.  Returns 0, or -1 after a line of usage. */
int test_stack_options(struct test_stack *s, int argc, char **argv);

/* Opens directories and makes the providers.  Returns 0 or -errno. */
int test_stack_open(struct test_stack *s);
void test_stack_close(struct test_stack *s);

#endif
