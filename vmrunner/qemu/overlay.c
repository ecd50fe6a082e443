/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An empty qcow2 file (QEMU docs/interop/qcow2.txt, version 3): four clusters of 64 KiB.
 *
 *	0  header   1  refcount table   2  first refcount block   3  L1 table
 *
 * Written here so that a start needs no qemu-img.  The header names no backing file: the command
 *line does, so nothing in a file that the guest influences can ever name a path.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmrunner/qemu/qemu.h"

#define CLUSTER_BITS 16
#define CLUSTER      (1u << CLUSTER_BITS)
/* Bytes that one L1 entry stands for. */
#define L2_COVERS ((uint64_t)(CLUSTER / 8) << CLUSTER_BITS)
#define CLUSTERS  4

/* Big-endian on disk. */
struct qcow2_header {
	uint32_t magic, version;
	uint64_t backing_file_offset;
	uint32_t backing_file_size, cluster_bits;
	uint64_t size;
	uint32_t crypt_method, l1_size;
	uint64_t l1_table_offset, refcount_table_offset;
	uint32_t refcount_table_clusters, nb_snapshots;
	uint64_t snapshots_offset, incompatible_features, compatible_features, autoclear_features;
	uint32_t refcount_order, header_length;
};
_Static_assert(sizeof(struct qcow2_header) == 104, "qcow2 version 3 header");

static int
write_at(int fd, const void *bytes, size_t n, off_t offset)
{
	ssize_t written = pwrite(fd, bytes, n, offset);

	if (written < 0)
		return -errno;
	return (size_t)written == n ? 0 : -ENOSPC;
}

static int
write_tables(int fd, uint64_t size)
{
	const struct qcow2_header h = {
	    .magic = htobe32(0x514649fb),
	    .version = htobe32(3),
	    .cluster_bits = htobe32(CLUSTER_BITS),
	    .size = htobe64(size),
	    .l1_size = htobe32((uint32_t)((size + L2_COVERS - 1) / L2_COVERS)),
	    .l1_table_offset = htobe64(3 * CLUSTER),
	    .refcount_table_offset = htobe64(1 * CLUSTER),
	    .refcount_table_clusters = htobe32(1),
	    .refcount_order = htobe32(4),
	    .header_length = htobe32(sizeof(h)),
	};
	const uint64_t refcount_block = htobe64(2 * CLUSTER);
	uint16_t counts[CLUSTERS];
	size_t i;
	int rc;

	for (i = 0; i < CLUSTERS; i++)
		counts[i] = htobe16(1);
	if (ftruncate(fd, CLUSTERS * CLUSTER) < 0)
		return -errno;
	rc = write_at(fd, &h, sizeof(h), 0);
	if (rc == 0)
		rc = write_at(fd, &refcount_block, sizeof(refcount_block), 1 * CLUSTER);
	if (rc == 0)
		rc = write_at(fd, counts, sizeof(counts), 2 * CLUSTER);
	return rc;
}

int
qemu_overlay_make(uint64_t size, bool in_memory, char *error, size_t error_size)
{
	const char *folder = getenv("TMPDIR");
	int fd, rc;

	if (folder == NULL || folder[0] != '/')
		folder = "/var/tmp";
	fd = in_memory ? memfd_create("gondolin-overlay", MFD_CLOEXEC)
		       : open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : write_tables(fd, size);
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	snprintf(error, error_size,
	    "cannot make the disk overlay in %s: %s; set TMPDIR to a folder with room",
	    in_memory ? "memory" : folder, strerror(-rc));
	return rc;
}
