/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over every file of a corpus directory, for builds without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 22)

static int
replay_file(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (f == NULL) {
		perror(path);
		return -1;
	}
	n = fread(buf, 1, INPUT_MAX, f);
	fclose(f);
	/* An allocation of just this size lets valgrind see a read past the end. */
	exact = malloc(n != 0 ? n : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, buf, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int
main(int argc, char **argv)
{
	struct dirent **names = NULL;
	char path[4096];
	uint8_t *buf;
	int i, n, ran = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
		return 2;
	}
	n = scandir(argv[1], &names, NULL, alphasort);
	buf = malloc(INPUT_MAX);
	if (n < 0 || buf == NULL) {
		perror(argv[1]);
		return 1;
	}
	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
			if (replay_file(path, buf) < 0)
				return 1;
			ran++;
		}
		free(names[i]);
	}
	free(names);
	free(buf);
	printf("replayed %d inputs\n", ran);
	return ran > 0 ? 0 : 1;
}
