/* SPDX-License-Identifier: Apache-2.0 */
/* The table of edges. */
#include "supervisor/edges.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

const struct edge_row edge_rows[EDGES] = {
    [EDGE_VMRUNNER] = {"vmrunner", "ipc/vmrunner.proto", PROCESS_SUPERVISOR, PROCESS_VMRUNNER,
	SOCK_SEQPACKET},
    [EDGE_VFSD] = {"vfsd", "ipc/vfsd.proto", PROCESS_SUPERVISOR, PROCESS_VFSD, SOCK_SEQPACKET},
    [EDGE_NETPROXY] = {"netproxy", "ipc/netproxy.proto", PROCESS_SUPERVISOR, PROCESS_NETPROXY,
	SOCK_SEQPACKET},
    [EDGE_EGRESS] = {"egress", "ipc/egress.proto", PROCESS_SUPERVISOR, PROCESS_EGRESS,
	SOCK_SEQPACKET},
    [EDGE_OUTBOUND] = {"outbound", "ipc/outbound.proto", PROCESS_NETPROXY, PROCESS_EGRESS,
	SOCK_SEQPACKET},
    [EDGE_LINK] = {"link", "Ethernet frames", PROCESS_QEMU, PROCESS_NETPROXY, SOCK_DGRAM},
    [EDGE_CONSOLE] = {"console", "the serial console's bytes", PROCESS_QEMU, PROCESS_VMRUNNER,
	SOCK_STREAM},
    [EDGE_QMP] = {"qmp", "QMP (JSON lines)", PROCESS_QEMU, PROCESS_VMRUNNER, SOCK_STREAM},
    [EDGE_AGENT] = {"agent", "the agent's virtio-serial port (ipc/agent.proto)", PROCESS_QEMU,
	PROCESS_VMRUNNER, SOCK_STREAM},
    [EDGE_VFS] = {"vfs", "the mounts' virtio-serial port (vfsd/transport.h)", PROCESS_QEMU,
	PROCESS_VFSD, SOCK_STREAM},
    [EDGE_DEVICE] = {"device", "vhost-user of a mount's virtio-fs device, one for each mount",
	PROCESS_QEMU, PROCESS_VFSD, SOCK_STREAM},
};

int
edge_make(struct edge *e, enum edge_id id)
{
	int fds[2];

	edge_close(e);
	if (socketpair(AF_UNIX, edge_rows[id].type | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	*e = (struct edge){fds[0], fds[1]};
	return 0;
}

void
edge_close_a(struct edge *e)
{
	if (e->a >= 0)
		close(e->a);
	e->a = -1;
}

void
edge_close(struct edge *e)
{
	if (e->a >= 0)
		close(e->a);
	if (e->b >= 0)
		close(e->b);
	*e = (struct edge){-1, -1};
}
