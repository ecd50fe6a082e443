/* SPDX-License-Identifier: Apache-2.0 */
/* The console's ring and its lines. */
#include "vmrunner/console.h"

#include <string.h>

#include "ipc/log.h"

void
console_init(struct console *c, bool trace)
{
	memset(c, 0, sizeof(*c));
	c->trace = trace;
}

static void
end_line(struct console *c)
{
	static const char words[] = "Kernel panic - not syncing";
	const char *text = c->line;

	c->line[c->line_length] = '\0';
	if (c->trace && c->line_length > 0)
		log_line("console: %s", c->line);
	c->line_length = 0;
	/* Past the time stamp, "[    1.234567] ". */
	if (text[0] == '[' && strstr(text, "] ") != NULL)
		text = strstr(text, "] ") + 2;
	if (c->panic[0] == '\0' && strncmp(text, words, strlen(words)) == 0)
		memcpy(c->panic, text, strlen(text) + 1);
}

static void
add_byte(struct console *c, char b)
{
	c->kept[c->total++ % CONSOLE_KEPT] = b;
	if (b == '\n')
		end_line(c);
	else if (b != '\r' && b != '\0' && c->line_length < CONSOLE_LINE_MAX - 1)
		c->line[c->line_length++] = b;
}

bool
console_add(struct console *c, const char *bytes, size_t n)
{
	bool before = c->panic[0] != '\0';
	size_t i;

	for (i = 0; i < n; i++)
		add_byte(c, bytes[i]);
	return !before && c->panic[0] != '\0';
}

size_t
console_tail(const struct console *c, char out[CONSOLE_KEPT])
{
	size_t at = (size_t)(c->total % CONSOLE_KEPT);

	if (c->total < CONSOLE_KEPT) {
		memcpy(out, c->kept, at);
		return at;
	}
	memcpy(out, c->kept + at, CONSOLE_KEPT - at);
	memcpy(out + CONSOLE_KEPT - at, c->kept, at);
	return CONSOLE_KEPT;
}
