/* SPDX-License-Identifier: Apache-2.0 */
/* Where a change comes from and what is remembered of it: the session's directory and vfsd. */
#ifndef GONDOLIN_CLIENT_CHANGES_SESSION_H
#define GONDOLIN_CLIENT_CHANGES_SESSION_H

#include "client/changes.h"
#include "ipc/changes.pb-c.h"
#include "ipc/session.h"

struct changes_session {
	struct session session;
	Gondolin__ChangesMount *mount;
	char *path, *host; /* the mount's, as strings */
	int root;          /* the host's directory */
	int reviewed, applied;
	int archive;
	struct changes_print *prints; /* what `applied` says */
	size_t n_prints;
};

/*
 * Finds the session and its mount (path NULL: the only one), copies the layer into an unlinked file
 * (archive) and opens the rest.  Where root runs this and the mount is another user's, the process
 * is that user from here on: nothing of the guest's is looked at before.  Returns 0 or -errno;
 * *s is to be closed in any case.
 */
int changes_session_open(struct changes_session *s, const char *id, const char *path, char *error);
void changes_session_close(struct changes_session *s);

/* Notes an id as shown.  Returns 0 or -errno. */
int changes_session_note_reviewed(const struct changes_session *s, const char *id);
bool changes_session_was_reviewed(const struct changes_session *s, const char *id);

/* Notes a host file as apply left it. */
void changes_session_note_applied(const struct changes_session *s, const struct changes_print *p);

#endif
