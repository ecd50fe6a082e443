/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's wall.  QEMU is not ours: its wall stands before its exec, so the rows cover the dynamic
 * linker and QEMU's own start-up too.  Its own -sandbox comes on top and takes away exec, fork and
 * identity changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>

#include "vmrunner/qemu/qemu.h"

/* A thread and nothing else: no new process, no new namespace. */
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

static const struct jail_syscall syscalls[] = {
    /* The dynamic linker and C library */
    ALLOW(arch_prctl, "ld.so: thread pointer"),
    ALLOW(set_tid_address, "C library start"),
    ALLOW(set_robust_list, "a thread's start"),
    ALLOW(rseq, "a thread's start"),
    ALLOW(brk, "malloc"),
    ALLOW(mmap, "libraries, guest memory, translated code"),
    ALLOW(munmap, "free"),
    ALLOW_ELSEWHERE(mremap, "realloc", "other sizes of blocks, as the allocator likes"),
    ALLOW(mprotect, "ld.so: relro; malloc: arenas; TCG: guard pages"),
    ALLOW(madvise, "thread stacks; guest memory"),
    ALLOW(access, "ld.so: /etc/ld.so.preload; firmware lookup"),
    ALLOW(openat, "libraries and firmware: all that its root holds, read-only"),
    ALLOW(readlink, "where its own binary is: fails, no /proc"),
    ALLOW(newfstatat, "libraries and firmware"),
    ALLOW_ELSEWHERE(
	fstat, "libraries and firmware, by descriptor", "the libraries of other releases"),
    ALLOW_ELSEWHERE(statx, "libraries and firmware", "the libraries of other releases"),
    ALLOW(lseek, "firmware, disk size"),
    ALLOW(pread64, "ld.so; the disk"),
    ALLOW(statfs, "libselinux start: fails"),
    ALLOW(getcwd, "glib start"),
    ALLOW(sysinfo, "C library: memory size"),
    ALLOW(prlimit64, "C library: stack size"),
    ALLOW(getrandom, "hash seeds, rng-builtin"),
    ALLOW_ELSEWHERE(getpid, "logging", "the libraries of other releases"),
    ALLOW_ELSEWHERE(getuid, "glib start", "the libraries of other releases"),
    ALLOW_ELSEWHERE(geteuid, "glib start", "the libraries of other releases"),
    ALLOW_ELSEWHERE(getgid, "glib start", "the libraries of other releases"),
    ALLOW_ELSEWHERE(getegid, "glib start", "the libraries of other releases"),
    ALLOW(gettid, "threads"),
    ALLOW(sched_getaffinity, "number of processors"),
    ALLOW(get_mempolicy, "libnuma start"),
    ALLOW(set_mempolicy, "libnuma start; -sandbox resourcecontrol=deny follows"),

    /* Threads */
    ALLOW_IF(clone, "a thread", ARG_HAS(0, THREAD_FLAGS)),
    DENY_ERRNO(clone3, ENOSYS, "the C library falls back to clone, whose flags can be judged"),
    ALLOW(futex, "locks"),
    ALLOW_ELSEWHERE(
	exit, "a thread's end", "machines that outlive the rest of a block worker, ten seconds"),
    ALLOW(exit_group, "the end"),
    ALLOW(restart_syscall, "a wait that a stop interrupted"),
    ALLOW(rt_sigaction, "signal handlers"),
    ALLOW(rt_sigprocmask, "thread masks"),
    ALLOW_ELSEWHERE(rt_sigreturn, "a handler's end", "hosts with KVM"),
    ALLOW_ELSEWHERE(rt_sigtimedwait, "signal thread", "hosts with KVM"),
    ALLOW_ELSEWHERE(sigaltstack, "coroutines", "builds whose coroutines need it"),
    ALLOW(signalfd4, "main loop: SIGALRM, SIGIO, SIGBUS"),
    ALLOW_ELSEWHERE(tgkill, "SIG_IPI: kicks a virtual processor out of KVM_RUN", "hosts with KVM"),
    ALLOW_IF_ELSEWHERE(prctl, "thread names", "later versions", ARG_IS(0, PR_SET_NAME)),
    ALLOW_IF(prctl, "timer slack", ARG_IS(0, PR_SET_TIMERSLACK)),
    ALLOW_IF_ELSEWHERE(prctl, "libcap-ng start", "QEMU of Debian 13", ARG_IS(0, PR_CAPBSET_READ)),
    ALLOW_IF(prctl, "SIGBUS policy", ARG_IS(0, PR_MCE_KILL)),
    ALLOW_IF(prctl, "-sandbox", ARG_IS(0, PR_SET_NO_NEW_PRIVS)),
    ALLOW(seccomp, "-sandbox: a filter can only take away"),

    /* Time */
    ALLOW_ELSEWHERE(
	clock_gettime, "where the vDSO cannot", "hosts whose clock the vDSO cannot read"),
    ALLOW(clock_nanosleep, "RCU thread"),
    ALLOW_ELSEWHERE(
	gettimeofday, "where the vDSO cannot", "hosts whose clock the vDSO cannot read"),

    /* The main loop, ports, disk */
    ALLOW(poll, "glib"),
    ALLOW(ppoll, "main loop"),
    ALLOW(eventfd2, "wake-ups"),
    ALLOW(epoll_create1, "block layer's poll"),
    ALLOW(read, "ports, eventfd"),
    ALLOW(write, "log, eventfd"),
    ALLOW(sendmsg, "ports"),
    ALLOW(sendto, "the network's frames"),
    ALLOW(recvmsg, "ports"),
    ALLOW(recvfrom, "the network's frames"),
    ALLOW(getsockopt, "what kind of socket a descriptor is"),
    ALLOW(setsockopt, "zero-copy probe"),
    ALLOW(getsockname, "the same"),
    ALLOW(getpeername, "the same"),
    ALLOW_ELSEWHERE(shutdown, "a port's end", "a port whose reader ended before QEMU was killed"),
    ALLOW(close, "descriptors"),
    ALLOW(fcntl, "O_NONBLOCK, F_DUPFD_CLOEXEC"),
    ALLOW(preadv, "disk"),
    ALLOW(pwritev, "disk"),
    ALLOW(pwrite64, "disk"),
    ALLOW(memfd_create, "guest memory, translated code"),
    ALLOW(ftruncate, "guest memory that vfsd sees"),
    ALLOW(fstatfs, "the same: how large its pages are"),
    DENY_ERRNO(io_uring_setup, ENOSYS, "the block layer falls back to epoll and threads"),
    ALLOW_ELSEWHERE(ioctl, "KVM", "hosts with KVM"),

    /* Tried, and done without */
    DENY_ERRNO(socket, EAFNOSUPPORT, "libraries' start-up probes"),
    DENY_ERRNO(sched_setaffinity, EPERM, "not for a guest to choose"),
    DENY_ERRNO(sched_setscheduler, EPERM, "the same"),
    DENY_ERRNO(setpriority, EPERM, "the same"),
    DENY_ERRNO(mlockall, EPERM, "the same"),
    DENY_ERRNO(mbind, EPERM, "the same"),
    DENY_ERRNO(unlink, EROFS, "its root is read-only"),
};

#define CPUS_MAX 64 /* of vm { cpus }: each is a descriptor of KVM's, and since QEMU 8.1 two */

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, "core", 0, "guest memory must not reach a disk"},
    {RLIMIT_NOFILE, "nofile", 512,
	"ports, disk; two of each virtual processor, nine of each device"},
    {RLIMIT_MEMLOCK, "memlock", 0, "nothing is locked"},
};

static const struct jail_fd fds[] = {
    {JAIL_FD_NULL, 6,
	"standard input and output; the port of mounts and the link that are not there"},
    {JAIL_FD_PIPE, 1, "log"},
    {JAIL_FD_SOCKET, 8 + MOUNT_DEVICES_MAX, "console, QMP, agent, vfs, link; the mounts' devices"},
    {JAIL_FD_EVENT, 200, "main loop, virtual processors, queues of the mounts' devices"},
    {JAIL_FD_MEMORY, 5, "overlay in memory, translated code; memory that vfsd sees"},
    {JAIL_FD_FILE, 8, "image and overlay, and the block layer's duplicates"},
    {JAIL_FD_DIRECTORY, 1, "the working directory at start"},
    {JAIL_FD_DEVICE, 2 + 2 * CPUS_MAX, "/dev/kvm, its machine, and its virtual processors"},
};

static const struct jail_bind binds[] = {
    {.path = "", .target = QEMU_PROGRAM_PATH},
    {.path = "", .target = QEMU_KERNEL_PATH},
    {.path = "", .target = QEMU_INITRAMFS_PATH},
    {.path = "", .target = QEMU_KVM_PATH, .optional = true},
    {.path = "/lib64", .optional = true},
    {.path = "/lib/x86_64-linux-gnu", .optional = true},
    {.path = "/usr/lib/x86_64-linux-gnu", .optional = true},
    {.path = "/lib/aarch64-linux-gnu", .optional = true},
    {.path = "/usr/lib/aarch64-linux-gnu", .optional = true},
    {.path = "/etc/ld.so.cache", .optional = true},
    {.path = "/usr/share/qemu"},
    {.path = "/usr/share/seabios", .optional = true},
    {.path = NULL},
};

const struct jail_profile qemu_profile = {
    .name = "qemu",
    .job = "the machine: runs the guest",
    .walls = JAIL_ALL & ~(unsigned)JAIL_NON_DUMPABLE,
    .walls_why = "exec makes a program that is not ours dumpable again",
    .report = JAIL_REPORT_NOTIFY,
    .syscalls = syscalls,
    .n_syscalls = sizeof(syscalls) / sizeof(syscalls[0]),
    .limits = limits,
    .n_limits = sizeof(limits) / sizeof(limits[0]),
    .fds = fds,
    .n_fds = sizeof(fds) / sizeof(fds[0]),
    .binds = binds,
};
