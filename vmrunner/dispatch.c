/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what may arrive, from the supervisor and from clients: decode and check only. */
#include <errno.h>
#include <stdlib.h>

#include "ipc/control.pb-c.h"
#include "vmrunner/vmrunner.h"

/* ---- The supervisor ---- */

static int
on_setup(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vmrunner *vm = ctx;
	const Gondolin__VmrunnerSetup *m = body;
	size_t size = gondolin__vmrunner_setup__get_packed_size(m);
	uint8_t *bytes = malloc(size + 1);

	(void)fds;
	(void)n_fds;
	if (bytes == NULL)
		abort();
	gondolin__vmrunner_setup__pack(m, bytes);
	vm->setup = gondolin__vmrunner_setup__unpack(NULL, size, bytes);
	free(bytes);
	return vm->setup != NULL ? 0 : -ENOMEM;
}

static int
on_machine(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vmrunner *vm = ctx;

	(void)n_fds;
	return machine_start(&vm->machine, body, fds);
}

static int
on_serve(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vmrunner *vm = ctx;

	(void)body;
	(void)n_fds;
	if (vm->control.fd >= 0)
		return -EPROTO;
	control_serve(vm, fds[0]);
	fds[0] = -1;
	return 0;
}

static int
on_shutdown(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct vmrunner *vm = ctx;
	const Gondolin__VmrunnerShutdown *m = body;

	(void)fds;
	(void)n_fds;
	machine_shutdown(&vm->machine, m->grace_ms);
	return 0;
}

static int
on_network(void *ctx, const void *body, int *fds, size_t n_fds)
{
	(void)fds;
	(void)n_fds;
	return network_take(ctx, body);
}

static const struct ipc_row supervisor_rows[] = {
    {GONDOLIN__SUP_TO_VMRUNNER__BODY_SETUP, "VmrunnerSetup", SUPERVISOR_SETUP, 0, 0, on_setup},
    {GONDOLIN__SUP_TO_VMRUNNER__BODY_MACHINE, "VmrunnerMachine", SUPERVISOR_SERVE, 3, 3,
	on_machine},
    {GONDOLIN__SUP_TO_VMRUNNER__BODY_SERVE, "VmrunnerServe", SUPERVISOR_SERVE, 1, 1, on_serve},
    {GONDOLIN__SUP_TO_VMRUNNER__BODY_SHUTDOWN, "VmrunnerShutdown", SUPERVISOR_SERVE, 0, 0,
	on_shutdown},
    {GONDOLIN__SUP_TO_VMRUNNER__BODY_NETWORK, "VmrunnerNetwork", SUPERVISOR_SERVE, 0, 0,
	on_network},
};

const struct ipc_table supervisor_table = {
    .envelope = &gondolin__sup_to_vmrunner__descriptor,
    .rows = supervisor_rows,
    .n_rows = sizeof(supervisor_rows) / sizeof(supervisor_rows[0]),
};

/* ---- Clients ---- */

static int
on_exec(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct client *c = ctx;
	struct refusal r;

	c->channel.state = CLIENT_COMMAND;
	if (command_new(c->vm, c, body, fds, n_fds, &r) < 0)
		client_refused(c, &r);
	return 0;
}

static int
on_signal(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct client *c = ctx;
	const Gondolin__ControlSignal *m = body;

	(void)fds;
	(void)n_fds;
	return command_signal(c->command, m->signal);
}

static int
on_resize(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct client *c = ctx;
	const Gondolin__ControlResize *m = body;

	(void)fds;
	(void)n_fds;
	return command_resize(c->command, m->rows, m->columns);
}

static int
on_detach(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct client *c = ctx;

	(void)body;
	(void)fds;
	(void)n_fds;
	command_detach(c->command);
	client_close(c);
	return 0;
}

static int
on_attach(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct client *c = ctx;
	const Gondolin__ControlAttach *m = body;
	struct refusal r;

	(void)n_fds;
	c->channel.state = CLIENT_COMMAND;
	if (command_attach(c->vm, c, m, fds, &r) < 0)
		client_refused(c, &r);
	return 0;
}

static int
on_status(void *ctx, const void *body, int *fds, size_t n_fds)
{
	(void)body;
	(void)fds;
	(void)n_fds;
	client_status(ctx);
	return 0;
}

static int
on_stop(void *ctx, const void *body, int *fds, size_t n_fds)
{
	struct client *c = ctx;

	(void)body;
	(void)fds;
	(void)n_fds;
	c->channel.state = CLIENT_DONE;
	report_stop(c->vm);
	return 0;
}

/* A client's pipes: three at most; how many of them, command_new knows. */
static const struct ipc_row control_rows[] = {
    {GONDOLIN__CLIENT_TO_VMRUNNER__BODY_EXEC, "ControlExec", CLIENT_NEW, 2, 3, on_exec},
    {GONDOLIN__CLIENT_TO_VMRUNNER__BODY_SIGNAL, "ControlSignal", CLIENT_COMMAND, 0, 0, on_signal},
    {GONDOLIN__CLIENT_TO_VMRUNNER__BODY_RESIZE, "ControlResize", CLIENT_COMMAND, 0, 0, on_resize},
    {GONDOLIN__CLIENT_TO_VMRUNNER__BODY_DETACH, "ControlDetach", CLIENT_COMMAND, 0, 0, on_detach},
    {GONDOLIN__CLIENT_TO_VMRUNNER__BODY_ATTACH, "ControlAttach", CLIENT_NEW, 2, 2, on_attach},
    {GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STATUS, "ControlStatus", CLIENT_NEW, 0, 0, on_status},
    {GONDOLIN__CLIENT_TO_VMRUNNER__BODY_STOP, "ControlStop", CLIENT_NEW, 0, 0, on_stop},
};

const struct ipc_table control_table = {
    .envelope = &gondolin__client_to_vmrunner__descriptor,
    .rows = control_rows,
    .n_rows = sizeof(control_rows) / sizeof(control_rows[0]),
};
