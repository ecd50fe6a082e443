/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail_coverage [--profile NAME] LOG...: lists each row of the real profiles (or of one) that no
 * line in the logs of jail_collect names.  Exit code 0 where there is none, 1 where there is one, 2
 * on errors.  A row that no test uses goes, or gets its test; or it says itself where it is used
 * (ALLOW_ELSEWHERE), which is printed and does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/jail/rows.h"

#define EXIT_UNUSED 1
#define EXIT_ERROR  2

struct lines {
	char **text;
	size_t n;
};

static bool
read_lines(struct lines *lines, const char *path)
{
	FILE *in = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (in == NULL) {
		perror(path);
		return false;
	}
	while (getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		lines->text = reallocarray(lines->text, lines->n + 1, sizeof(lines->text[0]));
		if (lines->text == NULL)
			abort();
		lines->text[lines->n++] = line;
		line = NULL;
		size = 0;
	}
	free(line);
	fclose(in);
	return true;
}

static unsigned
list_unused(const struct lines *used, const struct jail_profile *p)
{
	char key[ROW_KEY_MAX];
	unsigned unused = 0;
	size_t i, j;

	for (i = 0; i < p->n_syscalls; i++) {
		/* No such call here, or one that is answered and not made. */
		if (p->syscalls[i].number < 0 || p->syscalls[i].error != 0)
			continue;
		row_key(p, &p->syscalls[i], key, sizeof(key));
		for (j = 0; j < used->n && strcmp(used->text[j], key) != 0; j++)
			;
		if (j < used->n)
			continue;
		if (p->syscalls[i].elsewhere != NULL) {
			printf("%s: not here: %s (%s)\n", key, p->syscalls[i].elsewhere,
			    p->syscalls[i].why);
			continue;
		}
		printf("%s: used by no test (%s)\n", key, p->syscalls[i].why);
		unused++;
	}
	return unused;
}

int
main(int argc, char **argv)
{
	const struct jail_profile *one[] = {NULL, NULL};
	const struct jail_profile *const *list = real_profiles;
	struct lines used = {NULL, 0};
	unsigned unused = 0;
	int i = 1;

	if (argc > 2 && strcmp(argv[1], "--profile") == 0) {
		one[0] = profile_find(argv[2]);
		list = one;
		i = 3;
	}
	if (i >= argc || (list == one && one[0] == NULL)) {
		fprintf(stderr, "usage: jail_coverage [--profile NAME] LOG...\n");
		return EXIT_ERROR;
	}
	for (; i < argc; i++)
		if (!read_lines(&used, argv[i]))
			return EXIT_ERROR;
	for (; *list != NULL; list++)
		unused += list_unused(&used, *list);
	return unused > 0 ? EXIT_UNUSED : EXIT_SUCCESS;
}
