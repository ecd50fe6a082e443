/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's kernel printed: the last bytes, and whether it panicked.  All bytes are hostile.
 */
#ifndef GONDOLIN_VMRUNNER_CONSOLE_H
#define GONDOLIN_VMRUNNER_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_KEPT     4096u
#define CONSOLE_LINE_MAX 256u

struct console {
	bool trace;                  /* each line goes to the log too */
	uint64_t total;              /* bytes ever */
	char kept[CONSOLE_KEPT];     /* a ring: byte i of the stream is at i % CONSOLE_KEPT */
	char line[CONSOLE_LINE_MAX]; /* the line that comes, cut, NUL-terminated */
	size_t line_length;
	char panic[CONSOLE_LINE_MAX]; /* the kernel's line about its end, or "" */
};

void console_init(struct console *c, bool trace);

/* n bytes came.  Returns true where they end a line in which the kernel says that it panicked. */
bool console_add(struct console *c, const char *bytes, size_t n);

/* Copies the last bytes, oldest first; returns their number. */
size_t console_tail(const struct console *c, char out[CONSOLE_KEPT]);

#endif
