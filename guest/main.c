/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest - the inside of the sandbox: init and agent in one static binary.
 *
 * Reads:    the host's frames on one virtio port; the guest's own passwd and group files.
 * Holds:    the whole guest, which is hostile anyway.  Nothing that enforces policy runs here.
 * If taken: the attacker has what a root process of the guest has: the guest.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/init.h"

int
main(int argc, char **argv)
{
	if (getpid() == 1)
		init_main();
	/* As the kernel starts its modprobe. */
	if (argc == 4 && strcmp(argv[1], "-q") == 0 && strcmp(argv[2], "--") == 0)
		return modules_request(argv[3]);
	fprintf(stderr,
	    "gondolin-guest " GONDOLIN_VERSION
	    ": the init of a Gondolin guest; it runs only as process 1 of a virtual machine\n");
	return 2;
}
