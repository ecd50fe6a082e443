/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch by table. */
#include "ipc/dispatch.h"

#include <errno.h>

#include "ipc/message.h"

static const struct ipc_row *
find_row(const struct ipc_table *t, uint32_t tag)
{
	size_t i;

	for (i = 0; i < t->n_rows; i++)
		if (t->rows[i].tag == tag)
			return &t->rows[i];
	return NULL;
}

int
ipc_dispatch(
    const struct ipc_table *t, void *ctx, uint32_t state, struct ipc_packet *p, const char **name)
{
	const struct ipc_row *row = NULL;
	const ProtobufCMessage *body;
	ProtobufCMessage *m;
	uint32_t tag;
	int rc = -EPROTO;

	*name = NULL;
	m = ipc_message_decode(t->envelope, p->bytes, p->length);
	if (m == NULL)
		goto out;
	body = ipc_envelope_body(m, &tag);
	if (body == NULL)
		goto out;
	row = find_row(t, tag);
	if (row == NULL)
		goto out;
	*name = row->name;
	if ((row->states & state) == 0 || p->n_fds < row->fds_min || p->n_fds > row->fds_max)
		goto out;
	rc = row->handle(ctx, body, p->fds, p->n_fds);
out:
	if (m != NULL)
		protobuf_c_message_free_unpacked(m, NULL);
	ipc_packet_close_fds(p);
	return rc;
}
