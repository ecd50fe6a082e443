/* SPDX-License-Identifier: Apache-2.0 */
/* The parts put together, and what happens once in a round of the event loop. */
#include "vfsd/vfsd.h"

#include <string.h>

#include "ipc/log.h"

/* Tries the locks that wait; returns whether any still does. */
static bool
retry_locks(struct vfsd *v)
{
	struct vfs_usage usage;
	bool waiting = false;
	uint32_t i;

	for (i = 0; i < v->n_mounts && v->port.fd >= 0; i++) {
		if (v->mounts[i].server == NULL)
			continue;
		/* A reply that cannot leave closes the port, and with it the servers. */
		if (vfs_server_retry_locks(v->mounts[i].server) < 0) {
			port_close(v);
			return false;
		}
		vfs_server_usage(v->mounts[i].server, &usage);
		waiting = waiting || usage.waiting > 0;
	}
	return waiting;
}

/* The round that follows does what there is. */
static void
on_locks(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
}

static void
on_busy(struct ev_loop *loop, ev_idle *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
}

/* Runs before the loop waits: what was received is served, what was noted is sent. */
static void
on_round(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct vfsd *v = w->data;

	(void)loop;
	(void)events;
	port_serve(v);
	if (!virtiofs_serve(v))
		ev_idle_stop(v->loop, &v->busy);
	else if (!ev_is_active(&v->busy))
		ev_idle_start(v->loop, &v->busy);
	if (!retry_locks(v))
		ev_timer_stop(v->loop, &v->locks);
	else if (!ev_is_active(&v->locks))
		ev_timer_start(v->loop, &v->locks);
	port_watch(v);
	report_flush(v);
}

void
vfsd_init(struct vfsd *v)
{
	port_init(v);
	changes_init(v);
	ev_prepare_init(&v->round, on_round);
	v->round.data = v;
	ev_idle_init(&v->busy, on_busy);
	ev_timer_init(&v->locks, on_locks, VFS_LOCK_RETRY_MS / 1000., VFS_LOCK_RETRY_MS / 1000.);
}

/* The guest is gone: what is held is told before we go. */
static void
say_last(void *ctx)
{
	struct vfsd *v = ctx;

	port_close(v);
	report_flush(v);
}

static void
on_supervisor_ended(void *ctx, int reason, const char *message)
{
	struct vfsd *v = ctx;

	if (reason == 0)
		vfsd_end(v, NULL);
	else
		vfsd_end(v, message != NULL ? message : strerror(-reason));
}

struct ev_loop *
vfsd_loop(void)
{
	return ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV | EVFLAG_NOTIMERFD);
}

void
vfsd_serve(struct vfsd *v, struct ev_loop *loop, int fd)
{
	v->loop = loop;
	ipc_channel_open(&v->supervisor, loop, fd, &supervisor_table, v, on_supervisor_ended);
	v->supervisor.last_words = say_last;
	v->supervisor.state = SUPERVISOR_SERVE;
	ev_prepare_start(loop, &v->round);
	report_ready(v);
	ev_run(loop, 0);
	changes_close(v);
	port_close(v);
}

void
vfsd_end(struct vfsd *v, const char *why)
{
	if (v->ended)
		return;
	v->ended = true;
	/* The supervisor's end is the order to go: there is nobody to tell. */
	if (why != NULL) {
		v->exit_code = 125;
		log_line("ended: %s", why);
	}
	ev_break(v->loop, EVBREAK_ALL);
}
