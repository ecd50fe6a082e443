/* SPDX-License-Identifier: Apache-2.0 */
/* The process around vfsd's core, the guest's relay, and how owners are mapped. */
#include <signal.h>

#include "tests/run.h"
#include "tests/unit/vfsd/suites.h"

int
main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	begin_tests();
	add_frame_suite();
	add_port_suite();
	add_virtqueue_suite();
	add_device_suite();
	add_relay_suite();
	add_map_suite();
	add_turns_suite();
	return run_tests();
}
