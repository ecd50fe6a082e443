/* SPDX-License-Identifier: Apache-2.0 */
/* What gondolin diff and gondolin apply make of a layer. */
#include "tests/run.h"
#include "tests/unit/changes/changes_test.h"

int
main(void)
{
	begin_tests();
	add_layer_suite();
	add_host_suite();
	add_text_suite();
	return run_tests();
}
