/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit and the cgroups read from /proc, from texts. */
#include "jail/audit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "tests/unit/jail/jail_test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_mounts(void)
{
	static const struct jail_bind binds[] = {
	    {"/usr/bin/qemu", NULL, false}, {"/a", "/lib", false}, {NULL, NULL, false}};
	static const struct {
		const char *line;
		int result;
	} cases[] = {
	    {"67 43 0:41 / / ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=64k", 0},
	    {"67 43 0:41 / / rw,nosuid,nodev - tmpfs none rw", -EPERM},
	    {"67 43 0:41 / / nosuid,roof - tmpfs none ro", -EPERM},
	    {"67 43 0:41 / / ro,relatime - tmpfs none rw", -EPERM},
	    {"68 67 8:1 /usr/bin/qemu /usr/bin/qemu ro,nosuid - ext4 /dev/x rw", 0},
	    {"68 67 8:1 /a /lib ro,nosuid,nodev - ext4 /dev/x rw", 0},
	    {"68 67 8:1 /b /lib/b nosuid,ro - ext4 /dev/x rw", 0},
	    {"68 67 8:1 /b /library nosuid,ro - ext4 /dev/x rw", -EPERM},
	    {"68 67 8:1 / /a ro,nosuid - ext4 /dev/x rw", -EPERM},
	    {"68 67 8:1 / /", -EPROTO},
	    {"", -EPROTO},
	};
	char line[128];
	const char *point;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(line, sizeof(line), "%s", cases[i].line);
		CU_ASSERT_EQUAL(audit_mount(line, binds, &point), cases[i].result);
	}
	/* Without binds just the root may be there. */
	snprintf(line, sizeof(line), "%s", cases[0].line);
	CU_ASSERT_EQUAL(audit_mount(line, NULL, &point), 0);
	snprintf(line, sizeof(line), "%s", cases[5].line);
	CU_ASSERT_EQUAL(audit_mount(line, NULL, &point), -EPERM);
	CU_ASSERT_STRING_EQUAL(point, "/lib");
}

static void
test_fd_kinds(void)
{
	static const struct {
		const char *link;
		mode_t mode;
		unsigned major, minor;
		enum jail_fd_kind kind;
		enum { OPENED, AS_PATH, IN_MEMORY } how;
	} cases[] = {
	    {"/dev/null", S_IFCHR, 1, 3, JAIL_FD_NULL, OPENED},
	    /* The link's text is the file's name, which somebody may have chosen. */
	    {"/dev/null", S_IFREG, 0, 0, JAIL_FD_FILE, OPENED},
	    {"/dev/zero", S_IFCHR, 1, 5, JAIL_FD_DEVICE, OPENED},
	    {"/dev/kvm", S_IFCHR, 10, 232, JAIL_FD_DEVICE, OPENED},
	    {"/dev/pts/3", S_IFCHR, 136, 3, JAIL_FD_TERMINAL, OPENED},
	    {"/dev/tty", S_IFCHR, 5, 0, JAIL_FD_TERMINAL, OPENED},
	    {"pipe:[7]", S_IFIFO, 0, 0, JAIL_FD_PIPE, OPENED},
	    {"socket:[7]", S_IFSOCK, 0, 0, JAIL_FD_SOCKET, OPENED},
	    {"/", S_IFDIR, 0, 0, JAIL_FD_DIRECTORY, OPENED},
	    {"/memfd:ram (deleted)", S_IFREG, 0, 0, JAIL_FD_MEMORY, IN_MEMORY},
	    {"/dev/zero (deleted)", S_IFREG, 0, 0, JAIL_FD_MEMORY, IN_MEMORY},
	    /* A guest's file of that name, in a mount. */
	    {"/memfd:ram (deleted)", S_IFREG, 0, 0, JAIL_FD_FILE, OPENED},
	    {"/dev/zero (deleted)", S_IFREG, 0, 0, JAIL_FD_FILE, OPENED},
	    /* O_PATH. */
	    {"/sub/link", S_IFLNK, 0, 0, JAIL_FD_PATH, AS_PATH},
	    {"/sub/fifo", S_IFIFO, 0, 0, JAIL_FD_PATH, AS_PATH},
	    {"/sub/socket", S_IFSOCK, 0, 0, JAIL_FD_PATH, AS_PATH},
	    {"/sub/null", S_IFCHR, 1, 3, JAIL_FD_PATH, AS_PATH},
	    {"/sub/disk", S_IFBLK, 8, 0, JAIL_FD_PATH, AS_PATH},
	    {"/memfd:link", S_IFLNK, 0, 0, JAIL_FD_PATH, AS_PATH},
	    {"/sub/file", S_IFREG, 0, 0, JAIL_FD_FILE, AS_PATH},
	    {"/sub", S_IFDIR, 0, 0, JAIL_FD_DIRECTORY, AS_PATH},
	    {"/sub/link", S_IFLNK, 0, 0, JAIL_FD_KINDS, OPENED},
	    {"anon_inode:[eventpoll]", 0, 0, 0, JAIL_FD_EVENT, OPENED},
	    {"anon_inode:[timerfd]", 0, 0, 0, JAIL_FD_EVENT, OPENED},
	    {"anon_inode:[pidfd]", 0, 0, 0, JAIL_FD_PROCESS, OPENED},
	    {"anon_inode:kvm-vcpu:0", 0, 0, 0, JAIL_FD_DEVICE, OPENED},
	    {"anon_inode:[landlock-ruleset]", 0, 0, 0, JAIL_FD_RULESET, OPENED},
	    {"anon_inode:[io_uring]", 0, 0, 0, JAIL_FD_KINDS, OPENED},
	    {"anon_inode:[userfaultfd]", 0, 0, 0, JAIL_FD_KINDS, OPENED},
	    {"/dev/sda", S_IFBLK, 8, 0, JAIL_FD_KINDS, OPENED},
	};
	const struct audit a = {.memory = makedev(0, 1)};
	struct audit_fd fd;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		fd = (struct audit_fd){.path = cases[i].how == AS_PATH,
		    .st = {.st_mode = cases[i].mode,
			.st_dev = makedev(0, cases[i].how == IN_MEMORY ? 1 : 40),
			.st_rdev = makedev(cases[i].major, cases[i].minor)}};
		snprintf(fd.link, sizeof(fd.link), "%s", cases[i].link);
		CU_ASSERT_EQUAL(audit_fd_kind(&a, &fd), cases[i].kind);
	}
}

static void
test_limits(void)
{
	static const char text[] =
	    "Limit                     Soft Limit           Hard Limit           Units     \n"
	    "Max cpu time              unlimited            unlimited            seconds   \n"
	    "Max core file size        0                    unlimited            bytes     \n"
	    "Max open files            64                   128                  files     \n"
	    "Max processes             many                 128                  processes \n";
	rlim_t soft = 1, hard = 1;

	CU_ASSERT_EQUAL(audit_parse_limit(text, RLIMIT_NOFILE, &soft, &hard), 0);
	CU_ASSERT(soft == 64 && hard == 128);
	CU_ASSERT_EQUAL(audit_parse_limit(text, RLIMIT_CORE, &soft, &hard), 0);
	CU_ASSERT(soft == 0 && hard == RLIM_INFINITY);
	CU_ASSERT_EQUAL(audit_parse_limit(text, RLIMIT_NPROC, &soft, &hard), -EPROTO);
	CU_ASSERT_EQUAL(audit_parse_limit(text, RLIMIT_AS, &soft, &hard), -EPROTO);
}

static void
test_cgroup(void)
{
#define V1 "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
	static const struct {
		const char *mountinfo, *cgroup, *path;
		int result;
	} cases[] = {
	    {V1 "40 31 0:38 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
		"1:cpu:/x\n0::/user.slice/a.scope\n", "/sys/fs/cgroup/user.slice/a.scope", 0},
	    {"40 31 0:38 / /cg rw - cgroup2 none rw\n", "0::/\n", "/cg", 0},
	    /* A container, where a part of the tree is mounted. */
	    {"40 31 0:38 /box /cg rw - cgroup2 none rw\n", "0::/box/in\n", "/cg/in", 0},
	    {"40 31 0:38 /box /cg rw - cgroup2 none rw\n", "0::/boxes\n", "", -ENOENT},
	    {"40 31 0:38 / /cg rw - cgroup2 none rw\n", "0::/../other\n", "", -ENOENT},
	    {V1, "1:cpu:/x\n0::/\n", "", -ENOENT},
	    {"40 31 0:38 / /cg rw - cgroup2 none rw\n", "1:cpu:/x\n", "", -ENOENT},
	    {" - cgroup2 \n", "0::/\n", "", -EPROTO},
	};
	char mountinfo[512], cgroup[128], path[64];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(mountinfo, sizeof(mountinfo), "%s", cases[i].mountinfo);
		snprintf(cgroup, sizeof(cgroup), "%s", cases[i].cgroup);
		path[0] = '\0';
		CU_ASSERT_EQUAL(
		    jail_cgroup_find(mountinfo, cgroup, path, sizeof(path)), cases[i].result);
		CU_ASSERT_STRING_EQUAL(path, cases[i].path);
	}
	snprintf(mountinfo, sizeof(mountinfo), "%s", cases[0].mountinfo);
	snprintf(cgroup, sizeof(cgroup), "%s", cases[0].cgroup);
	CU_ASSERT_EQUAL(jail_cgroup_find(mountinfo, cgroup, path, 8), -ENAMETOOLONG);
}

void
audit_suite(CU_pSuite suite)
{
	CU_add_test(suite, "mounts", test_mounts);
	CU_add_test(suite, "kinds of descriptors", test_fd_kinds);
	CU_add_test(suite, "limits", test_limits);
	CU_add_test(suite, "our own cgroup", test_cgroup);
}
