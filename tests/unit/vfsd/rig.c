/* SPDX-License-Identifier: Apache-2.0 */
/* The rig: see the header. */
#include "tests/unit/vfsd/rig.h"

#include <ev.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#define DEADLINE_MS 60000

/* What the wall forbids and the event loop could want: a new set to wait on. */
static void
forbid_descriptors(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_epoll_create1, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		_exit(98);
}

static void
serve(int fd)
{
	struct vfsd *v = calloc(1, sizeof(*v));
	struct ev_loop *loop;
	int rc = 0;

	while (rc == 0 && !v->confined)
		rc = ipc_receive_now(fd, &supervisor_table, v, SUPERVISOR_SETUP);
	if (rc < 0)
		_exit(99);
	loop = vfsd_loop();
	vfsd_init(v);
	forbid_descriptors();
	vfsd_serve(v, loop, fd);
	_exit(v->exit_code);
}

void
rig_tell(struct rig *r, Gondolin__SupToVfsd__BodyCase kind, void *body, int fd)
{
	Gondolin__SupToVfsd m = GONDOLIN__SUP_TO_VFSD__INIT;

	m.body_case = kind;
	m.mount = body;
	CU_ASSERT_EQUAL_FATAL(ipc_packet_send(r->supervisor, &m.base, &fd, fd >= 0 ? 1 : 0), 0);
}

void
rig_start(struct rig *r, int *device)
{
	Gondolin__VfsdMount mount = GONDOLIN__VFSD_MOUNT__INIT;
	Gondolin__VfsdConfine confine = GONDOLIN__VFSD_CONFINE__INIT;
	Gondolin__VfsdPort port = GONDOLIN__VFSD_PORT__INIT;
	Gondolin__VfsdDevice message = GONDOLIN__VFSD_DEVICE__INIT;
	int sup[2], ports[2], devices[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sup), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ports), 0);
	r->reply = malloc(VFS_FRAME_MAX);
	r->pid = fork();
	CU_ASSERT_FATAL(r->pid >= 0);
	if (r->pid == 0) {
		close(sup[0]);
		close(ports[0]);
		close(ports[1]);
		serve(sup[1]);
	}
	close(sup[1]);
	r->supervisor = sup[0];
	r->port = ports[0];
	mount.path = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "/w"};
	mount.provider = GONDOLIN__VFSD_MOUNT__PROVIDER__MEMORY;
	mount.memory = 4 << 20;
	rig_tell(r, GONDOLIN__SUP_TO_VFSD__BODY_MOUNT, &mount, -1);
	confine.by_devices = device != NULL;
	rig_tell(r, GONDOLIN__SUP_TO_VFSD__BODY_CONFINE, &confine, -1);
	rig_tell(r, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &port, ports[1]);
	close(ports[1]);
	if (device == NULL)
		return;
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, devices), 0);
	rig_tell(r, GONDOLIN__SUP_TO_VFSD__BODY_DEVICE, &message, devices[1]);
	close(devices[1]);
	*device = devices[0];
}

void
rig_stop(struct rig *r)
{
	int status;

	close(r->supervisor);
	close(r->port);
	CU_ASSERT_EQUAL(waitpid(r->pid, &status, 0), r->pid);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	free(r->reply);
}

void
rig_put_frame(struct rig *r, uint32_t mount, const void *bytes, size_t n)
{
	uint8_t head[VFS_FRAME_HEADER];

	vfs_frame_encode(head, (uint32_t)n, mount);
	CU_ASSERT_EQUAL(write(r->port, head, sizeof(head)), (ssize_t)sizeof(head));
	CU_ASSERT_EQUAL(write(r->port, bytes, n), (ssize_t)n);
}

static bool
read_all(struct rig *r, void *bytes, size_t n)
{
	struct pollfd p = {.fd = r->port, .events = POLLIN};
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		/* Silence is no end. */
		if (poll(&p, 1, DEADLINE_MS) != 1) {
			CU_FAIL("vfsd says nothing");
			return false;
		}
		got = read(r->port, (uint8_t *)bytes + done, n - done);
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

long
rig_take_frame(struct rig *r, uint32_t *mount)
{
	uint32_t head[2];

	if (!read_all(r, head, sizeof(head)) || head[0] > FUSE_REPLY_MAX ||
	    !read_all(r, r->reply, head[0]))
		return -1;
	*mount = head[1];
	return head[0];
}

void
rig_put_owner(struct rig *r)
{
	uint8_t owner[MOUNT_OWNER_SIZE];

	mount_owner_encode(0, 0, owner);
	rig_put_frame(r, MOUNT_CONTROL, owner, sizeof(owner));
}
