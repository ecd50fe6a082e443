/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of ipc/. */
#include "tests/unit/ipc/ipc_test.h"

#include <dirent.h>

unsigned
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and the directory's own */
}

int
main(void)
{
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	add_text_suite();
	add_json_suite();
	add_sha256_suite();
	add_message_suite();
	add_packet_suite();
	add_table_suite();
	add_channel_suite();
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures == 0 ? 0 : 1;
}
