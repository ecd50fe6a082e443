/* SPDX-License-Identifier: Apache-2.0 */
/* From the supervisor's VmrunnerNetwork to the agent's AgentNetwork. */
#include "vmrunner/network.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmrunner/vmrunner.h"

/* NAME=VALUE, which an agent can hand to execve. */
static bool
is_variable(const ProtobufCBinaryData *word)
{
	const uint8_t *equals = word->len > 0 ? memchr(word->data, '=', word->len) : NULL;

	return equals != NULL && equals != word->data && memchr(word->data, 0, word->len) == NULL;
}

static int
check(const Gondolin__VmrunnerNetwork *m)
{
	size_t i, bytes = 0;

	if (m->ca.len == 0 || m->ca.len > AGENT_CA_MAX || m->mtu < AGENT_MTU_MIN ||
	    m->mtu > AGENT_MTU_MAX || m->n_env > AGENT_ARGV_MAX)
		return -EPROTO;
	for (i = 0; i < m->n_env; i++) {
		if (!is_variable(&m->env[i]))
			return -EPROTO;
		bytes += m->env[i].len;
	}
	return bytes <= NETWORK_ENV_BYTES_MAX ? 0 : -EPROTO;
}

int
network_take(struct vmrunner *vm, const Gondolin__VmrunnerNetwork *m)
{
	Gondolin__AgentNetwork network = GONDOLIN__AGENT_NETWORK__INIT;
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	size_t size;

	if (vm->network != NULL || vm->machine.state != MACHINE_NONE || check(m) < 0)
		return -EPROTO;
	network.ca = m->ca;
	network.n_env = m->n_env;
	network.env = m->env;
	network.mtu = m->mtu;
	size = gondolin__agent_network__get_packed_size(&network);
	assert(size <= sizeof(bytes) - AGENT_HEADER_SIZE);
	gondolin__agent_network__pack(&network, bytes);
	vm->network = gondolin__agent_network__unpack(NULL, size, bytes);
	return vm->network != NULL ? 0 : -ENOMEM;
}

void
network_send(struct vmrunner *vm)
{
	Gondolin__HostToGuest m = GONDOLIN__HOST_TO_GUEST__INIT;
	int rc;

	if (vm->network == NULL)
		return;
	m.body_case = GONDOLIN__HOST_TO_GUEST__BODY_NETWORK;
	m.network = vm->network;
	rc = agent_send(&vm->agent, &m);
	assert(rc == 0);
	(void)rc;
}

void
network_clear(struct vmrunner *vm)
{
	if (vm->network != NULL)
		gondolin__agent_network__free_unpacked(vm->network, NULL);
	vm->network = NULL;
}
