/* SPDX-License-Identifier: Apache-2.0 */
/* Unified diffs of small texts (POSIX diff -u), by Myers' greedy algorithm (1986). */
#include <stdlib.h>
#include <string.h>

#include "client/changes.h"
#include "ipc/utf8.h"

#define CONTEXT 3
#define EDITS_MAX \
	1000 /* past it the whole middle counts as rewritten: memory grows by the square */

struct lines {
	const char **at; /* n + 1: the last one is the end */
	int n;
	bool *edited; /* removed from a, or added to b */
};

/* ---- What is text ---- */

bool
changes_is_text(const char *bytes, size_t n)
{
	size_t i, used;
	uint32_t code;

	for (i = 0; i < n; i += used) {
		used = utf8_decode(bytes + i, n - i, &code);
		if (used == 0)
			return false;
		if (code == '\t' || code == '\n')
			continue;
		/* A carriage return is one only before its newline: else it overwrites the line. */
		if (code == '\r' && i + 1 < n && bytes[i + 1] == '\n')
			continue;
		if (utf8_is_control(code))
			return false;
	}
	return true;
}

/* ---- Lines ---- */

static void *
need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void
split(struct lines *l, const char *text, size_t size)
{
	const char *p = text, *end = text + size, *next;
	int n = 0;

	while (p != NULL && p < end) {
		next = memchr(p, '\n', (size_t)(end - p));
		p = next != NULL ? next + 1 : end;
		n++;
	}
	l->n = 0;
	l->at = need(calloc((size_t)n + 1, sizeof(l->at[0])));
	l->edited = need(calloc((size_t)n + 1, sizeof(l->edited[0])));
	for (p = text; l->n < n; p = next) {
		l->at[l->n++] = p;
		next = memchr(p, '\n', (size_t)(end - p));
		next = next != NULL ? next + 1 : end;
	}
	l->at[n] = end;
}

static size_t
length(const struct lines *l, int i)
{
	return (size_t)(l->at[i + 1] - l->at[i]);
}

static bool
equal(const struct lines *a, int i, const struct lines *b, int j)
{
	return length(a, i) == length(b, j) && memcmp(a->at[i], b->at[j], length(a, i)) == 0;
}

/* ---- Myers: the shortest script from a[from, a_to) to b[from, b_to) ---- */

struct script {
	struct lines *a, *b;
	int from, n, m;           /* lines in front that are equal; lines left on both sides */
	int *v;                   /* farthest x on each diagonal k, at v[EDITS_MAX + 1 + k] */
	int *rows[EDITS_MAX + 1]; /* v as it was before each d */
};

static int
go_down(const int *v, int k, int d)
{
	return k == -d || (k != d && v[k - 1] < v[k + 1]);
}

/* One round of d edits.  Returns true where the end is reached. */
static bool
extend(struct script *s, int *v, int d)
{
	int k, x, y;

	for (k = -d; k <= d; k += 2) {
		x = go_down(v, k, d) ? v[k + 1] : v[k - 1] + 1;
		y = x - k;
		while (
		    x < s->n && y < s->m && y >= 0 && equal(s->a, s->from + x, s->b, s->from + y)) {
			x++;
			y++;
		}
		v[k] = x;
		if (x >= s->n && y >= s->m)
			return true;
	}
	return false;
}

/* From the end back to the start, marking what was removed and added. */
static void
trace(struct script *s, int d)
{
	int x = s->n, y = s->m, k, before;

	for (; d > 0; d--) {
		const int *v = s->rows[d] + d; /* rows[d] holds diagonals -d to d */

		k = x - y;
		before = go_down(v, k, d) ? k + 1 : k - 1;
		if (before == k + 1) {
			y = v[before] - before;
			x = v[before];
			s->b->edited[s->from + y] = true;
		} else {
			x = v[before];
			y = x - before;
			s->a->edited[s->from + x] = true;
		}
	}
}

static bool
find_script(struct script *s)
{
	int *v = s->v + EDITS_MAX + 1, d, last = -1;

	memset(s->v, 0, (2 * EDITS_MAX + 3) * sizeof(s->v[0]));
	for (d = 0; d <= EDITS_MAX; d++) {
		s->rows[d] = need(malloc((size_t)(2 * d + 1) * sizeof(v[0])));
		memcpy(s->rows[d], v - d, (size_t)(2 * d + 1) * sizeof(v[0]));
		last = d;
		if (extend(s, v, d)) {
			trace(s, d);
			break;
		}
	}
	for (; last >= 0; last--)
		free(s->rows[last]);
	return d <= EDITS_MAX;
}

static void
compare(struct lines *a, struct lines *b)
{
	struct script *s = need(calloc(1, sizeof(*s)));
	int i;

	s->a = a;
	s->b = b;
	s->n = a->n;
	s->m = b->n;
	while (s->n > 0 && s->m > 0 && equal(a, s->from, b, s->from)) {
		s->from++;
		s->n--;
		s->m--;
	}
	while (s->n > 0 && s->m > 0 && equal(a, s->from + s->n - 1, b, s->from + s->m - 1)) {
		s->n--;
		s->m--;
	}
	s->v = need(malloc((2 * EDITS_MAX + 3) * sizeof(s->v[0])));
	if (!find_script(s)) {
		for (i = 0; i < s->n; i++)
			a->edited[s->from + i] = true;
		for (i = 0; i < s->m; i++)
			b->edited[s->from + i] = true;
	}
	free(s->v);
	free(s);
}

/* ---- Printing ---- */

static void
print_line(FILE *out, char sign, const struct lines *l, int i)
{
	const size_t n = length(l, i);

	putc(sign, out);
	fwrite(l->at[i], 1, n, out);
	if (l->at[i][n - 1] != '\n')
		fputs("\n\\ No newline at end of file\n", out);
}

static void
print_range(FILE *out, char sign, int from, int n)
{
	fprintf(out, "%c%d", sign, n > 0 ? from + 1 : from);
	if (n != 1)
		fprintf(out, ",%d", n);
}

/* The first line at or behind i that is not equal on both sides; *j keeps step.  False: none. */
static bool
next_edit(const struct lines *a, const struct lines *b, int *i, int *j)
{
	while (*i < a->n && *j < b->n && !a->edited[*i] && !b->edited[*j]) {
		++*i;
		++*j;
	}
	return *i < a->n || *j < b->n;
}

/* The end of the hunk whose first edit is at i, j: until more than twice CONTEXT lines are equal.
 */
static void
hunk_end(const struct lines *a, const struct lines *b, int *i, int *j)
{
	int x, y;

	do {
		while (*i < a->n && a->edited[*i])
			++*i;
		while (*j < b->n && b->edited[*j])
			++*j;
		x = *i;
		y = *j;
		if (!next_edit(a, b, &x, &y) || x - *i > 2 * CONTEXT)
			break;
		*i = x;
		*j = y;
	} while (*i < a->n || *j < b->n);
}

static void
print_hunk(
    FILE *out, const struct lines *a, const struct lines *b, const int from[2], const int to[2])
{
	int i = from[0], j = from[1];

	fputs("@@ ", out);
	print_range(out, '-', from[0], to[0] - from[0]);
	putc(' ', out);
	print_range(out, '+', from[1], to[1] - from[1]);
	fputs(" @@\n", out);
	while (i < to[0] || j < to[1]) {
		if (i < to[0] && a->edited[i]) {
			print_line(out, '-', a, i++);
		} else if (j < to[1] && b->edited[j]) {
			print_line(out, '+', b, j++);
		} else {
			print_line(out, ' ', a, i++);
			j++;
		}
	}
}

static int
at_most(int a, int b)
{
	return a < b ? a : b;
}

void
changes_text_print(FILE *out, const char *path, const char *a_text, size_t a_size,
    const char *b_text, size_t b_size)
{
	struct lines a, b;
	int i = 0, j = 0, from[2], to[2], lead, tail;

	split(&a, a_text != NULL ? a_text : "", a_text != NULL ? a_size : 0);
	split(&b, b_text != NULL ? b_text : "", b_text != NULL ? b_size : 0);
	compare(&a, &b);
	fprintf(out, "--- %s%s\n", a_text != NULL ? "a/" : "/dev/null", a_text != NULL ? path : "");
	fprintf(out, "+++ %s%s\n", b_text != NULL ? "b/" : "/dev/null", b_text != NULL ? path : "");
	while (next_edit(&a, &b, &i, &j)) {
		lead = at_most(CONTEXT, at_most(i, j));
		from[0] = i - lead;
		from[1] = j - lead;
		hunk_end(&a, &b, &i, &j);
		tail = at_most(CONTEXT, at_most(a.n - i, b.n - j));
		to[0] = i + tail;
		to[1] = j + tail;
		print_hunk(out, &a, &b, from, to);
	}
	free(a.at);
	free(a.edited);
	free(b.at);
	free(b.edited);
}
