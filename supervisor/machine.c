/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts to start QEMU. */
#include "supervisor/machine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/kvm_access.h"
#include "supervisor/kvm_verdict.h"
#include "supervisor/network.h"
#include "vmrunner/qemu/qemu.h"

#define ALIVE_DEADLINE_MS     8000u /* a proof of KVM: real KVM prints within 100 ms */
#define HELLO_DEADLINE_KVM_MS 30000u
#define HELLO_DEADLINE_TCG_MS \
	90000u /* 3 s on an idle host; a host with twenty busy loops a core still makes it */
#define ATTEMPTS 2u
#define NO_GROUP ((gid_t)-1) /* while QEMU's own is not chosen: no file has it */

/* Whether QEMU can open it: root, which can, is not who QEMU runs as. */
static int
kvm_opens(void)
{
	struct stat st;
	gid_t gid;
	int fd, rc = 0;

	fd = open(QEMU_KVM_PATH, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = -errno;
	else if (geteuid() == 0)
		rc = kvm_access_group(&st, NO_GROUP, &gid);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
choose_accelerator(struct machine *m, char *error, size_t error_size)
{
	enum kvm_verdict verdict;
	int rc;

	if (m->config->vm.accel == CONFIG_ACCEL_TCG)
		return 0;
	rc = kvm_opens();
	if (rc < 0) {
		if (m->config->vm.accel == CONFIG_ACCEL_AUTO)
			return 0;
		snprintf(error, error_size,
		    QEMU_KVM_PATH ": %s; use accel = tcg, or give %s access (group kvm)",
		    strerror(-rc), geteuid() == 0 ? "QEMU, which is not root," : "this user");
		return -ENODEV;
	}
	m->kvm = true;
	if (m->config->vm.accel == CONFIG_ACCEL_KVM)
		return 0;
	verdict = kvm_verdict_read(m->qemu);
	m->kvm = verdict != KVM_USELESS;
	m->proving = verdict == KVM_UNKNOWN;
	return 0;
}

int
machine_prepare(struct machine *m, const struct config *c, const struct image *image, char *error,
    size_t error_size)
{
	size_t i;
	int rc;

	memset(m, 0, sizeof(*m));
	m->config = c;
	m->image = image;
	m->link = -1;
	for (i = 0; i < EDGES; i++)
		m->edges[i] = (struct edge){-1, -1};
	for (i = 0; i < MOUNT_DEVICES_MAX; i++)
		m->devices[i] = (struct edge){-1, -1};
	m->n_devices = config_mount_devices(c);
	(void)qemu_tsc_khz(); /* starts the measurement */
	rc = qemu_find(m->qemu, sizeof(m->qemu), error, error_size);
	return rc < 0 ? rc : choose_accelerator(m, error, error_size);
}

static void
describe_machine(const struct machine *m, struct qemu_machine *q)
{
	*q = (struct qemu_machine){
	    .cpus = m->config->vm.cpus,
	    .memory = m->config->vm.memory,
	    .kvm = m->kvm,
	    .writable_root = m->config->vm.rootfs != CONFIG_ROOTFS_READONLY,
	    .mounts = m->config->n_mounts > 0,
	    .devices = (unsigned)m->n_devices,
	    .mtu = m->link >= 0 ? NETWORK_MTU : 0,
	    .verbose_console = m->proving,
	    .tsc_khz = m->kvm ? 0 : qemu_tsc_khz(),
	    .cmdline = m->image->manifest.cmdline,
	};
}

static int
make_edges(struct machine *m)
{
	static const enum edge_id ours[] = {EDGE_CONSOLE, EDGE_QMP, EDGE_AGENT};
	size_t i;
	int rc = 0;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]) && rc == 0; i++)
		rc = edge_make(&m->edges[ours[i]], ours[i]);
	if (rc == 0 && m->config->n_mounts > 0)
		rc = edge_make(&m->edges[EDGE_VFS], EDGE_VFS);
	for (i = 0; i < m->n_devices && rc == 0; i++)
		rc = edge_make(&m->devices[i], EDGE_DEVICE);
	return rc;
}

/* QEMU has its own copies now; ours would hide its death from vmrunner. */
static void
close_qemu_ends(struct machine *m)
{
	size_t i;

	for (i = 0; i < EDGES; i++)
		edge_close_a(&m->edges[i]);
	for (i = 0; i < m->n_devices; i++)
		edge_close_a(&m->devices[i]);
}

/* QEMU's profile with what is known only now. */
struct wall {
	struct jail_profile profile;
	struct jail_bind binds[24];
	struct jail_limit limits[8];
};

/* What is on the host for a place in QEMU's root that the profile leaves open; NULL = nothing. */
static const char *
place_filler(const struct machine *m, const char *target)
{
	const struct {
		const char *target, *path;
	} places[] = {
	    {QEMU_PROGRAM_PATH, m->qemu},
	    {QEMU_KERNEL_PATH, m->image->paths[IMAGE_KERNEL]},
	    {QEMU_INITRAMFS_PATH, m->image->paths[IMAGE_INITRAMFS]},
	    {QEMU_KVM_PATH, m->kvm ? QEMU_KVM_PATH : NULL},
	};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(places[i].target, target) == 0)
			return places[i].path;
	return NULL;
}

/* Memory that is shared with vfsd counts as no data of QEMU's, and cannot grow. */
static uint64_t
data_limit(const struct machine *m)
{
	const uint64_t limit = m->config->limits.memory, shared = m->config->vm.memory;

	if (m->n_devices == 0)
		return limit;
	return limit > shared ? limit - shared : 0;
}

static void
build_wall(const struct machine *m, bool in_cgroup, struct wall *w)
{
	const struct jail_bind *b;
	size_t n = 0;

	memset(w, 0, sizeof(*w));
	w->profile = qemu_profile;
	for (b = qemu_profile.binds; b->path != NULL; b++) {
		assert(n + 1 < sizeof(w->binds) / sizeof(w->binds[0]));
		w->binds[n] = *b;
		if (b->path[0] == '\0')
			w->binds[n].path = place_filler(m, b->target);
		n += w->binds[n].path != NULL ? 1 : 0;
	}
	w->binds[n].path = NULL;
	w->profile.binds = w->binds;
	assert(w->profile.n_limits < sizeof(w->limits) / sizeof(w->limits[0]));
	memcpy(w->limits, qemu_profile.limits, qemu_profile.n_limits * sizeof(w->limits[0]));
	/* Where no cgroup holds all processes together, QEMU alone is held: it has the guest. */
	if (m->config->limits.memory != 0 && !in_cgroup)
		w->limits[w->profile.n_limits++] =
		    (struct jail_limit){RLIMIT_DATA, "data", data_limit(m), "limits.memory"};
	w->profile.limits = w->limits;
}

static int
spawn_qemu(struct machine *m, struct process *qemu, struct ev_loop *loop,
    const struct process_start *base, int overlay, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size)
{
	int fds[QEMU_FDS_MAX - 3] = {
	    [QEMU_FD_CONSOLE - 3] = m->edges[EDGE_CONSOLE].a,
	    [QEMU_FD_QMP - 3] = m->edges[EDGE_QMP].a,
	    [QEMU_FD_AGENT - 3] = m->edges[EDGE_AGENT].a,
	    [QEMU_FD_VFS - 3] = m->edges[EDGE_VFS].a,
	    [QEMU_FD_LINK - 3] = m->link,
	    [QEMU_FD_ROOTFS - 3] = m->image->fds[IMAGE_ROOTFS],
	    [QEMU_FD_OVERLAY - 3] = overlay,
	};
	struct process_start how = *base;
	struct wall wall;
	struct qemu_machine q;
	struct qemu_command command;
	size_t i;

	describe_machine(m, &q);
	qemu_command_build(&command, &q);
	how.program = QEMU_PROGRAM_PATH;
	how.argv = command.argv;
	how.fds = fds;
	how.n_fds = QEMU_FD_DEVICES - 3 + m->n_devices;
	for (i = 0; i < m->n_devices; i++)
		fds[QEMU_FD_DEVICES - 3 + i] = m->devices[i].a;
	/* What is last and absent needs no place. */
	if (m->n_devices == 0 && overlay < 0)
		how.n_fds--;
	build_wall(m, how.cgroup_fd >= 0, &wall);
	how.profile = &wall.profile;
	return process_start(qemu, loop, &how, ctx, ended, error, error_size);
}

/* Where the device has changed since it was tried, QEMU says that it cannot open it. */
static void
take_kvm_group(gid_t *gid)
{
	struct stat st;

	if (stat(QEMU_KVM_PATH, &st) == 0)
		(void)kvm_access_group(&st, *gid, gid);
}

int
machine_start(struct machine *m, struct process *qemu, struct ev_loop *loop,
    const struct identity *identity, int cgroup_fd, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size)
{
	struct process_start how = {
	    .identity = identity_of(identity, PROCESS_QEMU), .cgroup_fd = cgroup_fd};
	int overlay = -1, rc;

	m->attempt++;
	if (m->kvm && how.identity.root_started)
		take_kvm_group(&how.identity.gid);
	rc = make_edges(m);
	if (rc < 0) {
		snprintf(error, error_size, "cannot make a socketpair: %s", strerror(-rc));
		return rc;
	}
	/* A fresh one for each attempt: the one before may have written. */
	if (m->config->vm.rootfs != CONFIG_ROOTFS_READONLY) {
		overlay = qemu_overlay_make(m->image->manifest.parts[IMAGE_ROOTFS].size,
		    m->config->vm.rootfs == CONFIG_ROOTFS_MEMORY, error, error_size);
		if (overlay < 0)
			return overlay;
	}
	rc = spawn_qemu(m, qemu, loop, &how, overlay, ctx, ended, error, error_size);
	if (overlay >= 0)
		close(overlay);
	close_qemu_ends(m);
	return rc;
}

uint32_t
machine_alive_deadline(const struct machine *m)
{
	return m->proving ? ALIVE_DEADLINE_MS : 0;
}

uint32_t
machine_hello_deadline(const struct machine *m)
{
	if (m->config->vm.boot_timeout != 0)
		return m->config->vm.boot_timeout * 1000u;
	return m->kvm ? HELLO_DEADLINE_KVM_MS : HELLO_DEADLINE_TCG_MS;
}

bool
machine_is_last_attempt(const struct machine *m)
{
	return !m->proving && m->failures + 1 >= ATTEMPTS;
}

void
machine_alive(struct machine *m)
{
	if (m->proving)
		kvm_verdict_write(m->qemu, KVM_WORKS);
	m->proving = false;
}

bool
machine_failed(struct machine *m)
{
	if (m->proving) {
		kvm_verdict_write(m->qemu, KVM_USELESS);
		m->proving = false;
		m->kvm = false;
		return true;
	}
	return ++m->failures < ATTEMPTS;
}

void
machine_clear(struct machine *m)
{
	size_t i;

	for (i = 0; i < EDGES; i++)
		edge_close(&m->edges[i]);
	for (i = 0; i < m->n_devices; i++)
		edge_close(&m->devices[i]);
}
