/* SPDX-License-Identifier: Apache-2.0 */
/* The parts put together, and what happens once in a round of the event loop. */
#include "vmrunner/vmrunner.h"

#include <errno.h>
#include <string.h>

#include "ipc/log.h"

/*
 * Runs before the loop waits.  Handlers just note what is to be sent; here it is sent, in as few
 * writes as that takes, and what closed is freed, which no handler could do under its own feet.
 */
static void
on_flush(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct vmrunner *vm = w->data;
	bool slow = report_is_slow(vm);

	(void)loop;
	(void)events;
	if (slow != vm->slow) {
		vm->slow = slow;
		agent_pause(&vm->agent, slow);
		control_pause(vm, slow);
	}
	if (!slow && vm->commands.held)
		commands_start(vm);
	machine_flush(&vm->machine);
	agent_flush(&vm->agent);
	control_reap(&vm->control);
}

void
vmrunner_init(struct vmrunner *vm, struct ev_loop *loop)
{
	vm->loop = loop;
	vm->slow = vm->ended = false;
	vm->exit_code = 0;
	agent_init(&vm->agent, loop, &command_events, vm);
	machine_init(&vm->machine, vm, vm->setup->trace_console);
	commands_init(&vm->commands);
	control_init(&vm->control);
	ev_prepare_init(&vm->flush, on_flush);
	vm->flush.data = vm;
	ev_prepare_start(loop, &vm->flush);
}

void
vmrunner_clear(struct vmrunner *vm)
{
	ev_prepare_stop(vm->loop, &vm->flush);
	commands_clear(vm);
	control_clear(vm);
	machine_clear(&vm->machine);
	agent_clear(&vm->agent);
	ipc_channel_close(&vm->supervisor);
	gondolin__vmrunner_setup__free_unpacked(vm->setup, NULL);
	vm->setup = NULL;
	network_clear(vm);
}

static void
on_supervisor_ended(void *ctx, int reason, const char *message)
{
	struct vmrunner *vm = ctx;

	if (reason == 0)
		vmrunner_end(vm, NULL);
	else if (message != NULL)
		vmrunner_end(vm, message);
	else
		vmrunner_end(vm, strerror(-reason));
}

void
vmrunner_serve(struct vmrunner *vm, int fd)
{
	ipc_channel_open(&vm->supervisor, vm->loop, fd, &supervisor_table, vm, on_supervisor_ended);
	vm->supervisor.state = SUPERVISOR_SERVE;
	report_ready(vm);
}

void
vmrunner_end(struct vmrunner *vm, const char *why)
{
	if (vm->ended)
		return;
	vm->ended = true;
	/* The supervisor's end is the order to go: there is nobody to tell. */
	if (why != NULL) {
		vm->exit_code = 125;
		log_line("ended: %s", why);
	}
	ev_break(vm->loop, EVBREAK_ALL);
}
