/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the distribution's programs: argument arrays only, output captured, cancellable. */
#ifndef GONDOLIN_GUEST_IMAGE_PROGRAM_H
#define GONDOLIN_GUEST_IMAGE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "guest/image/image.h"

#define PROGRAM_TAIL 2048u /* bytes of output that are kept for an error */
#define PROGRAM_ARGS 4200u /* words of a command, at most */

/* What runs of one build have in common.  The descriptors stay the caller's. */
struct program_runner {
	const struct image_progress *progress;
	int log_fd;       /* all output is appended to it; -1: none */
	int stdin_fd;     /* what a program reads; 0 or -1: /dev/null */
	int inherited_fd; /* kept open in every program (the staging lock); -1: none */
	const char *cwd;  /* NULL: "/" */
	int64_t epoch;    /* SOURCE_DATE_EPOCH for the programs */
};

/* A command under construction: words are copied. */
struct program_words {
	char *words[PROGRAM_ARGS + 1];
	size_t n;
};

/* Appends a formatted word.  More than PROGRAM_ARGS is a bug of the caller. */
void program_word(struct program_words *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends each word up to the NULL. */
void program_add_words(struct program_words *w, const char *const *words);
#define program_add(w, ...) program_add_words((w), (const char *const[]){__VA_ARGS__, NULL})
void program_words_clear(struct program_words *w);

/*
 * Runs a command to its end with a clean environment and the administrator's
 * PATH.  Its stdout goes to out_fd, or with -1 where its stderr goes: to the log.  A line
 * that begins with "I: " (mmdebstrap) is reported as the step's text, after `step` and ": "; step
 * may be NULL.  Returns 0 where it exits with 0; -ENOENT where it is not installed; -EINTR where it
 * was cancelled; -ECHILD where it failed: error then has its last lines.
 */
int program_run(const struct program_runner *r, const struct program_words *w, const char *step,
    int out_fd, char *error, size_t error_size);

/* True where the program can be found. */
bool program_exists(const char *name);

/* Fills error with the line that says which package to install; returns -ENOENT. */
int program_missing(const char *name, char *error, size_t error_size);

/*
 * The words before a command that make the caller root in a user namespace of its own; nothing for
 * root.  With subordinate ids, files may belong to others than root there.  With a mount and pid
 * namespace besides (also for root) where isolated is set.
 */
void program_as_root(struct program_words *w, bool subordinate, bool isolated);

/* Checks that program_as_root will work.  Returns 0, or -EPERM with what to do in error. */
int program_as_root_check(bool subordinate, char *error, size_t error_size);

/* Removes a tree that holds files of subordinate ids.  Returns 0 or -errno. */
int image_remove_foreign_tree(const char *path);

#endif
