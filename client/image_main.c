/* SPDX-License-Identifier: Apache-2.0 */
/* gondolin-image - `gondolin image` and `gondolin build`; argv[0] says which. */
#include <string.h>

#include "guest/image/image.h"
#include "ipc/standard.h"

int
main(int argc, char **argv)
{
	static char image[] = "image";
	int code;

	if (argc < 1)
		return 2;
	if (strcmp(argv[0], "build") != 0)
		argv[0] = image;
	code = image_cli_main(argc, argv);
	return standard_end() < 0 && code == 0 ? 1 : code;
}
