/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of idmapped mounts: one user is another, everybody else is himself, nobody is two. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/mounts_map.h"
#include "tests/unit/vfsd/suites.h"

/* What an id of the disk is for who looks; UINT32_MAX: nobody. */
static uint32_t
look_up(const char *map, uint32_t id)
{
	uint32_t disk, seen, n;
	int used;

	for (; sscanf(map, "%" SCNu32 " %" SCNu32 " %" SCNu32 "\n%n", &disk, &seen, &n, &used) == 3;
	     map += used)
		if (id >= disk && id - disk < n)
			return seen + (id - disk);
	return UINT32_MAX;
}

static void
test_maps(void)
{
	static const struct {
		uint32_t from, to;
	} rows[] = {{0, 61184}, {1000, 61184}, {61184, 1000}, {61183, 61184}, {61185, 61184},
	    {0, 1}, {1, 0}, {5, 5}, {UINT32_MAX - 1, 7}, {7, UINT32_MAX - 1}};
	static const uint32_t ids[] = {0, 1, 2, 4, 5, 6, 7, 8, 999, 1000, 1001, 61183, 61184, 61185,
	    UINT32_MAX - 2, UINT32_MAX - 1};
	char map[MOUNTS_MAP_SIZE];
	size_t i, j;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mounts_format_map(map, sizeof(map), rows[i].from, rows[i].to);
		/* uid_map(5) takes no line twice: none is cut. */
		CU_ASSERT_EQUAL(map[strlen(map) - 1], '\n');
		for (j = 0; j < sizeof(ids) / sizeof(ids[0]); j++)
			CU_ASSERT_EQUAL(look_up(map, ids[j]), ids[j] == rows[i].from ? rows[i].to
							      : ids[j] == rows[i].to ? UINT32_MAX
										     : ids[j]);
	}
}

void
add_map_suite(void)
{
	CU_pSuite suite = CU_add_suite("map", NULL, NULL);

	CU_add_test(suite, "maps", test_maps);
}
