/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that a hostile guest sends on the agent's port, with commands in each state. */
#include <assert.h>

#include "vmrunner_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is kept stays within what was promised. */
static void
check(const struct vmrunner *vm)
{
	const struct command *c;
	unsigned i;

	TAILQ_FOREACH(c, &vm->commands.list, all)
	{
		for (i = 0; i < AGENT_OUTPUTS; i++) {
			assert(c->output[i].length <= c->output[i].window);
			assert(c->task.output[i].credit <= AGENT_WINDOW);
		}
		assert(c->task.input_credit <= AGENT_WINDOW);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w;
	size_t half = size / 2;

	world_open(&w);
	world_exec(&w, false);
	world_exec(&w, true);
	world_exec(&w, false); /* stays asked */
	world_started(&w, 1);
	world_started(&w, 2);
	assert(w.vm->commands.n == 3);
	assert(TAILQ_FIRST(&w.vm->commands.list)->task.stage == AGENT_RUNNING);
	(void)world_guest(&w, data, half);
	world_turn(&w);
	check(w.vm);
	(void)world_guest(&w, data + half, size - half);
	check(w.vm);
	world_close(&w);
	return 0;
}
