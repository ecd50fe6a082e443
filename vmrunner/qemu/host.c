/* SPDX-License-Identifier: Apache-2.0 */
/* What must be known of this host before QEMU starts: where QEMU is, and how fast the TSC runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmrunner/qemu/qemu.h"

#define PROGRAM "qemu-system-x86_64"

int
qemu_find(char *path, size_t path_size, char *error, size_t error_size)
{
	const char *list = getenv("PATH"), *p, *stop;

	if (list == NULL || list[0] == '\0')
		list = "/usr/local/bin:/usr/bin:/bin";
	for (p = list; *p != '\0'; p = *stop == ':' ? stop + 1 : stop) {
		stop = strchrnul(p, ':');
		/* A relative entry would make the answer depend on where one stands. */
		if (*p != '/')
			continue;
		if ((size_t)snprintf(path, path_size, "%.*s/" PROGRAM, (int)(stop - p), p) <
			path_size &&
		    access(path, X_OK) == 0)
			return 0;
	}
	snprintf(error, error_size,
	    PROGRAM " is not in PATH: install it (Debian: apt-get install qemu-system-x86)");
	return -ENOENT;
}

#if defined(__x86_64__)

#define MEASURE_NS 4000000 /* a clock reading is good to 50 ns: 4 ms give about 20 ppm */

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint32_t
qemu_tsc_khz(void)
{
	static uint64_t ns, ticks;
	uint64_t elapsed;

	if (ns == 0) {
		ns = now_ns();
		ticks = __builtin_ia32_rdtsc();
		return 0;
	}
	/* Mostly more than that has passed between the two calls. */
	while ((elapsed = now_ns() - ns) < MEASURE_NS)
		;
	return (uint32_t)((__builtin_ia32_rdtsc() - ticks) * 1000000u / elapsed);
}

#else

uint32_t
qemu_tsc_khz(void)
{
	return 0;
}

#endif
