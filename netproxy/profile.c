/* SPDX-License-Identifier: Apache-2.0 */
/* netproxy's wall.  Each row names its caller and goes when the caller goes. */
#include "netproxy/profile.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>

static const struct jail_syscall syscalls[] = {
#ifdef __x86_64__
    ALLOW(epoll_wait, "libev: wait"),
#else
    ALLOW(epoll_pwait, "libev: wait"),
#endif
    ALLOW(epoll_ctl, "libev: ev_io_start, ev_io_stop"),
    ALLOW_ELSEWHERE(epoll_create1,
	"libev: makes its set anew where egress still holds a stream of ours",
	"an egress that is late to close a stream"),
    ALLOW_ELSEWHERE(clock_gettime, "netproxy_now, libev: where the vDSO has no clock",
	"hosts whose clock the vDSO cannot read"),
    ALLOW(recvmmsg, "link_socket: frames of the guest"),
    /* Never MSG_FASTOPEN: with it a mapped connection's socket, which is the host's, connects. */
    ALLOW_IF(sendmmsg, "link_socket: frames to the guest", ARG_LACKS(3, MSG_FASTOPEN)),
    ALLOW(recvmsg, "ipc_packet_receive: supervisor, egress"),
    ALLOW_IF(sendmsg, "ipc_packet_send; exchange_write, relay: bodies and mapped connections",
	ARG_LACKS(2, MSG_FASTOPEN)),
    ALLOW(readv, "exchange_read, relay: the same in the other direction"),
    ALLOW_IF(shutdown, "exchange_shutdown, relay: one direction's end", ARG_IS(1, SHUT_WR)),
    ALLOW_ELSEWHERE(write, "log_line", "a supervisor or an egress that breaks its protocol"),
    ALLOW(close, "streams and mapped connections"),
    ALLOW_IF(fcntl, "what was handed over becomes non-blocking", ARG_IS(1, F_GETFL)),
    ALLOW_IF(fcntl, "likewise", ARG_IS(1, F_SETFL), ARG_HAS(2, O_NONBLOCK)),
    ALLOW_ELSEWHERE(getrandom, "OpenSSL: keys of handshakes, serial numbers",
	"handshakes beyond those that OpenSSL's generator was seeded for"),
    ALLOW(getpid, "OpenSSL: notices a fork"),
    ALLOW_IF_ELSEWHERE(futex, "OpenSSL: what it prepares once, when first used",
	"the OpenSSL of other releases", ARG_IS(1, FUTEX_WAKE_PRIVATE)),
    ALLOW(brk, "malloc"),
    ALLOW_IF(mmap, "malloc of large blocks; never code", ARG_LACKS(2, PROT_EXEC)),
    ALLOW_ELSEWHERE(munmap, "free of large blocks", "moments when the allocator gives one back"),
    ALLOW_ELSEWHERE(
	mremap, "realloc of large blocks", "other sizes of blocks, as the allocator likes"),
    ALLOW_IF_ELSEWHERE(madvise, "malloc: memory given back",
	"other sizes of blocks, as the allocator likes", ARG_IS(2, MADV_DONTNEED)),
    ALLOW(exit_group, "the end"),
};

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, "core", 0, "guest data stays out of files"},
    {RLIMIT_FSIZE, "fsize", 0, "writes no file"},
    {RLIMIT_MEMLOCK, "memlock", 0, "locks no memory"},
    {RLIMIT_NOFILE, "nofile", 3136, "3072 streams and mapped connections"},
    {RLIMIT_AS, "as", 512u << 20, "192 MiB of flows and their buffers at most, TLS, the program"},
};

static const struct jail_fd fds[] = {
    {JAIL_FD_NULL, 2, "descriptors 0 and 1"},
    {JAIL_FD_SOCKET, 1 + 1 + 1 + 3072, "supervisor, link, egress, streams"},
    {JAIL_FD_PIPE, 1, "log"},
    {JAIL_FD_EVENT, 2, "libev's epoll set, and its successor for a moment"},
};

const struct jail_profile netproxy_profile = {
    .name = "netproxy",
    .job = "the guest's LAN: frames, TCP, DNS, TLS and HTTP towards the guest",
    .walls = JAIL_ALL,
    .report = JAIL_REPORT_TRAP,
    .syscalls = syscalls,
    .n_syscalls = sizeof(syscalls) / sizeof(syscalls[0]),
    .limits = limits,
    .n_limits = sizeof(limits) / sizeof(limits[0]),
    .fds = fds,
    .n_fds = sizeof(fds) / sizeof(fds[0]),
};
