/* SPDX-License-Identifier: Apache-2.0 */
/* Simple patterns for names: see the header. */
#include "vfsd/glob.h"

#include <stdint.h>
#include <string.h>

static uint8_t
fold(char c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Where the set that starts at p (behind its bracket) ends, or NULL: then [ is a plain byte. */
static const char *
set_end(const char *p, const char *end)
{
	if (p < end && *p == '!')
		p++;
	if (p < end && *p == ']')
		p++;
	return p < end ? memchr(p, ']', (size_t)(end - p)) : NULL;
}

static bool
set_has(const char *p, const char *end, char c)
{
	bool negated = *p == '!', found = false;

	for (p += negated; p < end; p++) {
		if (p + 2 < end && p[1] == '-') {
			found |= fold(p[0]) <= fold(c) && fold(c) <= fold(p[2]);
			p += 2;
		} else {
			found |= fold(*p) == fold(c);
		}
	}
	return found != negated;
}

/* One byte against one part of the pattern (never a star); *next is the part behind it. */
static bool
fits(const char *p, const char *end, char c, const char **next)
{
	const char *close;

	*next = p + 1;
	if (*p == '?')
		return true;
	if (*p == '[' && (close = set_end(p + 1, end)) != NULL) {
		*next = close + 1;
		return set_has(p + 1, close, c);
	}
	if (*p == '\\' && p + 1 < end) {
		*next = p + 2;
		p++;
	}
	return fold(*p) == fold(c);
}

bool
vfs_glob(const char *pattern, size_t pattern_length, const char *name, size_t length)
{
	const char *p = pattern, *end = pattern + pattern_length, *next;
	const char *star = NULL, *retry = NULL, *stop = name + length;

	/* Only the last star is ever tried again. */
	while (name < stop) {
		if (p < end && *p == '*') {
			star = ++p;
			retry = name;
		} else if (p < end && fits(p, end, *name, &next)) {
			p = next;
			name++;
		} else if (star != NULL) {
			p = star;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

bool
vfs_glob_is_pattern(const char *pattern, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (memchr("*?[\\", pattern[i], 4) != NULL)
			return true;
	}
	return false;
}
