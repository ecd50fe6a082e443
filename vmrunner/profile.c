/* SPDX-License-Identifier: Apache-2.0 */
/* vmrunner's wall.  Each row names its caller and goes when the caller goes. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "vmrunner/profile.h"

static const struct jail_syscall syscalls[] = {
#ifdef __x86_64__
    ALLOW(epoll_wait, "libev: wait"),
#else
    ALLOW(epoll_pwait, "libev: wait"),
#endif
    ALLOW(epoll_ctl, "libev: ev_io_start, ev_io_stop"),
    ALLOW(epoll_create1, "libev: makes its set anew where a client still holds a pipe of ours"),
    ALLOW_ELSEWHERE(clock_gettime, "libev: ev_time, where the vDSO has no clock",
	"hosts whose clock the vDSO cannot read"),
    ALLOW(read, "agent port, QMP, console; a client's stdin"),
    ALLOW(write, "agent port, QMP; a client's stdout and stderr; log_line"),
    ALLOW(recvmsg, "ipc_packet_receive: supervisor, clients"),
    ALLOW(sendmsg, "ipc_packet_send: supervisor, clients"),
    ALLOW_IF(accept4, "on_acceptable", ARG_IS(3, SOCK_CLOEXEC | SOCK_NONBLOCK)),
    ALLOW_IF(getsockopt, "is_owner", ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_PEERCRED)),
    ALLOW_IF(getsockopt, "are_pipes: a socket", ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_TYPE)),
    ALLOW(close, "descriptors of clients and machines"),
    ALLOW_IF(fcntl, "are_pipes: a pipe", ARG_IS(1, F_GETPIPE_SZ)),
    ALLOW_IF(fcntl, "what was handed over becomes non-blocking", ARG_IS(1, F_SETFL),
	ARG_IS(2, O_NONBLOCK)),
    ALLOW_IF(fcntl, "command_attach: one pipe for stdout and stderr; ipc_channel_send",
	ARG_IS(1, F_DUPFD_CLOEXEC)),
    ALLOW(brk, "malloc"),
    ALLOW_IF(mmap, "malloc of large blocks; never code", ARG_LACKS(2, PROT_EXEC)),
    ALLOW(munmap, "free of large blocks"),
    ALLOW(exit_group, "the end"),
};

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, "core", 0, "guest data stays out of files"},
    {RLIMIT_FSIZE, "fsize", 0, "writes no file"},
    {RLIMIT_MEMLOCK, "memlock", 0, "locks no memory"},
    {RLIMIT_NOFILE, "nofile", 1600, "300 clients, 256 commands with up to four pipes"},
    {RLIMIT_AS, "as", 192u << 20, "24 MiB of buffers at most, and the program's mappings"},
};

static const struct jail_fd fds[] = {
    {JAIL_FD_NULL, 2, "descriptors 0 and 1"},
    {JAIL_FD_SOCKET, 1 + 1 + 3 + 301 + 768, "supervisor, listener, machine, clients, their pipes"},
    {JAIL_FD_PIPE, 1 + 1 + 768, "log; console; the pipes of 256 commands"},
    {JAIL_FD_EVENT, 2, "libev's epoll set, and its successor for a moment"},
};

const struct jail_profile vmrunner_profile = {
    .name = "vmrunner",
    .job = "drives the machine: agent port, QMP, console, control socket",
    .walls = JAIL_ALL,
    .report = JAIL_REPORT_TRAP,
    .syscalls = syscalls,
    .n_syscalls = sizeof(syscalls) / sizeof(syscalls[0]),
    .limits = limits,
    .n_limits = sizeof(limits) / sizeof(limits[0]),
    .fds = fds,
    .n_fds = sizeof(fds) / sizeof(fds[0]),
};
