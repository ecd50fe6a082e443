/* SPDX-License-Identifier: Apache-2.0 */
/* Reading recipes, with libConfuse. */
#include "guest/image/recipe.h"

#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/image/private.h"

#define SIZE_MIN       (16ull << 20)
#define SIZE_MAX_IMAGE IMAGE_PART_SIZE_MAX

int
recipe_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0)
		return -EINVAL;
	if (*end != '\0') {
		unit = strchr(units, *end);
		if (unit == NULL || end[1] != '\0')
			return -EINVAL;
		for (; unit >= units; unit--) {
			if (n > SIZE_MAX_IMAGE)
				return -EINVAL;
			n *= 1024;
		}
	}
	if (n < SIZE_MIN || n > SIZE_MAX_IMAGE)
		return -EINVAL;
	*bytes = n;
	return 0;
}

char *
recipe_beside_program(const char *relative, const char *fallback)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *path, *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		*slash = '\0';
		path = image_format("%s/%s", self, relative);
		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return image_format("%s", fallback);
}

static char *
recipe_path(const char *name)
{
	const char *env = getenv("GONDOLIN_RECIPE_DIR");
	char *dir, *path;

	if (strchr(name, '/') != NULL)
		return image_format("%s", name);
	if (env != NULL && env[0] != '\0')
		dir = image_format("%s", env);
	else
		dir = recipe_beside_program("../share/gondolin/recipes", GONDOLIN_RECIPE_DIR);
	path = image_format("%s/%s.conf", dir, name);
	free(dir);
	return path;
}

/* libConfuse's messages end here; it passes no context but the option's title. */
struct complaint {
	char *error;
	size_t error_size;
};

static _Thread_local struct complaint *current;

static void __attribute__((format(printf, 2, 0)))
complain(cfg_t *cfg, const char *format, va_list ap)
{
	char reason[IMAGE_ERROR_SIZE / 2];

	if (current == NULL || current->error[0] != '\0')
		return;
	vsnprintf(reason, sizeof(reason), format, ap);
	log_fail(current->error, current->error_size, 0, "%s:%d: %s",
	    cfg != NULL && cfg->filename != NULL ? cfg->filename : "recipe",
	    cfg != NULL ? cfg->line : 0, reason);
}

static char **
take_list(cfg_t *cfg, const char *option)
{
	unsigned n = cfg_size(cfg, option);
	char **list = calloc((size_t)n + 1, sizeof(*list));

	if (list == NULL)
		abort();
	for (unsigned i = 0; i < n; i++)
		list[i] = image_format("%s", cfg_getnstr(cfg, option, i));
	return list;
}

static void
free_list(char **list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

/* Debian policy 5.6.7, and "=version", "/suite", ":arch" as apt-get takes them. */
static bool
package_ok(const char *name)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.:~=/";

	return isalnum((unsigned char)name[0]) && strspn(name, letters) == strlen(name);
}

static bool
target_ok(const char *target)
{
	return target[0] == '/' && target[1] != '\0' && strstr(target, "/../") == NULL &&
	       strstr(target, "//") == NULL && target[strlen(target) - 1] != '/';
}

static bool
mode_ok(const char *text, unsigned *mode)
{
	char *end;
	unsigned long n = strtoul(text, &end, 8);

	*mode = (unsigned)n;
	return isdigit((unsigned char)text[0]) && *end == '\0' && n <= 07777;
}

static int
take_files(struct recipe *r, cfg_t *cfg, const char *path, char *error, size_t error_size)
{
	const char *slash = strrchr(path, '/');
	unsigned n = cfg_size(cfg, "file");

	r->files = calloc((size_t)n + 1, sizeof(*r->files));
	if (r->files == NULL)
		abort();
	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(cfg, "file", i);
		struct recipe_file *f = &r->files[i];
		const char *source = cfg_getstr(section, "source");

		r->n_files++;
		f->target = image_format("%s", cfg_title(section));
		if (!target_ok(f->target))
			return log_fail(error, error_size, -EINVAL,
			    "%s:%d: file \"%s\": give an absolute path in the image", path,
			    section->line, f->target);
		if (!mode_ok(cfg_getstr(section, "mode"), &f->mode))
			return log_fail(error, error_size, -EINVAL,
			    "%s:%d: file \"%s\": mode is octal, from \"0000\" to \"7777\"", path,
			    section->line, f->target);
		if (source == NULL)
			return log_fail(error, error_size, -EINVAL,
			    "%s:%d: file \"%s\" needs a source", path, section->line, f->target);
		f->source = source[0] == '/' || slash == NULL
				? image_format("%s", source)
				: image_format("%.*s/%s", (int)(slash - path), path, source);
	}
	return 0;
}

static int
take_recipe(struct recipe *r, cfg_t *cfg, const char *path, char *error, size_t error_size)
{
	const char *base = cfg_getstr(cfg, "base");

	r->cmdline = image_format("%s", cfg_getstr(cfg, "cmdline"));
	r->packages = take_list(cfg, "packages");
	r->modules = take_list(cfg, "modules");
	r->run = take_list(cfg, "run");
	if (base != NULL && strcmp(base, "busybox") == 0)
		r->base = RECIPE_BUSYBOX;
	else if (base != NULL && strcmp(base, "debian") == 0)
		r->base = RECIPE_DEBIAN;
	else
		return log_fail(error, error_size, -EINVAL, "%s: base is busybox or debian", path);
	if (recipe_size(cfg_getstr(cfg, "size"), &r->size) < 0)
		return log_fail(error, error_size, -EINVAL,
		    "%s: size is a number with K, M, G or T, from 16M to 1T", path);
	if (r->base == RECIPE_BUSYBOX && r->packages[0] != NULL)
		return log_fail(
		    error, error_size, -EINVAL, "%s: packages need base = debian", path);
	for (size_t i = 0; r->packages[i] != NULL; i++)
		if (!package_ok(r->packages[i]))
			return log_fail(error, error_size, -EINVAL, "%s: \"%s\" is no package name",
			    path, r->packages[i]);
	for (size_t i = 0; r->modules[i] != NULL; i++)
		if (!image_file_name_ok(r->modules[i]))
			return log_fail(error, error_size, -EINVAL, "%s: \"%s\" is no module name",
			    path, r->modules[i]);
	if (strlen(r->cmdline) > IMAGE_CMDLINE_MAX || strpbrk(r->cmdline, "\n\r\t") != NULL)
		return log_fail(error, error_size, -EINVAL,
		    "%s: cmdline is one line of at most %u bytes", path, IMAGE_CMDLINE_MAX);
	return take_files(r, cfg, path, error, error_size);
}

static int
take_name(struct recipe *r, const char *path, char *error, size_t error_size)
{
	const char *slash = strrchr(path, '/');
	char tag[IMAGE_TAG_SIZE];
	char *name = image_format("%s", slash != NULL ? slash + 1 : path);
	size_t n = strlen(name);
	int result = 0;

	if (n > 5 && strcmp(name + n - 5, ".conf") == 0)
		name[n - 5] = '\0';
	if (strchr(name, ':') != NULL || image_tag_canonical(name, tag) < 0)
		result = log_fail(error, error_size, -EINVAL,
		    "\"%s\": a recipe's name is of a-z, 0-9, '.', '_' and '-'", name);
	else
		snprintf(r->name, sizeof(r->name), "%s", name);
	free(name);
	return result;
}

static int
parse(struct recipe *r, const char *path, char *error, size_t error_size)
{
	cfg_opt_t file_options[] = {
	    CFG_STR("source", NULL, CFGF_NONE),
	    CFG_STR("mode", "0644", CFGF_NONE),
	    CFG_END(),
	};
	cfg_opt_t options[] = {
	    CFG_STR("base", NULL, CFGF_NONE),
	    CFG_STR("size", "1G", CFGF_NONE),
	    CFG_STR("cmdline", "", CFGF_NONE),
	    CFG_STR_LIST("packages", NULL, CFGF_NONE),
	    CFG_STR_LIST("modules", NULL, CFGF_NONE),
	    CFG_STR_LIST("run", NULL, CFGF_NONE),
	    CFG_SEC("file", file_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	    CFG_END(),
	};
	struct complaint complaint = {.error = error, .error_size = error_size};
	cfg_t *cfg = cfg_init(options, CFGF_NONE);
	int result;

	if (cfg == NULL)
		abort();
	error[0] = '\0';
	current = &complaint;
	cfg_set_error_function(cfg, complain);
	result = cfg_parse(cfg, path);
	current = NULL;
	if (result == CFG_FILE_ERROR)
		result = log_fail(error, error_size, -ENOENT,
		    "recipe %s: %s; the installed ones are mini and debian, or give a path", path,
		    strerror(errno));
	else if (result != CFG_SUCCESS)
		result = -EINVAL;
	else
		result = take_recipe(r, cfg, path, error, error_size);
	cfg_free(cfg);
	return result;
}

int
recipe_read(struct recipe *r, const char *name, char *error, size_t error_size)
{
	char *path = recipe_path(name);
	int result;

	*r = (struct recipe){0};
	result = take_name(r, path, error, error_size);
	if (result == 0)
		result = parse(r, path, error, error_size);
	free(path);
	if (result < 0)
		recipe_clear(r);
	return result;
}

void
recipe_clear(struct recipe *r)
{
	free(r->cmdline);
	free_list(r->packages);
	free_list(r->modules);
	free_list(r->run);
	for (size_t i = 0; i < r->n_files; i++) {
		free(r->files[i].target);
		free(r->files[i].source);
	}
	free(r->files);
	*r = (struct recipe){0};
}
