/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard before libConfuse, which reads more than sandbox.conf(5) promises.
 *
 * Left alone, libConfuse puts the host's environment into "${NAME}" (a shell's ${HOME} in a command
 * would arrive in the guest as the host's, and so would ${GITHUB_TOKEN}), takes "vm|memory" for a
 * path into a section, lets the last of two equal keys win, skips characters that it does not know,
 * cuts a string at "\0", and counts a line too many for each comment in C's style.  So the text is
 * checked token by token first and handed over in a form that it cannot misread: comments blanked,
 * "${" escaped, one kind of assignment, each key where it belongs.
 */
#ifndef GONDOLIN_SUPERVISOR_CONFIG_TEXT_H
#define GONDOLIN_SUPERVISOR_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_TEXT_DEPTH  3u    /* network { timeouts { idle = 1 } } */
#define CONFIG_TEXT_KEYS   4096u /* keys and sections of a file */
#define CONFIG_TEXT_NO_KEY ((size_t)-1)

/* A key or a section that was written. */
struct config_key {
	size_t parent; /* index of its section, or CONFIG_TEXT_NO_KEY */
	char *name;
	unsigned line;
	bool section;
	bool titled;
};

struct config_text {
	char *bytes; /* what libConfuse may read; the same lines as the text's */
	size_t length;
	struct config_key *keys; /* in order of appearance */
	size_t n_keys;
	unsigned line;     /* where it failed */
	char message[160]; /* why, without file and line */
};

/*
 * Checks and rewrites.  Returns 0 or -EINVAL (line and message are set).  Clear it in both cases; a
 * caller that wants to keep the keys sets them to NULL first.
 */
int config_text_read(struct config_text *t, const char *text, size_t length);
void config_text_clear(struct config_text *t);
void config_keys_free(struct config_key *keys, size_t n);

#endif
