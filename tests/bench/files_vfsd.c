/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfsd in its own wall behind a port, and a device, that somebody else's QEMU has.
 *
 * usage: files_vfsd VFSD PORT-FD DEVICE-FD PATH DIRECTORY
 *
 * Serves DIRECTORY as the guest's PATH until stdin ends; without a device (-1) the guest relays it.
 * As root vfsd gets the uid of the directory's owner.  Prints "ready".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/message.h"
#include "ipc/packet.h"
#include "ipc/vfsd.pb-c.h"
#include "jail/jail.h"
#include "vfsd/profile.h"

static void
check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void
tell(int supervisor, Gondolin__SupToVfsd__BodyCase kind, void *body, int fd)
{
	Gondolin__SupToVfsd m = GONDOLIN__SUP_TO_VFSD__INIT;

	m.body_case = kind;
	m.mount = body; /* all members of the union are pointers */
	check(ipc_packet_send(supervisor, &m.base, &fd, fd >= 0 ? 1 : 0) == 0, "send");
}

static pid_t
start(char *program, int fd, const struct stat *st)
{
	const int fds[] = {-1, -1, STDERR_FILENO, fd};
	char *argv[] = {program, NULL};
	struct jail_spawn spawn = {
	    .profile = &vfsd_profile,
	    .identity = {.root_started = geteuid() == 0, .uid = st->st_uid, .gid = st->st_gid},
	    .program = program,
	    .argv = argv,
	    .fds = fds,
	    .n_fds = 4,
	    .cgroup_fd = -1,
	};
	char error[1024] = "";
	int pidfd;
	pid_t pid = jail_spawn(&spawn, &pidfd, error, sizeof(error));

	if (pid < 0)
		fprintf(stderr, "files_vfsd: %s\n", error);
	check(pid > 0, "jail_spawn");
	return pid;
}

static void
serve(int supervisor, char **argv)
{
	Gondolin__VfsdMount mount = GONDOLIN__VFSD_MOUNT__INIT;
	Gondolin__VfsdConfine confine = GONDOLIN__VFSD_CONFINE__INIT;
	Gondolin__VfsdPort port = GONDOLIN__VFSD_PORT__INIT;
	Gondolin__VfsdDevice device = GONDOLIN__VFSD_DEVICE__INIT;
	static uint8_t bytes[IPC_MESSAGE_MAX];
	struct ipc_packet p = {.bytes = bytes};
	int dir = open(argv[5], O_PATH | O_DIRECTORY | O_CLOEXEC);

	check(dir >= 0, argv[5]);
	mount.path = (ProtobufCBinaryData){strlen(argv[4]), (uint8_t *)argv[4]};
	mount.provider = GONDOLIN__VFSD_MOUNT__PROVIDER__HOST;
	tell(supervisor, GONDOLIN__SUP_TO_VFSD__BODY_MOUNT, &mount, dir);
	confine.by_devices = atoi(argv[3]) >= 0;
	tell(supervisor, GONDOLIN__SUP_TO_VFSD__BODY_CONFINE, &confine, -1);
	check(ipc_packet_receive(supervisor, &p) == 1, "Ready");
	tell(supervisor, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &port, atoi(argv[2]));
	if (confine.by_devices)
		tell(supervisor, GONDOLIN__SUP_TO_VFSD__BODY_DEVICE, &device, atoi(argv[3]));
}

int
main(int argc, char **argv)
{
	struct stat st;
	char waste[16];
	int pair[2];
	pid_t pid;

	check(argc == 6 && stat(argv[5], &st) == 0,
	    "usage: files_vfsd VFSD PORT-FD DEVICE-FD PATH DIRECTORY");
	check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	pid = start(argv[1], pair[1], &st);
	serve(pair[0], argv);
	close(atoi(argv[2]));
	if (atoi(argv[3]) >= 0)
		close(atoi(argv[3]));
	printf("ready %d\n", (int)pid);
	fflush(stdout);
	while (read(STDIN_FILENO, waste, sizeof(waste)) > 0)
		;
	close(pair[0]);
	check(waitpid(pid, NULL, 0) == pid, "waitpid");
	return 0;
}
