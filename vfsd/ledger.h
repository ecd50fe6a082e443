/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest added to the files of a host directory, file by file, against the mount's limits.
 *
 * A file costs what it takes now beyond what it took when the guest changed it first; never less
 * than nothing, so that what the host put there gives the guest no room when it goes.
 */
#ifndef GONDOLIN_VFSD_LEDGER_H
#define GONDOLIN_VFSD_LEDGER_H

#include "vfsd/owner.h"

#define LEDGER_MAX (1u << 20) /* files that the guest changed; past it ENOSPC */

struct ledger_file {
	struct vfs_link link;
	struct owner_key key;
	uint64_t original; /* bytes before the first change; 0 = the guest made it */
	uint64_t used;     /* bytes now, at least what the file takes */
	uint64_t extra;    /* bytes of extended attributes that the guest added */
	bool made;         /* counts as a file that the guest added */
	bool sparse;       /* had holes at the first change: what is written into them counts */
};

struct ledger {
	struct vfs_buckets files;
	uint64_t bytes_max, inodes_max; /* 0 = no limit, and nothing is kept */
	uint64_t bytes, inodes;         /* added; never past their limit */
};

void ledger_init(struct ledger *l, uint64_t bytes_max, uint64_t inodes_max);
void ledger_clear(struct ledger *l);

/* A file's entry, or NULL. */
struct ledger_file *ledger_find(const struct ledger *l, const struct owner_key *key);

/* The same, made where there is none, with nothing used.  NULL past LEDGER_MAX or without memory.
 */
struct ledger_file *ledger_make(struct ledger *l, const struct owner_key *key);

/* A file takes this many bytes now.  Returns 0, or -ENOSPC with nothing changed past the limit. */
int ledger_use(struct ledger *l, struct ledger_file *f, uint64_t used);

/* The same for its extended attributes. */
int ledger_use_extra(struct ledger *l, struct ledger_file *f, uint64_t extra);

/* Counts a file that is about to be made; -ENOSPC past the limit / takes that back. */
int ledger_count(struct ledger *l);
void ledger_uncount(struct ledger *l);

/* A file is gone, and all that it cost is free again. */
void ledger_drop(struct ledger *l, struct ledger_file *f);

#endif
