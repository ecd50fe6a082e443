/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the suite's programs without asking PATH or the environment. */
#include "supervisor/programs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Relative to the folder of the running program. */
static const char *const places[] = {"", "../libexec/gondolin/", "../../bin/"};

int
program_path(const char *name, char *path, size_t size, char *error, size_t error_size)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	size_t i;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		slash[1] = '\0';
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if ((size_t)snprintf(path, size, "%s%s%s", self, places[i], name) < size &&
		    access(path, X_OK) == 0)
			return 0;
	}
	snprintf(error, error_size, "%s is not beside %s: install the whole suite", name, self);
	return -ENOENT;
}
