/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts a stack of vfsd's providers on this machine, through its own /dev/fuse, until SIGTERM or
 * until it is unmounted: what any POSIX test can be pointed at without a VM.
 *
 *	vfs_mount [options] TARGET
 *	  --host DIR       serve a directory        --memory BYTES   serve memory
 *	  --cow DIR        keep writes in DIR       --read-only
 *	  --hide PATTERN   (again for more)         --scratch        hidden names are the guest's
 *own
 *	  --squash         everything is ours       --fresh MS       trust in names and attributes
 *	  --trace          a line for each operation on standard error
 *	  --device FILE    another node of /dev/fuse
 *	  --background N   requests that no program waits for, at once
 *
 * Needs CAP_SYS_ADMIN in its user namespace and an own mount namespace where it is no root.  Prints
 * "ready" when the mount is up.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/log.h"
#include "tests/vfs/stack.h"
#include "vfsd/server.h"

static void
on_record(void *ctx, const struct vfs_record *r)
{
	char path[VFS_RECORD_PATH], second[VFS_RECORD_PATH];

	(void)ctx;
	log_escape(path, sizeof(path), r->path, strlen(r->path));
	log_escape(second, sizeof(second), r->second != NULL ? r->second : "",
	    r->second != NULL ? strlen(r->second) : 0);
	log_line("%s /%s %s: %s%s", r->operation, path, second,
	    r->result == 0 ? "ok" : strerror(-r->result), r->denied ? " (denied)" : "");
}

static int
mount_at(const char *device, const char *target)
{
	char options[256];
	struct stat st;
	int fd;

	if (stat(target, &st) < 0)
		return -errno;
	fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(options, sizeof(options),
	    "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other", fd,
	    geteuid(), getegid());
	if (mount("gondolin", target, "fuse.gondolin", MS_NOSUID | MS_NODEV, options) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/*
 * A request is copied twice, out of the kernel and into the file: smaller ones are still in the
 * processor's cache the second time.  (Over a VM's port the round trips cost more than that.)
 */
#define WRITE_MAX (128u << 10)

static volatile sig_atomic_t stop;

static void
on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* A signal interrupts the read: no SA_RESTART. */
static void
catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

/* One request after the other until the mount ends. */
static int
serve(struct vfs_server *server, struct vfs_device *device)
{
	struct pollfd readable = {.fd = device->fd, .events = POLLIN};
	uint8_t *buffer = malloc(FUSE_REQUEST_MAX);
	struct vfs_usage use;
	ssize_t n = -EAGAIN;
	int error = 0;

	if (buffer == NULL)
		return -ENOMEM;
	while (error == 0 && n != 0 && !stop) {
		vfs_server_usage(server, &use);
		/* Locks that wait are tried again from time to time; else the read waits. */
		if (use.waiting > 0) {
			error = vfs_server_retry_locks(server);
			if (poll(&readable, 1, (int)VFS_LOCK_RETRY_MS) <= 0)
				continue;
		}
		n = vfs_device_receive(device, buffer, FUSE_REQUEST_MAX);
		if (n > 0)
			error = vfs_server_request(server, buffer, (size_t)n);
		else if (n != 0 && n != -EAGAIN && n != -EINTR)
			error = (int)n;
	}
	free(buffer);
	return error;
}

/* As many descriptors as the handles that a guest may have. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int
main(int argc, char **argv)
{
	struct test_stack stack;
	struct vfs_server_config config = {.fresh_ms = VFS_FRESH_MS_DEFAULT, .record = on_record};
	struct vfs_server *server = NULL;
	struct vfs_device device;
	int fd, error;
	const char *target;

	if (test_stack_options(&stack, argc, argv) != 0)
		return 2;
	target = argv[optind];
	umask(0);
	raise_descriptors();
	error = test_stack_open(&stack);
	if (error != 0) {
		fprintf(stderr, "vfs_mount: provider: %s\n", strerror(-error));
		return 1;
	}
	catch_signals();
	fd = mount_at(stack.device, target);
	if (fd < 0) {
		fprintf(stderr, "vfs_mount: %s: %s\n", target, strerror(-fd));
		return 1;
	}
	vfs_device_init(&device, fd);
	config.provider = stack.top;
	config.transport = &device.transport;
	config.trace = stack.trace;
	config.fresh_ms = stack.fresh_ms;
	config.limits.write = WRITE_MAX;
	config.limits.background = stack.background;
	error = vfs_server_new(&config, &server);
	if (error == 0) {
		puts("ready");
		fflush(stdout);
		error = serve(server, &device);
	}
	if (error != 0)
		fprintf(stderr, "vfs_mount: %s\n", strerror(-error));
	umount2(target, MNT_DETACH);
	close(fd);
	vfs_server_free(server);
	test_stack_close(&stack);
	return error != 0;
}
