/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of a sandbox: which accelerator, which disk, and the attempts to start it.
 *
 * accel = auto.  A /dev/kvm that opens may still never run a kernel (nested virtualisation that
 * wants a paravirtual guest), so KVM is trusted only where a kernel printed something under it on
 * this host before.  The verdict is kept, under a key of kernel release and QEMU binary; without
 * one the first attempt runs under KVM with a talking kernel and a short deadline, and TCG follows
 * where nothing came.
 *
 * An attempt that does not reach the agent's Hello is repeated once.
 */
#ifndef GONDOLIN_SUPERVISOR_MACHINE_H
#define GONDOLIN_SUPERVISOR_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/image/image.h"
#include "ipc/mount_frame.h"
#include "supervisor/config.h"
#include "supervisor/edges.h"
#include "supervisor/identity.h"
#include "supervisor/process.h"

struct machine {
	const struct config *config;
	const struct image *image;
	char qemu[4096]; /* path of the program */
	int link;        /* QEMU's end of the network, the caller's; -1 = none */
	bool kvm;        /* of the present attempt */
	bool proving;    /* the present attempt decides about KVM */
	unsigned attempt;
	unsigned failures;        /* of attempts that were not proofs */
	struct edge edges[EDGES]; /* CONSOLE to VFS, of the present attempt */
	/* Of the mounts that are devices, in the order of their ids; likewise. */
	struct edge devices[MOUNT_DEVICES_MAX];
	size_t n_devices;
};

/* Chooses the accelerator and finds QEMU.  Returns 0 or -errno with a line in error. */
int machine_prepare(struct machine *m, const struct config *c, const struct image *image,
    char *error, size_t error_size);

/*
 * Starts QEMU for the next attempt; the helpers' ends are then in m->edges.  Returns 0 or -errno
 * with a line in error.
 */
int machine_start(struct machine *m, struct process *qemu, struct ev_loop *loop,
    const struct identity *identity, int cgroup_fd, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size);

/* Deadlines of the present attempt, in milliseconds; 0 = not watched. */
uint32_t machine_alive_deadline(const struct machine *m);
uint32_t machine_hello_deadline(const struct machine *m);

/* True where a failure of the present attempt would be final. */
bool machine_is_last_attempt(const struct machine *m);

/* The kernel printed something: a proof is won. */
void machine_alive(struct machine *m);

/* The attempt failed before Hello.  Returns true where machine_start should follow. */
bool machine_failed(struct machine *m);

void machine_clear(struct machine *m);

#endif
