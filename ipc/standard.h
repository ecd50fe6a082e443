/* SPDX-License-Identifier: Apache-2.0 */
/* What a program for people has from whoever started it: standard descriptors and signals. */
#ifndef GONDOLIN_IPC_STANDARD_H
#define GONDOLIN_IPC_STANDARD_H

/*
 * First in main().  Opens /dev/null where stdin, stdout or stderr is closed: what opens later must
 * not become one.  Takes back an inherited SIG_IGN of SIGCHLD, with which the ends of children
 * cannot be heard; ignores SIGXFSZ, so that a file that may not grow is an error of one write(2).
 */
void standard_begin(void);

/*
 * Last in main().  Writes out what was printed to stdout.  Returns 0, or -errno after a line on
 * stderr: what did not reach its reader was not said.
 */
int standard_end(void);

#endif
