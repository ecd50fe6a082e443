/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for people, with peer text made harmless. */
#include "ipc/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/utf8.h"

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

/* The length of what may stand in a line as it is; 0 where the first byte is to be escaped. */
static size_t
plain(const char *text, size_t n)
{
	uint32_t code;
	size_t length = utf8_decode(text, n, &code);

	return length > 0 && !utf8_is_control(code) ? length : 0;
}

char *
log_clean(char *out, size_t size, const char *text)
{
	size_t i, n = strlen(text), length, used = 0;

	/* Room for the longest that one round adds, and the NUL. */
	for (i = 0; i < n && used + 4 + 1 <= size; i += length > 0 ? length : 1) {
		length = plain(text + i, n - i);
		memcpy(out + used, text + i, length);
		used += length > 0 ? length : escape_byte(out + used, (uint8_t)text[i], false);
	}
	out[used] = '\0';
	return out;
}

void
log_line(const char *format, ...)
{
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX + 1];
	size_t n;
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(text, sizeof(text), format, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	n = strlen(log_clean(line, LOG_LINE_MAX, text));
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix; a full pipe loses the line, not
	 * the process. */
	if (write(STDERR_FILENO, line, n) < 0)
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
