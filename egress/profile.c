/* SPDX-License-Identifier: Apache-2.0 */
/* egress's wall.  Each row names its caller and goes when the caller goes. */
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "egress/profile.h"

static const struct jail_syscall syscalls[] = {
#ifdef __x86_64__
    ALLOW(epoll_wait, "libev: wait"),
    ALLOW(poll, "libcurl: is an idle connection still alive"),
#else
    ALLOW(epoll_pwait, "libev: wait"),
    ALLOW(ppoll, "libcurl: is an idle connection still alive"),
#endif
    ALLOW(epoll_ctl, "libev: ev_io_start, ev_io_stop"),
    ALLOW(epoll_create1, "libev: makes its set anew where a peer still holds a socket of ours"),
    ALLOW_ELSEWHERE(clock_gettime, "libev, libcurl: where the vDSO has no clock",
	"hosts whose clock the vDSO cannot read"),
    ALLOW_ELSEWHERE(getrandom, "OpenSSL: keys of connections",
	"handshakes beyond those that OpenSSL's generator was seeded for"),
    ALLOW(getpid, "OpenSSL: its random numbers look for a fork"),
    ALLOW_IF(futex, "OpenSSL: pthread_once", ARG_IS(1, FUTEX_WAKE | FUTEX_PRIVATE_FLAG)),
    ALLOW_IF(socket, "on_open, connection_try, c-ares", ARG_IS(0, AF_INET)),
    ALLOW_IF(socket, "on_open, connection_try, c-ares", ARG_IS(0, AF_INET6)),
    ALLOW_IF(socketpair, "stream_open", ARG_IS(0, AF_UNIX),
	ARG_IS(1, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)),
    ALLOW(connect, "libcurl, c-ares, connection_try, connection_is_made"),
    ALLOW_IF(setsockopt, "libcurl: TCP_NODELAY", ARG_IS(1, IPPROTO_TCP)),
    ALLOW_IF(
	getsockopt, "libcurl: how a connect ended", ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_ERROR)),
    ALLOW(getsockname, "libcurl: addresses of a connection"),
    ALLOW(getpeername, "libcurl: addresses of a connection"),
    ALLOW(read, "upload, OpenSSL's socket"),
    ALLOW(write, "OpenSSL's socket, log_line"),
    ALLOW(sendto, "libcurl, c-ares, write_out, libnl"),
    ALLOW(recvfrom, "libcurl, c-ares"),
    ALLOW(recvmsg, "ipc_packet_receive, libnl"),
    ALLOW(sendmsg, "ipc_packet_send, libnl"),
    ALLOW(close, "connections, streams"),
    ALLOW_IF(fcntl, "c-ares: its sockets' flags", ARG_IS(1, F_GETFL)),
    ALLOW_IF(fcntl, "channels and c-ares: not blocking", ARG_IS(1, F_SETFL)),
    ALLOW_IF_ELSEWHERE(
	fcntl, "c-ares: close-on-exec", "the c-ares of other releases", ARG_IS(1, F_SETFD)),
    ALLOW_IF_ELSEWHERE(fcntl, "ipc_channel_send: a queued descriptor",
	"a netproxy that is slower than the origins", ARG_IS(1, F_DUPFD_CLOEXEC)),
    ALLOW_IF_ELSEWHERE(
	ioctl, "libcurl: not blocking", "the libcurl of other releases", ARG_IS(1, FIONBIO)),
    ALLOW_IF_ELSEWHERE(rt_sigaction, "libcurl: SIGPIPE around its calls",
	"the libcurl of other releases", ARG_IS(0, SIGPIPE)),
    ALLOW(brk, "malloc"),
    ALLOW_IF(mmap, "malloc of large blocks; never code", ARG_LACKS(2, PROT_EXEC)),
    ALLOW_ELSEWHERE(
	mremap, "realloc of large blocks", "other sizes of blocks, as the allocator likes"),
    ALLOW(munmap, "free of large blocks"),
    ALLOW(exit_group, "the end"),
};

static const struct jail_limit limits[] = {
    {RLIMIT_CORE, "core", 0, "secrets stay out of files"},
    {RLIMIT_FSIZE, "fsize", 0, "writes no file"},
    {RLIMIT_MEMLOCK, "memlock", 0, "locks no memory"},
    {RLIMIT_NOFILE, "nofile", 4000, "1200 requests with a connection and a stream's two ends"},
    {RLIMIT_AS, "as", 1024u << 20, "1200 requests with their buffers, and the mappings"},
};

static const struct jail_fd fds[] = {
    {JAIL_FD_NULL, 2, "descriptors 0 and 1"},
    {JAIL_FD_SOCKET, 3900, "supervisor, netproxy, rtnetlink; connections; streams; resolvers"},
    {JAIL_FD_PIPE, 1, "log"},
    {JAIL_FD_EVENT, 2, "libev's epoll set, and its successor for a moment"},
};

const struct jail_profile egress_profile = {
    .name = "egress",
    .job = "the only way out: judges, resolves, connects, puts secrets in and takes them out",
    .walls = JAIL_ALL & ~JAIL_NET,
    .walls_why = "it is the one process that reaches the network",
    .report = JAIL_REPORT_TRAP,
    .syscalls = syscalls,
    .n_syscalls = sizeof(syscalls) / sizeof(syscalls[0]),
    .limits = limits,
    .n_limits = sizeof(limits) / sizeof(limits[0]),
    .fds = fds,
    .n_fds = sizeof(fds) / sizeof(fds[0]),
};
