/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process says to people: one line each, on descriptor 2.  In a helper that is a pipe to the
 * supervisor, which adds the helper's name, limits the rate and writes the line.
 */
#ifndef GONDOLIN_IPC_LOG_H
#define GONDOLIN_IPC_LOG_H

#include <stddef.h>

#define LOG_LINE_MAX 1024u /* bytes of a line, its newline included; the rest is cut */

/* Writes one formatted line, made harmless by log_clean(): arguments may be hostile. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Copies text into out (size at least 8, always NUL-terminated; the rest is cut): what is a control
 * (utf8_is_control) or no UTF-8 becomes \xNN for each byte, all else stays.  Returns out.
 */
char *log_clean(char *out, size_t size, const char *text);

/*
 * Escapes n bytes of peer text into out (size at least 8, always NUL-terminated): printable ASCII
 * except the backslash as it is, everything else as \xNN; "..." at the end where it did not fit.
 * Returns out.
 */
char *log_escape(char *out, size_t size, const void *bytes, size_t n);

/* Fills error with one formatted line and returns code (a -errno), so that it can be returned. */
int log_fail(char *error, size_t error_size, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
