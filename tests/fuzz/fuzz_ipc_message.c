/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of every edge: decoding and dispatch.  The first byte chooses the edge and how many
 * descriptors come along, the second the state; the rest is the message.  What reaches a handler
 * packs to the very bytes that came, and no descriptor is left open.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/agent.pb-c.h"
#include "ipc/control.pb-c.h"
#include "ipc/dispatch.h"
#include "ipc/message.h"
#include "ipc/vmrunner.pb-c.h"

#define ROWS_MAX 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const envelopes[] = {
    &gondolin__sup_to_vmrunner__descriptor,
    &gondolin__vmrunner_to_sup__descriptor,
    &gondolin__client_to_vmrunner__descriptor,
    &gondolin__vmrunner_to_client__descriptor,
    &gondolin__host_to_guest__descriptor,
    &gondolin__guest_to_host__descriptor,
};
#define N_ENVELOPES (sizeof(envelopes) / sizeof(envelopes[0]))

struct context {
	const struct ipc_packet *packet;
	const ProtobufCMessageDescriptor *envelope;
};

static int
on_any(void *ctx, const void *body, int *fds, size_t n_fds)
{
	const struct context *c = ctx;
	static uint8_t again[IPC_MESSAGE_MAX];
	ProtobufCMessage *m;

	(void)body;
	m = ipc_message_decode(c->envelope, c->packet->bytes, c->packet->length);
	if (m == NULL || protobuf_c_message_pack(m, again) != c->packet->length)
		abort();
	protobuf_c_message_free_unpacked(m, NULL);
	/* Takes the last one. */
	if (n_fds > 0) {
		close(fds[n_fds - 1]);
		fds[n_fds - 1] = -1;
	}
	return 0;
}

static struct ipc_table
make_table(const ProtobufCMessageDescriptor *envelope, struct ipc_row rows[ROWS_MAX])
{
	unsigned i;

	if (envelope->n_fields > ROWS_MAX)
		abort();
	for (i = 0; i < envelope->n_fields; i++)
		rows[i] = (struct ipc_row){
		    .tag = envelope->fields[i].id,
		    .name = envelope->fields[i].name,
		    .states = i % 2 == 0 ? IPC_ANY_STATE : 1,
		    .fds_min = (uint8_t)(i % 3),
		    .fds_max = (uint8_t)(i % 3 + i % 4),
		    .handle = on_any,
		};
	return (struct ipc_table){envelope, rows, envelope->n_fields};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_row rows[ROWS_MAX];
	struct ipc_packet p = {0};
	struct context c = {.packet = &p};
	struct ipc_table table;
	int fds[IPC_FDS_MAX];
	const char *name;
	size_t i;

	if (size < 2 || size - 2 > IPC_MESSAGE_MAX)
		return 0;
	c.envelope = envelopes[data[0] % N_ENVELOPES];
	table = make_table(c.envelope, rows);
	p.length = size - 2;
	p.bytes = malloc(p.length != 0 ? p.length : 1);
	if (p.bytes == NULL)
		abort();
	memcpy(p.bytes, data + 2, p.length);
	p.n_fds = data[0] / N_ENVELOPES % (IPC_FDS_MAX + 1);
	for (i = 0; i < p.n_fds; i++)
		fds[i] = p.fds[i] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100);
	(void)ipc_dispatch(&table, &c, data[1], &p, &name);
	for (i = 0; i < data[0] / N_ENVELOPES % (IPC_FDS_MAX + 1); i++)
		if (fds[i] >= 0 && fcntl(fds[i], F_GETFD) >= 0)
			abort();
	free(p.bytes);
	return 0;
}
