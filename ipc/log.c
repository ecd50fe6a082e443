/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for people, with peer text made harmless. */
#include "ipc/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char hex[] = "0123456789abcdef";

static size_t
escape_byte(char *out, uint8_t b, bool plain)
{
	if (plain) {
		out[0] = (char)b;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[b >> 4];
	out[3] = hex[b & 15];
	return 4;
}

char *
log_escape(char *out, size_t size, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t i, used = 0;

	for (i = 0; i < n; i++) {
		/* Room for this byte, the dots and the NUL. */
		if (used + 4 + 3 + 1 > size) {
			memcpy(out + used, "...", 3);
			used += 3;
			break;
		}
		used += escape_byte(out + used, p[i], p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\');
	}
	out[used] = '\0';
	return out;
}

void
log_line(const char *format, ...)
{
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX];
	size_t i, used = 0;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0)
		return;
	for (i = 0; text[i] != '\0' && used + 4 + 1 <= sizeof(line); i++)
		used += escape_byte(
		    line + used, (uint8_t)text[i], (uint8_t)text[i] >= 0x20 && text[i] != 0x7f);
	line[used++] = '\n';
	/* One write, so that lines of several processes do not mix; a full pipe loses the line, not
	 * the process. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

int
log_fail(char *error, size_t error_size, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, error_size, format, ap);
	va_end(ap);
	return code;
}
