/* SPDX-License-Identifier: Apache-2.0 */
/* The parts put together, and what happens once in a round of the event loop. */
#include "vfsd/vfsd.h"

#include <string.h>

#include "ipc/log.h"

/* Runs before the loop waits: what was received is served, what was noted is sent. */
static void
on_round(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct vfsd *v = w->data;

	(void)loop;
	(void)events;
	port_round(v);
	report_flush(v);
}

void
vfsd_init(struct vfsd *v)
{
	port_init(v);
	ev_prepare_init(&v->round, on_round);
	v->round.data = v;
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

void
vfsd_serve(struct vfsd *v, struct ev_loop *loop, int fd)
{
	v->loop = loop;
	ipc_channel_open(&v->supervisor, loop, fd, &supervisor_table, v, on_supervisor_ended);
	v->supervisor.state = SUPERVISOR_SERVE;
	ev_prepare_start(loop, &v->round);
	report_ready(v);
	ev_run(loop, 0);
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
