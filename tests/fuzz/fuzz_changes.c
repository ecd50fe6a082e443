/* SPDX-License-Identifier: Apache-2.0 */
/* A layer as a vfsd that was taken over would send it: read, compared with a directory, never
 * applied. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/changes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char error[CHANGES_ERROR_SIZE] = "";
	struct changes_base base = {
	    .root = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	int fd = memfd_create("layer", MFD_CLOEXEC), rc;
	struct changes_layer l;
	struct changes c = {.n = 0};

	if (fd < 0 || base.root < 0 || write(fd, bytes, length) != (ssize_t)length)
		abort();
	rc = changes_layer_read(&l, fd, error);
	if (rc == 0) {
		rc = changes_compare(&c, &l, &base, "/w", error);
		changes_clear(&c);
	}
	if ((rc < 0) != (error[0] != '\0'))
		abort();
	changes_layer_clear(&l);
	close(base.root);
	close(fd);
	return 0;
}
