/* SPDX-License-Identifier: Apache-2.0 */
/* The whole stream of a guest, from its first byte on, against vfsd's port and a mount in memory.
 */
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfsd/vfsd.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct vfsd *
make(void)
{
	Gondolin__VfsdMount wish = GONDOLIN__VFSD_MOUNT__INIT;
	ProtobufCBinaryData hide = {4, (uint8_t *)(uintptr_t) ".env"};
	struct vfsd *v = calloc(1, sizeof(*v));

	if (v == NULL)
		abort();
	wish.path = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "/w"};
	wish.provider = GONDOLIN__VFSD_MOUNT__PROVIDER__MEMORY;
	wish.memory = 4 << 20;
	wish.hide = &hide;
	wish.n_hide = 1;
	if (mount_add(v, &wish, -1) != 0)
		abort();
	vfsd_init(v);
	v->loop = ev_loop_new(EVFLAG_NOENV);
	return v;
}

/* What the guest and the supervisor would read. */
static void
drain(int fd)
{
	char bytes[65536];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct vfsd *v;
	int ports[2], sup[2];
	ssize_t n;

	if (v == NULL)
		v = make();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ports) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sup) < 0)
		abort();
	v->ended = false;
	ipc_channel_open(&v->supervisor, v->loop, sup[0], &supervisor_table, v, NULL);
	v->supervisor.state = SUPERVISOR_SERVE;
	port_open(v, ports[1]);
	while (v->port.fd >= 0) {
		n = length > 0 ? send(ports[0], bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		if (n > 0) {
			bytes += n;
			length -= (size_t)n;
		}
		if (length == 0)
			shutdown(ports[0], SHUT_WR);
		port_watch(v);
		ev_run(v->loop, EVRUN_NOWAIT);
		port_serve(v);
		report_flush(v);
		drain(ports[0]);
		drain(sup[1]);
	}
	ipc_channel_close(&v->supervisor);
	close(ports[0]);
	close(sup[1]);
	return 0;
}
