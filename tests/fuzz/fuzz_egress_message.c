/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What netproxy may say to egress, as packets: two bytes of length and the packet, over and over.
 * Nothing is allowed but a name without an address, so all is judged and nothing leaves.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/egress.h"
#include "egress/upstream_internal.h"
#include "ipc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once: a set-up costs more than a thousand inputs. */
static struct egress *
start(void)
{
	static const struct resolver_options options = {
	    .resolv_conf = "/dev/null", .hosts = "/dev/null"};
	struct egress *e = calloc(1, sizeof(*e));
	struct policy hosts;
	char error[512];

	if (e == NULL || locals_open(&e->locals) < 0 ||
	    resolver_open(&e->resolver, &options, error, sizeof(error)) < 0)
		abort();
	policy_init(&hosts);
	(void)policy_add(&hosts, POLICY_ANY_SCHEME, "192.0.2.7", 0, "", 1);
	(void)policy_add(&e->config.allow, POLICY_ANY_SCHEME, "192.0.2.7", 0, "", 1);
	(void)secrets_add(&e->config.secrets, "S", "value-of-it", 11,
	    "GONDOLIN_SECRET_00000000000000000000000000000001", &hosts, SECRET_HEADER, false);
	e->config.websockets = true;
	e->config.dns = UPSTREAM_DNS_TRUSTED;
	e->config.timeouts = (struct upstream_timeouts){1000, 1000, 1000, 1000};
	if (upstream_new(
		&e->upstream, &e->config, e->resolver, &e->locals, NULL, error, sizeof(error)) < 0)
		abort();
	e->loop = ev_loop_new(EVBACKEND_EPOLL);
	resolver_start(e->resolver, e->loop);
	upstream_start(e->upstream, e->loop, &egress_events, e);
	return e;
}

/* Netproxy's end takes what is said, and forgets it. */
static void
connect_netproxy(struct egress *e, int edge[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, edge) < 0)
		abort();
	egress_open_netproxy(e, edge[1]);
}

/* The next input starts from nothing. */
static void
forget(struct egress *e)
{
	size_t i;

	for (i = 0; i < ASK_BUCKETS; i++)
		while (e->upstream->asks[i] != NULL)
			(void)upstream_cancel(e->upstream, e->upstream->asks[i]->id);
	e->upstream->last_id = 0;
	egress_drop_records(e);
	ipc_channel_close(&e->netproxy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct egress *e;
	uint8_t sink[IPC_MESSAGE_MAX];
	const char *name;
	int edge[2];
	size_t n;

	if (e == NULL)
		e = start();
	connect_netproxy(e, edge);
	while (size >= 2) {
		struct ipc_packet p = {.bytes = sink};

		n = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		n = n < size ? n : size;
		memcpy(sink, data, n);
		p.length = n;
		data += n;
		size -= n;
		if (ipc_dispatch(&egress_netproxy_table, e, IPC_ANY_STATE, &p, &name) < 0)
			break;
		ev_run(e->loop, EVRUN_NOWAIT);
		while (recv(edge[0], sink, sizeof(sink), 0) > 0)
			;
	}
	forget(e);
	close(edge[0]);
	return 0;
}
