/* SPDX-License-Identifier: Apache-2.0 */
/* A profile's rows as a seccomp filter. */
#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/internal.h"

/* Sorted as a binary tree, a filter decides in a few steps whichever call it is (libseccomp 2.5).
 */
#define OPTIMIZE_BINARY_TREE 2

static int
add_rows(scmp_filter_ctx ctx, const struct jail_profile *profile, struct jail_failure *f)
{
	size_t i;

	for (i = 0; i < profile->n_syscalls; i++) {
		const struct jail_syscall *row = &profile->syscalls[i];
		const uint32_t action =
		    row->error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint32_t)row->error);
		int error;

		if (row->number < 0)
			continue;
		error = seccomp_rule_add_array(
		    ctx, action, row->number, row->n_conditions, row->conditions);
		if (error < 0)
			return jail_fail(
			    f, -error, "cannot add %s to the seccomp filter", row->name);
	}
	return 0;
}

/* Reads the program that libseccomp made: it can write it to a descriptor only. */
static int
export_code(scmp_filter_ctx ctx, struct jail_filter *filter, struct jail_failure *f)
{
	struct stat st;
	size_t size;
	int fd, error;

	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return jail_fail(f, errno, "cannot make memory for the seccomp filter");
	error = seccomp_export_bpf(ctx, fd);
	if (error < 0) {
		error = jail_fail(f, -error, "cannot make the seccomp filter");
		goto out;
	}
	if (fstat(fd, &st) < 0) {
		error = jail_fail(f, errno, "cannot read the seccomp filter");
		goto out;
	}
	size = (size_t)st.st_size;
	filter->n = size / sizeof(filter->code[0]);
	filter->code = malloc(size);
	if (filter->code == NULL || pread(fd, filter->code, size, 0) != (ssize_t)size) {
		jail_filter_clear(filter);
		error = jail_fail(f, ENOMEM, "cannot read the seccomp filter");
	}
out:
	close(fd);
	return error;
}

int
jail_filter_build(const struct jail_profile *profile, int status_fd, struct jail_filter *filter,
    struct jail_failure *f)
{
	const uint32_t forbidden =
	    profile->report == JAIL_REPORT_NOTIFY ? SCMP_ACT_NOTIFY : SCMP_ACT_TRAP;
	scmp_filter_ctx ctx;
	int error;

	memset(filter, 0, sizeof(*filter));
	ctx = seccomp_init(forbidden);
	if (ctx == NULL)
		return jail_fail(f, ENOSYS,
		    "cannot start a seccomp filter (the kernel needs CONFIG_SECCOMP_FILTER)");
	/* x32 and foreign architectures: nothing of ours makes such a call, there is nothing to
	 * report. */
	error = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (error == 0)
		error = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_BINARY_TREE);
	if (error == 0 && status_fd >= 0)
		error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1,
		    ((struct scmp_arg_cmp)ARG_IS(0, (scmp_datum_t)status_fd)));
	if (error < 0)
		error = jail_fail(f, -error, "cannot set up the seccomp filter");
	else
		error = add_rows(ctx, profile, f);
	if (error == 0)
		error = export_code(ctx, filter, f);
	seccomp_release(ctx);
	/* What libseccomp used is not needed again: give it back before the process settles. */
	malloc_trim(0);
	return error;
}

void
jail_filter_clear(struct jail_filter *filter)
{
	free(filter->code);
	memset(filter, 0, sizeof(*filter));
}

int
jail_filter_load(const struct jail_filter *filter, bool listener)
{
	const struct sock_fprog program = {
	    .len = (unsigned short)filter->n,
	    .filter = filter->code,
	};
	long result;

	if (filter->n == 0 || filter->n > BPF_MAXINSNS)
		return -EINVAL;
	result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &program);
	return result < 0 ? -errno : (int)result;
}
