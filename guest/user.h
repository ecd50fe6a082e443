/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users of the guest, read from its own passwd(5) and group(5): a static binary has no NSS.
 * The files are the guest's: lines that are too long or malformed are passed over.
 */
#ifndef GONDOLIN_GUEST_USER_H
#define GONDOLIN_GUEST_USER_H

#include <stddef.h>
#include <sys/types.h>

/* Small, because a command's child touches all of it between fork and exec. */
#define USER_GROUPS_MAX 256u
#define USER_NAME_MAX   256u
#define USER_PATH_MAX   1024u

struct user {
	uid_t uid;
	gid_t gid;
	char name[USER_NAME_MAX];  /* the uid in decimal where it has none */
	char home[USER_PATH_MAX];  /* "/" where there is none */
	char shell[USER_PATH_MAX]; /* "/bin/sh" where there is none */
	gid_t groups[USER_GROUPS_MAX];
	size_t n_groups; /* supplementary groups; what is past USER_GROUPS_MAX is left out */
};

/* Where to look: the guest's files, or a test's. */
struct user_files {
	const char *passwd;
	const char *group;
};

extern const struct user_files user_files_system;

/*
 * Finds a user by name, else by uid in decimal; "" is uid 0.  A uid without an entry is a user with
 * the same number as its group.  Returns 0; -ENOENT where there is no such user; or another -errno
 * where a file is there and cannot be read.
 */
int user_find(const struct user_files *files, const char *who, struct user *u);

#endif
