/* SPDX-License-Identifier: Apache-2.0 */
/* QMP of a QEMU that the guest owns; the first byte says where the bytes are cut. */
#include "vmrunner_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w;
	struct qmp *q;
	size_t cut;

	if (size < 1)
		return 0;
	cut = data[0] < size ? data[0] : size - 1;
	data++;
	size--;
	world_open(&w);
	q = &w.vm->machine.qmp;
	if (qmp_take(q, (const char *)data, cut) == NULL && q->fd >= 0)
		(void)qmp_take(q, (const char *)data + cut, size - cut);
	world_close(&w);
	return 0;
}
