/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's terminal while a command in the guest owns it. */
#ifndef GONDOLIN_CLIENT_TERMINAL_H
#define GONDOLIN_CLIENT_TERMINAL_H

#include <stdbool.h>

/*
 * Puts the terminal fd into raw mode and remembers how it was.  From here to terminal_restore()
 * a deadly signal (SIGSEGV, SIGABRT, ...) restores it too, on its way.  One terminal at a time.
 * Returns 0, or -errno (-ENOTTY).
 */
int terminal_raw(int fd);

/* Puts it back as it was.  Safe where it is not raw, and from a background process group. */
void terminal_restore(void);

/* True between the two. */
bool terminal_is_raw(void);

/* The terminal's size; false where it has none. */
bool terminal_size(int fd, unsigned *rows, unsigned *columns);

#endif
