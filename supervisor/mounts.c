/* SPDX-License-Identifier: Apache-2.0 */
/* vfsd's start and its edge: see the header. */
#include "supervisor/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/message.h"
#include "supervisor/programs.h"
#include "vfsd/profile.h"

/* Of what the guest writes, where max-bytes says nothing. */
#define COW_BYTES_DEFAULT (1ull << 30)
#define SCRATCH_BYTES     (1ull << 30) /* under hidden names, unless max-bytes is less */

_Static_assert(MOUNT_MAX == 64, "sandbox.conf(5) says how many mounts there can be");

/* ---- Directories ---- */

/* Bytes of what the guest makes under hidden names. */
static uint64_t
scratch_of(const struct config_mount *c)
{
	if (c->hide_mode != CONFIG_HIDE_SCRATCH || c->hide.n == 0)
		return 0;
	return c->max_bytes != 0 && c->max_bytes < SCRATCH_BYTES ? c->max_bytes : SCRATCH_BYTES;
}

/* Bytes of a file system in memory, or of a layer. */
static uint64_t
files_of(const struct config_mount *c)
{
	if (c->memory != 0)
		return c->memory;
	if (c->mode != CONFIG_MOUNT_COW)
		return 0;
	return c->max_bytes != 0 ? c->max_bytes : COW_BYTES_DEFAULT;
}

/* Bytes that a mount may keep in vfsd's memory. */
static uint64_t
memory_of(const struct config_mount *c)
{
	return files_of(c) + scratch_of(c); /* sizes are at most 1024T */
}

/* What lies in another one has the longer path. */
static int
by_length(const void *a, const void *b)
{
	const struct mounts_row *x = a, *y = b;
	size_t m = strlen(x->config->path), n = strlen(y->config->path);

	return m < n ? -1 : m > n;
}

static int
refuse(
    const struct config *c, const struct config_mount *m, char *error, size_t size, const char *why)
{
	snprintf(error, size, "%s:%u: mount \"%s\": %s", c->name, m->line, m->path, why);
	return -EINVAL;
}

int
mounts_prepare(struct mounts *m, const struct config *c, const struct identity *id, char *error,
    size_t error_size)
{
	const struct jail_identity vfsd = identity_of(id, PROCESS_VFSD);
	uint64_t memory = 0;
	size_t i;
	int rc = 0;

	m->config = c;
	for (i = 0; i < c->n_mounts; i++) {
		const struct config_mount *row = &c->mounts[i];

		if (m->n == MOUNT_MAX)
			return refuse(c, row, error, error_size, "more than 64 mounts");
		if (strlen(row->path) >= MOUNT_PATH_MAX)
			return refuse(c, row, error, error_size, "a path of more than 4095 bytes");
		if (memory_of(row) > VFSD_MEMORY_MAX - memory)
			return refuse(c, row, error, error_size,
			    "all mounts together may keep 16G in memory");
		memory += memory_of(row);
		m->rows[m->n++] = (struct mounts_row){.config = row, .dir = -1};
	}
	qsort(m->rows, m->n, sizeof(m->rows[0]), by_length);
	for (i = 0; i < m->n && rc == 0; i++)
		if (m->rows[i].config->host != NULL)
			rc = mounts_open(&m->rows[i], c->name, &vfsd, error, error_size);
	return rc;
}

/* ---- The edge ---- */

int
mounts_send(struct mounts *m, Gondolin__SupToVfsd__BodyCase kind, void *body, int fd)
{
	Gondolin__SupToVfsd message = GONDOLIN__SUP_TO_VFSD__INIT;

	message.body_case = kind;
	message.mount = body; /* all members of the union are pointers */
	return ipc_channel_send(&m->channel, &message.base, &fd, fd >= 0 ? 1 : 0);
}

static int
send_mount(struct mounts *m, struct mounts_row *r)
{
	const struct config_mount *c = r->config;
	Gondolin__VfsdMount wish = GONDOLIN__VFSD_MOUNT__INIT;
	ProtobufCBinaryData hide[CONFIG_WORDS_MAX];
	size_t i;
	int rc;

	wish.path = ipc_text(c->path);
	wish.provider = c->host == NULL               ? GONDOLIN__VFSD_MOUNT__PROVIDER__MEMORY
			: c->mode == CONFIG_MOUNT_COW ? GONDOLIN__VFSD_MOUNT__PROVIDER__COW
						      : GONDOLIN__VFSD_MOUNT__PROVIDER__HOST;
	wish.read_only = c->mode == CONFIG_MOUNT_RO;
	wish.memory = files_of(c);
	for (i = 0; i < c->hide.n; i++)
		hide[i] = ipc_text(c->hide.v[i]);
	wish.n_hide = c->hide.n;
	wish.hide = hide;
	wish.scratch = scratch_of(c);
	wish.keep_owners = c->owner == CONFIG_OWNER_KEEP;
	wish.uid = r->uid;
	wish.gid = r->gid;
	wish.trace = c->trace;
	wish.max_bytes = c->max_bytes;
	wish.max_inodes = c->max_inodes;
	wish.max_open = c->max_open;
	wish.max_requests = c->max_requests;
	rc = mounts_send(m, GONDOLIN__SUP_TO_VFSD__BODY_MOUNT, &wish, r->dir);
	if (r->dir >= 0)
		close(r->dir);
	r->dir = -1;
	return rc;
}

static int
on_ready(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct mounts *m = ctx;

	(void)body;
	(void)fds;
	(void)n_fds;
	m->channel.state = HELPER_RUNNING;
	m->events->ready(m->ctx);
	return 0;
}

static int
on_records(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct mounts *m = ctx;

	(void)fds;
	(void)n_fds;
	m->events->records(m->ctx, body);
	return 0;
}

static const struct ipc_row vfsd_rows[] = {
    {GONDOLIN__VFSD_TO_SUP__BODY_READY, "Ready", HELPER_AWAITED, 0, 0, on_ready},
    {GONDOLIN__VFSD_TO_SUP__BODY_RECORDS, "Records", HELPER_RUNNING | HELPER_LEAVING, 0, 0,
	on_records},
};

static const struct ipc_table vfsd_table = {
    .envelope = &gondolin__vfsd_to_sup__descriptor,
    .rows = vfsd_rows,
    .n_rows = sizeof(vfsd_rows) / sizeof(vfsd_rows[0]),
};

static void
channel_ended(void *ctx, int reason, const char *message)
{
	struct mounts *m = ctx;
	char why[256];

	/* Its end of the channel closes when it dies: how it died says more, and follows. */
	if (reason == 0)
		return;
	snprintf(why, sizeof(why), "broke its protocol (%s%s%s)", strerror(-reason),
	    message != NULL ? " in " : "", message != NULL ? message : "");
	m->events->broken(m->ctx, why);
}

static int
send_setup(struct mounts *m)
{
	Gondolin__VfsdConfine confine = GONDOLIN__VFSD_CONFINE__INIT;
	size_t i;
	int rc = 0;

	m->channel.queue_max = MOUNT_MAX + 1;
	for (i = 0; i < m->n && rc == 0; i++)
		rc = send_mount(m, &m->rows[i]);
	confine.user = ipc_text(m->config->user);
	confine.by_devices = config_mount_devices(m->config) > 0;
	return rc < 0 ? rc : mounts_send(m, GONDOLIN__SUP_TO_VFSD__BODY_CONFINE, &confine, -1);
}

int
mounts_start(struct mounts *m, struct process *p, struct ev_loop *loop,
    const struct process_start *base, const struct mounts_events *events, void *ctx,
    void (*ended)(void *ctx, struct process *p), char *error, size_t error_size)
{
	char path[4096], name[] = "gondolin-vfsd";
	char *const argv[] = {name, NULL};
	struct process_start how = *base;
	int rc;

	m->events = events;
	m->ctx = ctx;
	rc =
	    program_path(process_rows[PROCESS_VFSD].program, path, sizeof(path), error, error_size);
	if (rc < 0)
		return rc;
	rc = edge_make(&m->edge, EDGE_VFSD);
	if (rc < 0) {
		snprintf(error, error_size, "cannot make a socketpair: %s", strerror(-rc));
		return rc;
	}
	how.program = path;
	how.argv = argv;
	how.fds = &m->edge.b;
	how.n_fds = 1;
	rc = process_start(p, loop, &how, ctx, ended, error, error_size);
	if (rc < 0)
		return rc;
	close(m->edge.b);
	m->edge.b = -1;
	ipc_channel_open(&m->channel, loop, m->edge.a, &vfsd_table, m, channel_ended);
	m->edge.a = -1;
	m->channel.state = HELPER_AWAITED;
	rc = send_setup(m);
	if (rc < 0)
		snprintf(error, error_size, "cannot speak to vfsd: %s", strerror(-rc));
	return rc;
}

int
mounts_hand_port(struct mounts *m, struct edge *port, struct edge *devices, size_t n)
{
	Gondolin__VfsdPort message = GONDOLIN__VFSD_PORT__INIT;
	Gondolin__VfsdDevice device = GONDOLIN__VFSD_DEVICE__INIT;
	int rc;

	if (m->channel.state != HELPER_RUNNING || port->b < 0)
		return 0;
	rc = mounts_send(m, GONDOLIN__SUP_TO_VFSD__BODY_PORT, &message, port->b);
	edge_close(port);
	for (device.mount = 0; device.mount < n && rc == 0; device.mount++) {
		rc = mounts_send(
		    m, GONDOLIN__SUP_TO_VFSD__BODY_DEVICE, &device, devices[device.mount].b);
		edge_close(&devices[device.mount]);
	}
	return rc;
}

void
mounts_clear(struct mounts *m)
{
	size_t i;

	ipc_channel_close(&m->channel);
	edge_close(&m->edge);
	if (m->changes_fd >= 0)
		close(m->changes_fd);
	m->changes_fd = -1;
	for (i = 0; i < m->n; i++) {
		if (m->rows[i].dir >= 0)
			close(m->rows[i].dir);
		m->rows[i].dir = -1;
	}
}
