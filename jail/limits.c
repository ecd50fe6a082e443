/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits, soft and hard alike. */
#include <errno.h>
#include <sys/resource.h>

#include "jail/internal.h"

int
jail_limits_apply(const struct jail_limit *limits, size_t n, struct jail_failure *f)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct rlimit value = {limits[i].value, limits[i].value};

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &value) < 0)
			return jail_fail(f, errno, "cannot set %s to %llu", limits[i].name,
			    (unsigned long long)limits[i].value);
	}
	return 0;
}
