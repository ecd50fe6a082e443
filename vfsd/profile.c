/* SPDX-License-Identifier: Apache-2.0 */
/* vfsd's wall.  Each row names its caller and goes when the caller goes. */
#include "vfsd/profile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ipc/mount_frame.h"

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __SNR_fchmodat2
#define __SNR_fchmodat2 __NR_fchmodat2
#endif

static const struct jail_syscall syscalls[] = {
#ifdef __x86_64__
    ALLOW(poll, "libev: wait"),
#else
    ALLOW(ppoll, "libev: wait"),
#endif
    ALLOW_ELSEWHERE(clock_gettime, "libev: ev_time; times of files in memory",
	"hosts whose clock the vDSO cannot read"),
    ALLOW(read, "the guest's port; on_kick"),
    ALLOW(write, "the guest's port; log_line; interrupt, send_reply: the mounts' devices"),
    ALLOW(writev, "the guest's port"),
    ALLOW(recvmsg, "ipc_packet_receive: supervisor; receive: the mounts' devices"),
    ALLOW(sendmsg, "ipc_packet_send: supervisor"),
    ALLOW(accept4, "on_connection: gondolin diff, gondolin apply"),
    ALLOW_IF(fcntl, "what was handed over becomes non-blocking", ARG_IS(1, F_SETFL),
	ARG_IS(2, O_NONBLOCK)),
    ALLOW_IF(fcntl, "guest_memory_add: that the memory cannot shrink", ARG_IS(1, F_GET_SEALS)),

    /* Files.  Every path is one that openat2 resolves beneath a mount, or a single name. */
    ALLOW(openat2, "host_openat"),
    ALLOW(close, "handles, directories, ports"),
    ALLOW(statx, "host_statx, host_statx_at"),
    ALLOW_IF(fchmod, "chmod_host: never setuid or setgid", ARG_LACKS(1, S_ISUID | S_ISGID)),
    ALLOW_IF(fchmodat2, "chmod_host on O_PATH: the same, the descriptor itself",
	ARG_LACKS(2, S_ISUID | S_ISGID), ARG_IS(3, AT_EMPTY_PATH)),
    ALLOW(geteuid, "host_own: whose what it makes is"),
    ALLOW(getegid, "the same"),
    ALLOW_IF(fchownat, "set_owner: the descriptor itself", ARG_IS(4, AT_EMPTY_PATH)),
    ALLOW_IF(utimensat, "set_times: the descriptor itself", ARG_IS(3, AT_EMPTY_PATH)),
    ALLOW(ftruncate, "set_size, host_open"),
    ALLOW(fallocate, "host_allocate"),
    ALLOW(pread64, "host_read"),
    ALLOW(pwritev2, "host_write"),
    ALLOW(copy_file_range, "host_copy"),
    ALLOW(lseek, "host_seek, listing_at; guest_memory_add: how large it is"),
    ALLOW(getdents64, "host_readdir"),
    ALLOW(fsync, "host_sync"),
    ALLOW(fdatasync, "host_sync"),
    ALLOW(flock, "host_flock"),
    ALLOW(fstatfs, "host_statfs; guest_memory_add: whose pages they are"),
    ALLOW(readlinkat, "host_readlink"),
    ALLOW_IF(mkdirat, "make_host: never setuid or setgid", ARG_LACKS(2, S_ISUID | S_ISGID)),
    ALLOW_IF(mknodat, "make_host: files, fifos and sockets, never a device",
	ARG_LACKS(2, S_IFCHR | S_ISUID | S_ISGID)),
    ALLOW(symlinkat, "make_host"),
    ALLOW(linkat, "host_link"),
    ALLOW(unlinkat, "host_unlink"),
    ALLOW(renameat, "host_rename: what the C library makes of renameat2 without flags"),
    ALLOW(renameat2, "host_rename"),
    ALLOW(fgetxattr, "host_getxattr"),
    ALLOW(fsetxattr, "host_setxattr"),
    ALLOW(flistxattr, "host_listxattr"),
    ALLOW(fremovexattr, "host_removexattr"),

    ALLOW(brk, "malloc"),
    ALLOW_IF(
	mmap, "malloc of large blocks; the guest's memory; never code", ARG_LACKS(2, PROT_EXEC)),
    ALLOW(munmap, "free of large blocks; the guest's memory"),
    ALLOW_ELSEWHERE(
	mremap, "realloc of large blocks", "other sizes of blocks, as the allocator likes"),
    ALLOW(exit_group, "the end"),
};

#define FILES_MAX 16384u

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, "core", 0, "guest data stays out of files"},
    {RLIMIT_NOFILE, "nofile", FILES_MAX, "what the guest has open; then it gets EMFILE"},
    {RLIMIT_MEMLOCK, "memlock", 0, "locks no memory"},
    /* Not the address space: the guest's memory is in it, once for each mount. */
    {RLIMIT_DATA, "data", VFSD_MEMORY_MAX + (1ull << 30), "mounts in memory, and 1 GiB of tables"},
};

static const struct jail_fd fds[] = {
    {JAIL_FD_NULL, 2, "descriptors 0 and 1"},
    {JAIL_FD_PIPE, 1, "log"},
    {JAIL_FD_SOCKET, 4 + MOUNT_DEVICES_MAX,
	"supervisor, the guest's port; changes.sock and one client of it; the mounts' devices"},
    {JAIL_FD_EVENT, 4 * MOUNT_DEVICES_MAX, "two queues of each device"},
    {JAIL_FD_DIRECTORY, FILES_MAX, "the mounts' directories; what the guest has open"},
    {JAIL_FD_FILE, FILES_MAX, "what the guest has open"},
    {JAIL_FD_PATH, 2, "host_node_any, made: a link, fifo or socket, while the guest asks of it"},
};

const struct jail_profile vfsd_profile = {
    .name = "vfsd",
    .job = "serves the mounts: FUSE, host directories, files in memory",
    .walls = JAIL_ALL,
    .report = JAIL_REPORT_TRAP,
    .syscalls = syscalls,
    .n_syscalls = sizeof(syscalls) / sizeof(syscalls[0]),
    .limits = limits,
    .n_limits = sizeof(limits) / sizeof(limits[0]),
    .fds = fds,
    .n_fds = sizeof(fds) / sizeof(fds[0]),
};
