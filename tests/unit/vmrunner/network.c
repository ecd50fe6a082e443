/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network: what the supervisor may say, and when the agent hears it. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "tests.h"

#define WORD_MAX 65000u

static void
order(struct rig *r, const Gondolin__VmrunnerNetwork *network)
{
	Gondolin__SupToVmrunner m = GONDOLIN__SUP_TO_VMRUNNER__INIT;
	Gondolin__VmrunnerNetwork copy = *network;

	m.body_case = GONDOLIN__SUP_TO_VMRUNNER__BODY_NETWORK;
	m.network = &copy;
	rig_order(r, &m, NULL, 0);
	rig_turn(r);
}

static void
expect_network(struct rig *r)
{
	Gondolin__HostToGuest *m = rig_control(r, GONDOLIN__HOST_TO_GUEST__BODY_NETWORK);

	CU_ASSERT_FATAL(m->network->ca.len == 3 && m->network->n_env == 2);
	CU_ASSERT_EQUAL(memcmp(m->network->ca.data, "PEM", 3), 0);
	CU_ASSERT_EQUAL(memcmp(m->network->env[1].data, "B=2=3", 5), 0);
	CU_ASSERT_EQUAL(m->network->mtu, 65520);
	gondolin__host_to_guest__free_unpacked(m, NULL);
}

/* Before any command, in each boot; a command that waited longer comes after it. */
static void
test_told(void)
{
	Gondolin__VmrunnerNetwork network = GONDOLIN__VMRUNNER_NETWORK__INIT;
	Gondolin__VmrunnerMachine attempt = GONDOLIN__VMRUNNER_MACHINE__INIT;
	Gondolin__ControlExec e = GONDOLIN__CONTROL_EXEC__INIT;
	ProtobufCBinaryData env[] = {ipc_text("A=1"), ipc_text("B=2=3")}, argv = ipc_text("run");
	uint8_t bytes[AGENT_PAYLOAD_MAX];
	Gondolin__HostToGuest *m;
	struct agent_header h;
	struct rig_client c;
	struct rig r;

	network.ca = ipc_text("PEM");
	network.n_env = 2;
	network.env = env;
	network.mtu = 65520;
	rig_init(&r, NULL);
	order(&r, &network);
	attempt.attempt = 1;
	rig_machine(&r, &attempt);
	e.n_argv = 1;
	e.argv = &argv;
	rig_connect(&r, &c);
	rig_exec(&r, &c, &e);
	CU_ASSERT(!rig_frame(&r, &h, &m, bytes));
	rig_hello(&r, AGENT_PROTOCOL);
	expect_network(&r);
	gondolin__host_to_guest__free_unpacked(
	    rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_EXEC), NULL);
	rig_disconnect(&c);
	rig_clear(&r);

	rig_init(&r, NULL);
	order(&r, &network);
	rig_machine(&r, &attempt);
	rig_bytes(r.console, "Kernel panic - not syncing: x\n", 30);
	rig_turn(&r);
	attempt.attempt = 2;
	attempt.last = true;
	rig_machine(&r, &attempt);
	rig_hello(&r, AGENT_PROTOCOL);
	expect_network(&r);
	CU_ASSERT(!r.vm->ended);
	rig_clear(&r);
}

/* One of the supervisor's mistakes, before a machine. */
static void
expect_end(const Gondolin__VmrunnerNetwork *network, bool ended)
{
	struct rig r;

	rig_init(&r, NULL);
	order(&r, network);
	CU_ASSERT_EQUAL(r.vm->ended, ended);
	CU_ASSERT_EQUAL(r.vm->network == NULL, ended);
	rig_clear(&r);
}

static void
test_ranges(void)
{
	static const struct {
		size_t n_ca;
		uint32_t mtu;
		const char *word;
		size_t n_word;
		bool good;
	} rows[] = {
	    {1, 1280, NULL, 0, true},
	    {4096, 65520, "A=", 2, true},
	    {0, 1500, NULL, 0, false},
	    {4097, 1500, NULL, 0, false},
	    {1, 0, NULL, 0, false},
	    {1, 1279, NULL, 0, false},
	    {1, 65521, NULL, 0, false},
	    {1, 1500, "", 0, false},
	    {1, 1500, "A", 1, false},
	    {1, 1500, "=B", 2, false},
	    {1, 1500, "A=\0B", 4, false},
	};
	static uint8_t ca[4097];
	Gondolin__VmrunnerNetwork m = GONDOLIN__VMRUNNER_NETWORK__INIT;
	ProtobufCBinaryData word;
	size_t i;

	memset(ca, 'c', sizeof(ca));
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m.ca = (ProtobufCBinaryData){.len = rows[i].n_ca, .data = ca};
		m.mtu = rows[i].mtu;
		word = (ProtobufCBinaryData){
		    .len = rows[i].n_word, .data = (uint8_t *)(uintptr_t)rows[i].word};
		m.n_env = rows[i].word != NULL;
		m.env = &word;
		expect_end(&m, !rows[i].good);
	}
}

/* What passes is one frame to the agent, at its largest, too. */
static void
test_sizes(void)
{
	static uint8_t text[WORD_MAX], ca[4096];
	static ProtobufCBinaryData words[1025];
	Gondolin__VmrunnerNetwork m = GONDOLIN__VMRUNNER_NETWORK__INIT;
	struct rig r;
	size_t i;

	memset(text, '=', sizeof(text));
	text[0] = 'A';
	m.ca = (ProtobufCBinaryData){.len = sizeof(ca), .data = ca};
	m.mtu = 1500;
	m.env = words;
	words[0] = (ProtobufCBinaryData){.len = NETWORK_ENV_BYTES_MAX + 1, .data = text};
	m.n_env = 1;
	expect_end(&m, true);
	for (i = 0; i < 1025; i++)
		words[i] = (ProtobufCBinaryData){.len = NETWORK_ENV_BYTES_MAX / 1024, .data = text};
	m.n_env = 1025;
	expect_end(&m, true);
	m.n_env = 1024;
	rig_init(&r, NULL);
	order(&r, &m);
	rig_machine(&r, NULL);
	rig_hello(&r, AGENT_PROTOCOL);
	gondolin__host_to_guest__free_unpacked(
	    rig_control(&r, GONDOLIN__HOST_TO_GUEST__BODY_NETWORK), NULL);
	rig_clear(&r);
}

static void
test_order(void)
{
	Gondolin__VmrunnerNetwork network = GONDOLIN__VMRUNNER_NETWORK__INIT;
	struct rig r;

	network.ca = ipc_text("PEM");
	network.mtu = 1500;
	rig_init(&r, NULL);
	order(&r, &network);
	CU_ASSERT(!r.vm->ended);
	order(&r, &network);
	CU_ASSERT(r.vm->ended && r.vm->exit_code == 125);
	rig_clear(&r);
	rig_init(&r, NULL);
	rig_machine(&r, NULL);
	order(&r, &network);
	CU_ASSERT(r.vm->ended && r.vm->exit_code == 125);
	rig_clear(&r);
}

CU_TestInfo network_tests[] = {
    {"told to each boot", test_told},
    {"ranges", test_ranges},
    {"the largest", test_sizes},
    {"once, and before a machine", test_order},
    CU_TEST_INFO_NULL,
};
