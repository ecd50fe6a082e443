/* SPDX-License-Identifier: Apache-2.0 */
/* Plan and owner: see the header. */
#include "ipc/mount_frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define PLAN_HEAD 16u

static size_t
put_string(uint8_t *out, const char *s)
{
	size_t n = strlen(s) + 1;

	memcpy(out, s, n);
	return n;
}

size_t
mount_plan_encode(const struct mount_plan *plan, uint8_t *out)
{
	const uint32_t head[4] = {
	    htole32(MOUNT_MAGIC), htole32(plan->n), htole32(plan->by_devices ? 1 : 0), 0};
	size_t used = PLAN_HEAD;
	uint32_t i;

	memcpy(out, head, sizeof(head));
	used += put_string(out + used, plan->user);
	for (i = 0; i < plan->n; i++)
		used += put_string(out + used, plan->paths[i]);
	return used;
}

/* Takes the string at *at, its NUL included; NULL where it has none or is too long. */
static const char *
take_string(const uint8_t *in, size_t length, size_t *at, size_t max)
{
	const char *s = (const char *)in + *at;
	size_t n = strnlen(s, length - *at);

	if (n == length - *at || n >= max)
		return NULL;
	*at += n + 1;
	return s;
}

int
mount_plan_decode(const uint8_t *in, size_t length, struct mount_plan *plan)
{
	uint32_t head[4], i;
	size_t at = PLAN_HEAD;

	if (length < PLAN_HEAD)
		return -EPROTO;
	memcpy(head, in, sizeof(head));
	plan->n = le32toh(head[1]);
	plan->by_devices = head[2] != 0;
	if (le32toh(head[0]) != MOUNT_MAGIC || le32toh(head[2]) > 1 || head[3] != 0 ||
	    plan->n == 0 || plan->n > (plan->by_devices ? MOUNT_DEVICES_MAX : MOUNT_MAX))
		return -EPROTO;
	plan->user = take_string(in, length, &at, MOUNT_USER_MAX);
	if (plan->user == NULL)
		return -EPROTO;
	for (i = 0; i < plan->n; i++) {
		plan->paths[i] = take_string(in, length, &at, MOUNT_PATH_MAX);
		if (plan->paths[i] == NULL || plan->paths[i][0] != '/')
			return -EPROTO;
	}
	return at == length ? 0 : -EPROTO;
}

void
mount_owner_encode(uint32_t uid, uint32_t gid, uint8_t out[MOUNT_OWNER_SIZE])
{
	const uint32_t words[4] = {htole32(MOUNT_MAGIC), htole32(uid), htole32(gid), 0};

	memcpy(out, words, sizeof(words));
}

int
mount_owner_decode(const uint8_t *in, size_t length, uint32_t *uid, uint32_t *gid)
{
	uint32_t words[4];

	if (length != MOUNT_OWNER_SIZE)
		return -EPROTO;
	memcpy(words, in, sizeof(words));
	*uid = le32toh(words[1]);
	*gid = le32toh(words[2]);
	if (le32toh(words[0]) != MOUNT_MAGIC || words[3] != 0 || *uid == UINT32_MAX ||
	    *gid == UINT32_MAX)
		return -EPROTO;
	return 0;
}
