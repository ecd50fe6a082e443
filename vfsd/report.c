/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the supervisor: see the header. */
#include "vfsd/report.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ipc/message.h"
#include "vfsd/vfsd.h"

static void
send_up(struct vfsd *v, const Gondolin__VfsdToSup *m)
{
	int rc = ipc_channel_send(&v->supervisor, &m->base, NULL, 0);

	/* What leaves no record must not happen: without the supervisor's ear there is an end. */
	if (rc == -EPIPE)
		vfsd_end(v, NULL);
	else if (rc < 0)
		vfsd_end(v, "the supervisor does not take messages");
}

void
report_ready(struct vfsd *v)
{
	Gondolin__VfsdToSup m = GONDOLIN__VFSD_TO_SUP__INIT;
	Gondolin__VfsdReady ready = GONDOLIN__VFSD_READY__INIT;

	m.body_case = GONDOLIN__VFSD_TO_SUP__BODY_READY;
	m.ready = &ready;
	send_up(v, &m);
}

/* Whether one more denial is recorded by itself.  With trace every operation is. */
static bool
is_due(const struct vfsd *v, struct mount *m)
{
	const uint32_t second = (uint32_t)ev_now(v->loop);
	struct report_rate *rate = &m->denials;

	if (second != rate->second) {
		rate->second = second;
		rate->n = 0;
	}
	if (rate->n == REPORT_DENIALS && !m->wish->trace) {
		if (rate->held < UINT32_MAX)
			rate->held++;
		return false;
	}
	rate->n++;
	return true;
}

void
report_record(struct vfsd *v, struct mount *m, const struct vfs_record *r)
{
	struct report_slot *slot;

	if (r->denied && !is_due(v, m))
		return;
	slot = &v->report.slots[v->report.used++];
	slot->mount = m;
	slot->repeated = m->denials.held;
	m->denials.held = 0;
	slot->record = *r;
	snprintf(slot->path, sizeof(slot->path), "%s", r->path);
	snprintf(slot->second, sizeof(slot->second), "%s", r->second != NULL ? r->second : "");
	if (v->report.used == REPORT_RECORDS)
		report_flush(v);
}

void
report_held(struct vfsd *v, struct mount *m)
{
	const struct vfs_record last = {
	    .operation = "more", .path = "", .result = -EACCES, .denied = true};

	if (m->denials.held == 0)
		return;
	/* This record stands for one of them. */
	m->denials.held--;
	m->denials.n = 0;
	report_record(v, m, &last);
}

void
report_flush(struct vfsd *v)
{
	Gondolin__VfsdRecord records[REPORT_RECORDS], *pointers[REPORT_RECORDS];
	Gondolin__VfsdRecords all = GONDOLIN__VFSD_RECORDS__INIT;
	Gondolin__VfsdToSup m = GONDOLIN__VFSD_TO_SUP__INIT;
	size_t i;

	if (v->report.used == 0)
		return;
	for (i = 0; i < v->report.used; i++) {
		const struct report_slot *slot = &v->report.slots[i];

		gondolin__vfsd_record__init(&records[i]);
		records[i].mount = ipc_text(slot->mount->path);
		records[i].operation = ipc_text(slot->record.operation);
		records[i].path = ipc_text(slot->path);
		records[i].second = ipc_text(slot->second);
		records[i].error = (uint32_t)-slot->record.result;
		records[i].uid = slot->record.uid;
		records[i].pid = slot->record.pid;
		records[i].denied = slot->record.denied;
		records[i].repeated = slot->repeated;
		pointers[i] = &records[i];
	}
	all.n_records = v->report.used;
	all.records = pointers;
	m.body_case = GONDOLIN__VFSD_TO_SUP__BODY_RECORDS;
	m.records = &all;
	v->report.used = 0;
	send_up(v, &m);
}

bool
report_is_slow(const struct vfsd *v)
{
	return v->supervisor.queued >= IPC_QUEUE_MAX / 2;
}
