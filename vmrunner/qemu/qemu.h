/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU as a child: its command line, the disk overlay that it writes to, and its wall.
 *
 * The supervisor starts QEMU, not vmrunner: so vmrunner needs neither fork nor exec, a vmrunner
 * that was taken over cannot choose QEMU's arguments, and every process of a sandbox is a child of
 * one parent.
 */
#ifndef GONDOLIN_VMRUNNER_QEMU_H
#define GONDOLIN_VMRUNNER_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/mount_frame.h"
#include "jail/jail.h"

/* The descriptors that QEMU inherits, by number. */
enum qemu_fd {
	QEMU_FD_LOG = 2,
	QEMU_FD_CONSOLE, /* stream socket: the serial console */
	QEMU_FD_QMP,     /* stream socket */
	QEMU_FD_AGENT,   /* stream socket: virtio-serial port org.gondolin.agent */
	QEMU_FD_VFS, /* stream socket: virtio-serial port org.gondolin.vfs; absent without mounts */
	QEMU_FD_LINK,    /* datagram socket: the network's frames; absent without a network */
	QEMU_FD_ROOTFS,  /* the image's ext4, read-only */
	QEMU_FD_OVERLAY, /* qcow2, read-write; absent with rootfs = readonly */
	QEMU_FD_DEVICES, /* stream sockets: vhost-user, one for each mount that has a device */
	QEMU_FDS_MAX = QEMU_FD_DEVICES + MOUNT_DEVICES_MAX,
};

/* Places in QEMU's root that the starter fills: the binds of qemu_profile whose path is "". */
#define QEMU_PROGRAM_PATH   "/usr/bin/qemu-system-x86_64" /* it finds its modules from there */
#define QEMU_KERNEL_PATH    "/kernel"
#define QEMU_INITRAMFS_PATH "/initramfs"
#define QEMU_KVM_PATH       "/dev/kvm"

struct qemu_machine {
	unsigned cpus;
	uint64_t memory; /* bytes; a multiple of 1 MiB */
	bool kvm;
	bool writable_root;   /* an overlay is there */
	bool mounts;          /* the port of vfsd is there */
	unsigned devices;     /* mounts that are virtio-fs devices; vfsd sees the guest's memory */
	uint32_t mtu;         /* of the network; 0 = the machine has none */
	bool verbose_console; /* the kernel talks: to see a sign of life early */
	uint32_t tsc_khz;     /* of the host, for TCG; 0 = not known */
	const char *cmdline;  /* the image's extra kernel arguments, or "" */
};

/* An argv with the strings that it points to. */
struct qemu_command {
	char *argv[160]; /* some 140 are used where a sandbox has all that there is */
	size_t argc;
	char text[8192];
	size_t used;
};

/* Builds the command line; all of it is bounded, so it cannot fail with a valid image (asserted).
 */
void qemu_command_build(struct qemu_command *c, const struct qemu_machine *m);

/*
 * Finds qemu-system-x86_64 in PATH.  Returns 0 and fills path; or -ENOENT and one line in error
 * that says what to install.  Its version is judged by vmrunner, from the QMP greeting, which costs
 * no second start.
 */
int qemu_find(char *path, size_t path_size, char *error, size_t error_size);

/*
 * Makes an empty qcow2 file of `size` bytes (a multiple of 512, up to 4 TiB) for use as an overlay
 * over a backing node that the command line names.  in_memory: a memfd; otherwise an unlinked file
 * in $TMPDIR or /var/tmp, which is gone with its last descriptor.  Returns the descriptor, or
 * -errno (-ENOSPC: say where) with a line in error.
 */
int qemu_overlay_make(uint64_t size, bool in_memory, char *error, size_t error_size);

/* kHz of this host's time-stamp counter, measured against the clock since the first call; 0 off
 * x86. */
uint32_t qemu_tsc_khz(void);

extern const struct jail_profile qemu_profile;

#endif
