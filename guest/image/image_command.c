/* SPDX-License-Identifier: Apache-2.0 */
/* `gondolin image` and `gondolin build`: the store and the builder for people. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "guest/image/private.h"
#include "guest/image/recipe.h"
#include "ipc/json.h"
#include "ipc/log.h"

#define EXIT_USAGE    2
#define EXIT_SIGNAL   130 /* as after a SIGINT */
#define REDRAW_NS     100000000ll
#define COLUMNS_PLAIN 80

/* What a command line says; the words are those that are no options. */
struct arguments {
	const char *words[2];
	size_t n_words;
	const char *tag, *size, *guest, *log;
	bool json, quiet, force, help;
};

enum {
	OPTION_TAG = 1 << 0,
	OPTION_SIZE = 1 << 1,
	OPTION_GUEST = 1 << 2,
	OPTION_LOG = 1 << 3,
	OPTION_JSON = 1 << 4,
	OPTION_QUIET = 1 << 5,
	OPTION_FORCE = 1 << 6,
	OPTION_HELP = 1 << 7,
};

static const struct option {
	const char *name;
	unsigned bit;
	bool takes_value;
	size_t offset; /* in struct arguments: const char * or bool */
	const char *help;
} options[] = {
    {"--tag", OPTION_TAG, true, offsetof(struct arguments, tag),
	"--tag NAME[:TAG]   how the image is to be called"},
    {"--size", OPTION_SIZE, true, offsetof(struct arguments, size),
	"--size SIZE        of the root file system: a number with M or G"},
    {"--guest", OPTION_GUEST, true, offsetof(struct arguments, guest),
	"--guest FILE       another gondolin-guest than the one beside this program"},
    {"--log", OPTION_LOG, true, offsetof(struct arguments, log),
	"--log FILE         append what the programs print that the build runs"},
    {"--json", OPTION_JSON, false, offsetof(struct arguments, json),
	"--json             for machines"},
    {"--quiet", OPTION_QUIET, false, offsetof(struct arguments, quiet),
	"--quiet            no progress; print the build id alone"},
    {"--force", OPTION_FORCE, false, offsetof(struct arguments, force),
	"--force            remove the image with all its tags"},
    {"--help", OPTION_HELP, false, offsetof(struct arguments, help), NULL},
};

/* The terminal's progress line. */
struct display {
	bool on;
	char last[160];
	int64_t drawn_ns;
};

static volatile int interrupted;

static void
on_signal(int number)
{
	interrupted = number;
}

/* A build that is interrupted cleans up; so the signals only set a flag. */
static void
catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
show_step(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	struct display *d = ctx;
	struct winsize size;
	char line[160], safe[160];
	int64_t now = now_ns();
	int columns = COLUMNS_PLAIN;

	/* A new step is shown at once, the same one only as often as eyes can follow. */
	if (!d->on || (strcmp(d->last, what) == 0 && now - d->drawn_ns < REDRAW_NS))
		return;
	snprintf(d->last, sizeof(d->last), "%s", what);
	d->drawn_ns = now;
	if (total > 0)
		snprintf(line, sizeof(line), "%s: %u %%", what, (unsigned)(done * 100 / total));
	else
		snprintf(line, sizeof(line), "%s ...", what);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		columns = size.ws_col;
	log_escape(safe, sizeof(safe), line, strlen(line));
	fprintf(stderr, "\r\033[K%.*s", columns - 1, safe);
}

static void
end_display(const struct display *d)
{
	if (d->on && d->last[0] != '\0')
		fputs("\r\033[K", stderr);
}

static struct image_progress
start_display(struct display *d, bool quiet)
{
	*d = (struct display){.on = !quiet && isatty(STDERR_FILENO)};
	catch_signals();
	return (struct image_progress){.step = show_step, .ctx = d, .cancel = &interrupted};
}

static int
failed(const char *error)
{
	log_line("gondolin image: %s", error);
	return interrupted != 0 ? EXIT_SIGNAL : EXIT_FAILURE;
}

/* Bytes for people: "12.3 MB". */
static void
human_size(uint64_t bytes, char out[16])
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
	double n = (double)bytes;
	size_t unit = 0;

	for (; n >= 1000 && unit < 4; unit++)
		n /= 1000;
	snprintf(out, 16, unit == 0 ? "%.0f %s" : "%.1f %s", n, units[unit]);
}

static void
human_time(int64_t when, char out[32])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(out, 32, "?");
}

static int
command_build(struct image_store *s, const struct arguments *a)
{
	char error[IMAGE_ERROR_SIZE], id[IMAGE_ID_LENGTH + 1];
	struct display display;
	struct image_build_options o = {
	    .recipe = a->words[0], .tag = a->tag, .guest = a->guest, .log_fd = -1};
	int64_t start = now_ns();
	int result;

	if (a->size != NULL && recipe_size(a->size, &o.size) < 0) {
		log_line("gondolin image: --size is a number with M or G, from 16M to 1T");
		return EXIT_USAGE;
	}
	if (a->log != NULL) {
		o.log_fd = open(a->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (o.log_fd == -1) {
			log_line("gondolin image: %s: %s", a->log, strerror(errno));
			return EXIT_FAILURE;
		}
	}
	o.progress = start_display(&display, a->quiet);
	result = image_build(s, &o, id, error, sizeof(error));
	end_display(&display);
	if (o.log_fd != -1)
		close(o.log_fd);
	if (result < 0)
		return failed(error);
	if (a->quiet)
		printf("%s\n", id);
	else
		printf("%s built in %.1f s\n", id, (double)(now_ns() - start) / 1e9);
	return EXIT_SUCCESS;
}

static int
command_import(struct image_store *s, const struct arguments *a)
{
	char error[IMAGE_ERROR_SIZE], id[IMAGE_ID_LENGTH + 1];
	struct display display;
	struct image_progress progress = start_display(&display, a->quiet);
	int result = image_import(s, a->words[0], a->tag, &progress, id, error, sizeof(error));

	end_display(&display);
	if (result < 0)
		return failed(error);
	printf("%s\n", id);
	return EXIT_SUCCESS;
}

static void
entry_json(struct json_writer *w, const struct image_entry *e)
{
	json_open(w, '{');
	json_member_string(w, "id", e->id);
	json_key(w, "tags");
	json_open(w, '[');
	for (size_t i = 0; i < e->n_tags; i++)
		json_put_string(w, e->tags[i]);
	json_close(w, ']');
	json_member_bool(w, "broken", e->broken);
	json_member_integer(w, "disk", (int64_t)e->disk);
	if (!e->broken) {
		json_member_string(w, "recipe", e->manifest.recipe);
		json_member_string(w, "arch", e->manifest.arch);
		json_member_string(w, "kernel_release", e->manifest.kernel_release);
		json_member_integer(w, "created", e->manifest.created);
	}
	json_close(w, '}');
}

static void
entry_row(const struct image_entry *e, const char *tag)
{
	char size[16], created[32] = "-";

	human_size(e->disk, size);
	if (!e->broken)
		human_time(e->manifest.created, created);
	printf("%-24s %.*s  %-10s %-8s %-16s %9s%s\n", tag, (int)IMAGE_SHORT_ID, e->id,
	    e->manifest.recipe[0] != '\0' ? e->manifest.recipe : "-",
	    e->manifest.arch[0] != '\0' ? e->manifest.arch : "-", created, size,
	    e->broken ? "  broken: remove it" : "");
}

static int
command_ls(struct image_store *s, const struct arguments *a)
{
	char error[IMAGE_ERROR_SIZE];
	struct image_list list;
	struct json_writer w;

	if (image_list_read(s, &list, error, sizeof(error)) < 0)
		return failed(error);
	if (a->json) {
		json_writer_init(&w);
		json_open(&w, '[');
		for (size_t i = 0; i < list.n; i++)
			entry_json(&w, &list.entries[i]);
		json_close(&w, ']');
		printf("%s\n", w.text);
		json_writer_clear(&w);
	} else {
		printf("%-24s %-12s  %-10s %-8s %-16s %9s\n", "TAG", "ID", "RECIPE", "ARCH",
		    "CREATED (UTC)", "ON DISK");
		for (size_t i = 0; i < list.n; i++) {
			const struct image_entry *e = &list.entries[i];

			for (size_t k = 0; k < e->n_tags; k++)
				entry_row(e, e->tags[k]);
			if (e->n_tags == 0)
				entry_row(e, "-");
		}
	}
	image_list_clear(&list);
	return EXIT_SUCCESS;
}

static void
inspect_json(const struct image *i)
{
	size_t n;
	char *manifest = image_manifest_write(&i->manifest, &n);
	struct json_writer w;

	json_writer_init(&w);
	json_put_string(&w, i->directory);
	/* The manifest is an object already: it is put in whole, without its newline. */
	printf("{\"id\":\"%s\",\"directory\":%s,\"manifest\":%.*s}\n", i->id, w.text, (int)n - 1,
	    manifest);
	json_writer_clear(&w);
	free(manifest);
}

static void
inspect_text(const struct image *i)
{
	const struct image_manifest *m = &i->manifest;
	char text[32];

	human_time(m->created, text);
	printf("id         %s\ndirectory  %s\nrecipe     %s\narch       %s\ncreated    %s UTC\n"
	       "kernel     %s\ncmdline    %s\n",
	    i->id, i->directory, m->recipe, m->arch, text, m->kernel_release, m->cmdline);
	for (int k = 0; k < IMAGE_PARTS; k++) {
		human_size(m->parts[k].size, text);
		printf("%-10s %s, %s, sha256 %s\n", image_part_names[k], m->parts[k].file, text,
		    m->parts[k].sha256);
	}
	printf("packages   %zu\n", m->n_packages);
	for (size_t k = 0; k < m->n_packages; k++)
		printf("           %s\n", m->packages[k]);
}

static int
command_inspect(struct image_store *s, const struct arguments *a)
{
	char error[IMAGE_ERROR_SIZE];
	struct image i;

	if (image_resolve(s, a->words[0], &i, error, sizeof(error)) < 0)
		return failed(error);
	(a->json ? inspect_json : inspect_text)(&i);
	image_close(&i);
	return EXIT_SUCCESS;
}

static int
command_verify(struct image_store *s, const struct arguments *a)
{
	char error[IMAGE_ERROR_SIZE];
	struct display display;
	struct image_progress progress = start_display(&display, a->quiet);
	struct image i;
	int result = image_resolve(s, a->words[0], &i, error, sizeof(error));

	if (result < 0)
		return failed(error);
	result = image_verify(&i, &progress, error, sizeof(error));
	end_display(&display);
	if (result == 0)
		printf("%s is whole\n", i.id);
	image_close(&i);
	return result < 0 ? failed(error) : EXIT_SUCCESS;
}

static int
command_tag(struct image_store *s, const struct arguments *a)
{
	char error[IMAGE_ERROR_SIZE];
	struct image i;
	int result = image_resolve(s, a->words[0], &i, error, sizeof(error));

	if (result < 0)
		return failed(error);
	result = image_tag(s, i.id, a->words[1], error, sizeof(error));
	image_close(&i);
	return result < 0 ? failed(error) : EXIT_SUCCESS;
}

static int
command_rm(struct image_store *s, const struct arguments *a)
{
	char error[IMAGE_ERROR_SIZE];

	if (image_remove(s, a->words[0], a->force, error, sizeof(error)) < 0)
		return failed(error);
	return EXIT_SUCCESS;
}

static const struct command {
	const char *name;
	const char *words; /* what the words mean */
	size_t n_words;
	unsigned options;
	const char *help;
	int (*run)(struct image_store *s, const struct arguments *a);
} commands[] = {
    {"build", "RECIPE", 1, OPTION_TAG | OPTION_SIZE | OPTION_GUEST | OPTION_LOG | OPTION_QUIET,
	"build an image: mini, debian, or the path of a recipe", command_build},
    {"ls", "", 0, OPTION_JSON, "list the images", command_ls},
    {"inspect", "IMAGE", 1, OPTION_JSON, "show what an image is made of", command_inspect},
    {"verify", "IMAGE", 1, OPTION_QUIET, "hash every part and compare", command_verify},
    {"tag", "IMAGE NAME[:TAG]", 2, 0, "give an image another name", command_tag},
    {"rm", "IMAGE", 1, OPTION_FORCE, "remove a tag, and the image with its last one", command_rm},
    {"import", "DIRECTORY", 1, OPTION_TAG | OPTION_QUIET,
	"copy an image into the store, checking it", command_import},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define N_OPTIONS  (sizeof(options) / sizeof(options[0]))

static void
print_commands(FILE *f)
{
	fputs("usage: gondolin image COMMAND [...]\n", f);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(
		    f, "  %-8s %-17s %s\n", commands[i].name, commands[i].words, commands[i].help);
	fputs("IMAGE is a tag (name or name:tag), a build id or its first digits, or a directory.\n"
	      "`gondolin image COMMAND --help` says more.\n",
	    f);
}

static void
print_help(const struct command *c)
{
	printf("usage: gondolin image %s %s%s\n%s\n", c->name, c->words,
	    c->options != 0 ? " [options]" : "", c->help);
	for (size_t i = 0; i < N_OPTIONS; i++)
		if ((c->options & options[i].bit) != 0)
			printf("  %s\n", options[i].help);
}

/* The option that a word is, for this command; *value points past its '=', or is NULL. */
static const struct option *
find_option(const struct command *c, const char *word, const char **value)
{
	size_t n = strcspn(word, "=");

	*value = word[n] == '=' ? word + n + 1 : NULL;
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (((c->options | OPTION_HELP) & options[i].bit) != 0 &&
		    strlen(options[i].name) == n && strncmp(word, options[i].name, n) == 0)
			return &options[i];
	return NULL;
}

/* Returns 0, or the exit code after it wrote a line. */
static int
parse_arguments(const struct command *c, int argc, char **argv, struct arguments *a)
{
	bool words_only = false;

	for (int i = 0; i < argc; i++) {
		const struct option *o;
		const char *value;

		if (words_only || argv[i][0] != '-') {
			if (a->n_words == c->n_words)
				goto usage;
			a->words[a->n_words++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			words_only = true;
			continue;
		}
		o = find_option(c, argv[i], &value);
		if (o == NULL || (value != NULL && !o->takes_value)) {
			log_line(
			    "gondolin image %s: unknown option %s; see --help", c->name, argv[i]);
			return EXIT_USAGE;
		}
		if (o->takes_value && value == NULL && ++i == argc) {
			log_line("gondolin image %s: %s needs a value", c->name, o->name);
			return EXIT_USAGE;
		}
		if (o->takes_value)
			*(const char **)((char *)a + o->offset) = value != NULL ? value : argv[i];
		else
			*(bool *)((char *)a + o->offset) = true;
	}
	if (a->help || a->n_words == c->n_words)
		return 0;
usage:
	log_line("usage: gondolin image %s %s; see --help", c->name, c->words);
	return EXIT_USAGE;
}

static int
run_command(const struct command *c, int argc, char **argv)
{
	char error[IMAGE_ERROR_SIZE];
	struct arguments a = {.n_words = 0};
	struct image_store store;
	int code = parse_arguments(c, argc, argv, &a);

	if (code != 0)
		return code;
	if (a.help) {
		print_help(c);
		return EXIT_SUCCESS;
	}
	if (image_store_open(&store, NULL, error, sizeof(error)) < 0)
		return failed(error);
	code = c->run(&store, &a);
	image_store_close(&store);
	return code;
}

int
image_cli_main(int argc, char **argv)
{
	if (argc >= 1 && strcmp(argv[0], "build") == 0)
		return run_command(&commands[0], argc - 1, argv + 1);
	if (argc < 2) {
		print_commands(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_commands(stdout);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return run_command(&commands[i], argc - 2, argv + 2);
	log_line("gondolin image: no command \"%s\"; see `gondolin image --help`", argv[1]);
	return EXIT_USAGE;
}
