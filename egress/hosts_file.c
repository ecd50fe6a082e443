/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a hosts file. */
#include "egress/hosts_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static void
add_row(struct hosts_file *h, const char *name, const struct address *a)
{
	char *p;

	if (h->n == h->capacity) {
		h->capacity = h->capacity > 0 ? 2 * h->capacity : 16;
		h->v = reallocarray(h->v, h->capacity, sizeof(*h->v));
		if (h->v == NULL)
			abort();
	}
	h->v[h->n].name = strdup(name);
	if (h->v[h->n].name == NULL)
		abort();
	for (p = h->v[h->n].name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	h->v[h->n++].address = *a;
}

static void
take_line(struct hosts_file *h, char *line)
{
	static const char space[] = " \t\r\n";
	char *rest = NULL, *word;
	struct address a;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, space, &rest);
	if (word == NULL || !address_parse(word, &a))
		return;
	while ((word = strtok_r(NULL, space, &rest)) != NULL)
		add_row(h, word, &a);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct hosts_row *)a)->name, ((const struct hosts_row *)b)->name);
}

int
hosts_file_read(struct hosts_file *h, const char *path, size_t max)
{
	FILE *f = fopen(path, "re");
	size_t size = 0, total = 0;
	char *line = NULL;
	ssize_t n;
	int rc = 0;

	memset(h, 0, sizeof(*h));
	if (f == NULL)
		return errno == ENOENT ? 0 : -errno;
	while (rc == 0 && (n = getline(&line, &size, f)) >= 0) {
		total += (size_t)n;
		if (total > max)
			rc = -EFBIG;
		else
			take_line(h, line);
	}
	if (rc == 0 && ferror(f) != 0)
		rc = -EIO;
	free(line);
	(void)fclose(f);
	if (h->n > 0)
		qsort(h->v, h->n, sizeof(*h->v), compare);
	return rc;
}

void
hosts_file_clear(struct hosts_file *h)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		free(h->v[i].name);
	free(h->v);
	memset(h, 0, sizeof(*h));
}

size_t
hosts_file_find(const struct hosts_file *h, const char *name, struct address *out, size_t max)
{
	size_t low = 0, high = h->n, middle, n = 0;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (strcmp(h->v[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < h->n && n < max && strcmp(h->v[low].name, name) == 0; low++)
		out[n++] = h->v[low].address;
	return n;
}
