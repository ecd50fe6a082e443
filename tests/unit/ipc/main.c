/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of ipc/. */
#include "tests/run.h"
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
	begin_tests();
	add_text_suite();
	add_json_suite();
	add_sha256_suite();
	add_message_suite();
	add_packet_suite();
	add_table_suite();
	add_channel_suite();
	return run_tests();
}
