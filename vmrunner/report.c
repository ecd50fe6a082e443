/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the supervisor. */
#include "vmrunner/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "vmrunner/vmrunner.h"

#define RECORD_WORDS 64u
#define RECORD_BYTES 4096u

static void
send_up(struct vmrunner *vm, const Gondolin__VmrunnerToSup *m)
{
	int rc = ipc_channel_send(&vm->supervisor, &m->base, NULL, 0);

	/* What leaves no record must not happen: without the supervisor's ear there is an end. */
	if (rc == -EPIPE)
		vmrunner_end(vm, NULL);
	else if (rc < 0)
		vmrunner_end(vm, "the supervisor does not take messages");
}

void
report_ready(struct vmrunner *vm)
{
	Gondolin__VmrunnerToSup m = GONDOLIN__VMRUNNER_TO_SUP__INIT;
	Gondolin__VmrunnerReady ready = GONDOLIN__VMRUNNER_READY__INIT;

	m.body_case = GONDOLIN__VMRUNNER_TO_SUP__BODY_READY;
	m.ready = &ready;
	send_up(vm, &m);
}

void
report_stop(struct vmrunner *vm)
{
	Gondolin__VmrunnerToSup m = GONDOLIN__VMRUNNER_TO_SUP__INIT;
	Gondolin__VmrunnerStop stop = GONDOLIN__VMRUNNER_STOP__INIT;

	m.body_case = GONDOLIN__VMRUNNER_TO_SUP__BODY_STOP;
	m.stop = &stop;
	send_up(vm, &m);
}

void
report_state(struct vmrunner *vm, Gondolin__VmrunnerMachineState__State state)
{
	Gondolin__VmrunnerToSup m = GONDOLIN__VMRUNNER_TO_SUP__INIT;
	Gondolin__VmrunnerMachineState s = GONDOLIN__VMRUNNER_MACHINE_STATE__INIT;
	char tail[CONSOLE_KEPT];

	m.body_case = GONDOLIN__VMRUNNER_TO_SUP__BODY_MACHINE_STATE;
	m.machine_state = &s;
	s.state = state;
	s.attempt = vm->machine.attempt;
	s.qemu_gone = vm->machine.gone;
	if (state == GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__FAILED ||
	    state == GONDOLIN__VMRUNNER_MACHINE_STATE__STATE__STOPPED) {
		s.reason = ipc_text(vm->machine.refusal.message);
		if (vm->machine.console_tells)
			s.console = ipc_bytes(tail, console_tail(&vm->machine.console, tail));
	}
	send_up(vm, &m);
}

static void
send_record(struct vmrunner *vm, Gondolin__VmrunnerRecord *r)
{
	Gondolin__VmrunnerToSup m = GONDOLIN__VMRUNNER_TO_SUP__INIT;

	m.body_case = GONDOLIN__VMRUNNER_TO_SUP__BODY_RECORD;
	m.record = r;
	send_up(vm, &m);
}

/* Puts what fits of the command into the record. */
static void
describe(Gondolin__VmrunnerRecord *r, const Gondolin__AgentExec *e,
    ProtobufCBinaryData words[RECORD_WORDS])
{
	size_t i, left = RECORD_BYTES;

	r->exec = e->id;
	r->user = e->user;
	r->cwd = e->cwd;
	r->argv = words;
	for (i = 0; i < e->n_argv && i < RECORD_WORDS; i++) {
		words[i] = e->argv[i];
		r->n_argv++;
		if (words[i].len > left) {
			words[i].len = left;
			r->cut = true;
			return;
		}
		left -= words[i].len;
	}
	r->cut = i < e->n_argv;
}

void
report_start(struct vmrunner *vm, const Gondolin__AgentExec *e)
{
	Gondolin__VmrunnerRecord r = GONDOLIN__VMRUNNER_RECORD__INIT;
	ProtobufCBinaryData words[RECORD_WORDS];

	r.kind = GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_START;
	describe(&r, e, words);
	send_record(vm, &r);
}

void
report_refused(struct vmrunner *vm, const Gondolin__AgentExec *e, const struct refusal *why)
{
	Gondolin__VmrunnerRecord r = GONDOLIN__VMRUNNER_RECORD__INIT;
	ProtobufCBinaryData words[RECORD_WORDS];

	r.kind = GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_REFUSED;
	describe(&r, e, words);
	r.status = (int32_t)why->code;
	r.message = ipc_text(why->message);
	send_record(vm, &r);
}

void
report_command(struct vmrunner *vm, Gondolin__VmrunnerRecord__Kind kind, uint32_t id)
{
	Gondolin__VmrunnerRecord r = GONDOLIN__VMRUNNER_RECORD__INIT;

	r.kind = kind;
	r.exec = id;
	send_record(vm, &r);
}

static Gondolin__VmrunnerRecord__Kind
kind_of_end(const struct command *c)
{
	if (c->builtin == GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_IN)
		return GONDOLIN__VMRUNNER_RECORD__KIND__FILE_IN;
	if (c->builtin == GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_OUT)
		return GONDOLIN__VMRUNNER_RECORD__KIND__FILE_OUT;
	return GONDOLIN__VMRUNNER_RECORD__KIND__EXEC_END;
}

void
report_end(const struct command *c, const char *message)
{
	Gondolin__VmrunnerRecord r = GONDOLIN__VMRUNNER_RECORD__INIT;

	r.kind = kind_of_end(c);
	r.exec = c->task.id;
	r.status = c->status;
	r.timed_out = c->timed_out;
	if (c->path != NULL)
		r.path = ipc_text(c->path);
	if (message != NULL)
		r.message = ipc_text(message);
	r.bytes_in = c->bytes_in;
	r.bytes_out = c->bytes_out;
	send_record(c->vm, &r);
}

bool
report_is_slow(const struct vmrunner *vm)
{
	return vm->supervisor.queued >= COMMANDS_PAUSED;
}
