/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: usage, exit codes, and a round through the store. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/image/image_test.h"

/* Runs the command in a child, with its output in a file; returns the exit code. */
static int
run(struct fixture *f, const char *line)
{
	char *copy = image_format("%s", line), *save = NULL, *words[8] = {NULL};
	char *out = image_format("%s/out", f->dir);
	int n = 0, status;
	pid_t pid;

	for (char *w = strtok_r(copy, " ", &save); w != NULL && n < 7;
	     w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (freopen(out, "w", stdout) == NULL || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
			_exit(99);
		setenv("GONDOLIN_IMAGE_DIR", f->store.path, 1);
		status = image_cli_main(n, words);
		fflush(stdout);
		_exit(status);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	free(out);
	free(copy);
	CU_ASSERT_TRUE(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* True where the last command's output has this text. */
static bool
said(struct fixture *f, const char *text)
{
	char *path = image_format("%s/out", f->dir), *bytes = NULL;
	size_t n;
	bool found;

	CU_ASSERT_EQUAL_FATAL(image_get_file(-1, path, 1 << 20, &bytes, &n), 0);
	found = strstr(bytes, text) != NULL;
	if (!found)
		fprintf(stderr, "\nsaid: %s  want: %s\n", bytes, text);
	free(bytes);
	free(path);
	return found;
}

static void
usage(void)
{
	static const struct {
		const char *line;
		int code;
		const char *text;
	} rows[] = {
	    {"image", 2, "usage: gondolin image COMMAND"},
	    {"image --help", 0, "build    RECIPE"},
	    {"image frobnicate", 2, "no command \"frobnicate\""},
	    {"image build", 2, "usage: gondolin image build RECIPE"},
	    {"image build --help", 0, "--size SIZE"},
	    {"build --help", 0, "usage: gondolin image build"},
	    {"image build mini --size 3", 2, "--size is a number"},
	    {"image build mini --size", 2, "--size needs a value"},
	    {"image build mini extra", 2, "usage: gondolin image build RECIPE"},
	    {"image ls --force", 2, "unknown option --force"},
	    {"image ls --json=1", 2, "unknown option --json=1"},
	    {"image rm --help", 0, "--force"},
	    {"image tag x", 2, "usage: gondolin image tag"},
	    {"image inspect nothing", 1, "no image \"nothing\""},
	    {"image rm nothing", 1, "no image \"nothing\""},
	    {"build nowhere", 1, "recipe "},
	};
	struct fixture f;

	fixture_make(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(run(&f, rows[i].line), rows[i].code);
		CU_ASSERT_TRUE(said(&f, rows[i].text));
	}
	fixture_remove(&f);
}

static void
round_trip(void)
{
	struct fixture f;
	char id[IMAGE_ID_LENGTH + 1], *line;

	fixture_make(&f);
	fabricate(f.source, 1, id);
	line = image_format("image import %s --tag=made", f.source);
	CU_ASSERT_EQUAL(run(&f, line), 0);
	CU_ASSERT_TRUE(said(&f, id));
	free(line);
	CU_ASSERT_EQUAL(run(&f, "image tag made other:1"), 0);
	CU_ASSERT_EQUAL(run(&f, "image ls"), 0);
	CU_ASSERT_TRUE(said(&f, "made:latest") && said(&f, "other:1"));
	CU_ASSERT_EQUAL(run(&f, "image ls --json"), 0);
	CU_ASSERT_TRUE(said(&f, "\"tags\":[\"made:latest\",\"other:1\"]"));
	CU_ASSERT_EQUAL(run(&f, "image inspect other:1"), 0);
	CU_ASSERT_TRUE(said(&f, "made-up"));
	CU_ASSERT_EQUAL(run(&f, "image inspect made --json"), 0);
	CU_ASSERT_TRUE(said(&f, "\"manifest\":{\"format\":1"));
	CU_ASSERT_EQUAL(run(&f, "image verify made --quiet"), 0);
	CU_ASSERT_TRUE(said(&f, "is whole"));
	line = image_format("image rm %.12s", id);
	CU_ASSERT_EQUAL(run(&f, line), 1);
	CU_ASSERT_TRUE(said(&f, "--force"));
	free(line);
	CU_ASSERT_EQUAL(run(&f, "image rm made"), 0);
	CU_ASSERT_EQUAL(run(&f, "image rm --force other:1"), 0);
	CU_ASSERT_EQUAL(run(&f, "image ls --json"), 0);
	CU_ASSERT_TRUE(said(&f, "[]"));
	fixture_remove(&f);
}

void
add_command_suite(void)
{
	CU_pSuite suite = CU_add_suite("command", NULL, NULL);

	CU_add_test(suite, "usage", usage);
	CU_add_test(suite, "round trip", round_trip);
}
