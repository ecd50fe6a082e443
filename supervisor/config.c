/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From text to struct config: the guard of config_text.c, libConfuse, then a walk along the grammar
 * that reads each value and checks each section.
 */
#include "supervisor/config.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/log.h"
#include "ipc/utf8.h"
#include "supervisor/config_grammar.h"
#include "supervisor/config_text.h"

struct walk {
	struct config_reader r;
	const struct config_text *text;
	char *error;
	size_t error_size;
};

/* What libConfuse keeps for each value. */
struct value {
	unsigned line;
	char text[];
};

static int __attribute__((format(printf, 3, 4)))
fail(struct walk *w, unsigned line, const char *format, ...)
{
	va_list ap;
	int n;

	if (line > 0)
		n = snprintf(w->error, w->error_size, "%s:%u: ", w->r.config->name, line);
	else
		n = snprintf(w->error, w->error_size, "%s: ", w->r.config->name);
	va_start(ap, format);
	if (n >= 0 && (size_t)n < w->error_size)
		vsnprintf(w->error + n, w->error_size - (size_t)n, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- libConfuse ---- */

/*
 * libConfuse gives its callbacks no pointer of ours.  It does hand `path`, a search path that only
 * its include() and cfg_parse() read, from each section to those in it; we use neither.
 */
static void __attribute__((format(printf, 2, 0)))
on_confuse_error(cfg_t *cfg, const char *format, va_list ap)
{
	struct walk *w = (struct walk *)cfg->path;
	char text[160];

	vsnprintf(text, sizeof(text), format, ap);
	if (w->error[0] == '\0')
		fail(w, (unsigned)cfg->line, "%s", text);
}

static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	size_t n = strlen(text) + 1;
	struct value *v = malloc(sizeof(*v) + n);

	(void)opt;
	if (v == NULL)
		abort();
	v->line = (unsigned)cfg->line;
	memcpy(v->text, text, n);
	*(void **)result = v;
	return 0;
}

/* libConfuse's table of a section, made from ours: keys first, then sections. */
static cfg_opt_t *
make_options(struct config *c, const struct config_section_spec *spec)
{
	const cfg_opt_t end = CFG_END();
	cfg_opt_t *opts = config_alloc(c, spec->n_keys + spec->n_sections + 1, sizeof(*opts));
	size_t i, n = 0;

	for (i = 0; i < spec->n_keys; i++) {
		const cfg_opt_t key = CFG_PTR_CB(spec->keys[i].name, NULL,
		    CFGF_NODEFAULT | (spec->keys[i].list ? CFGF_LIST : CFGF_NONE), on_value, free);

		opts[n++] = key;
	}
	for (i = 0; i < spec->n_sections; i++) {
		/* MULTI also where one is allowed: the others exist before they are written. */
		const cfg_opt_t section = CFG_SEC(spec->sections[i].name,
		    make_options(c, &spec->sections[i]),
		    CFGF_MULTI | (spec->sections[i].title != NULL ? CFGF_TITLE | CFGF_NO_TITLE_DUPES
								  : CFGF_NONE));

		opts[n++] = section;
	}
	opts[n] = end;
	return opts;
}

static int
run_confuse(struct walk *w, cfg_t **out)
{
	FILE *f;
	int rc;

	*out = cfg_init(make_options(w->r.config, &config_grammar), CFGF_NONE);
	f = fmemopen(w->text->bytes, w->text->length, "r");
	if (*out == NULL || f == NULL)
		abort();
	(*out)->path = (cfg_searchpath_t *)w;
	cfg_set_error_function(*out, on_confuse_error);
	rc = cfg_parse_fp(*out, f);
	fclose(f);
	(*out)->path = NULL;
	if (rc == CFG_SUCCESS)
		return 0;
	return w->error[0] != '\0' ? -EINVAL : fail(w, 0, "not understood");
}

/* ---- Keys and sections that were written, against the grammar ---- */

static const struct config_section_spec *
spec_of(const struct config_text *t, size_t key)
{
	const struct config_section_spec *parent;
	size_t i;

	if (key == CONFIG_TEXT_NO_KEY)
		return &config_grammar;
	parent = spec_of(t, t->keys[key].parent); /* as deep as CONFIG_TEXT_DEPTH */
	for (i = 0; parent != NULL && i < parent->n_sections; i++)
		if (strcmp(parent->sections[i].name, t->keys[key].name) == 0)
			return &parent->sections[i];
	return NULL;
}

/* "unknown key; use a, b or c": all that may stand there. */
static int
fail_unknown(struct walk *w, const struct config_key *k, const struct config_section_spec *spec)
{
	char known[400] = "";
	size_t i, n = spec->n_keys + spec->n_sections, used = 0;
	const char *name;

	for (i = 0; i < n && used < sizeof(known); i++) {
		name =
		    i < spec->n_keys ? spec->keys[i].name : spec->sections[i - spec->n_keys].name;
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		    i == 0       ? ""
		    : i + 1 == n ? " or "
				 : ", ",
		    name);
	}
	return fail(w, k->line, "unknown key %.40s; use %s", k->name, known);
}

static int
check_shape(struct walk *w, const struct config_key *k, const struct config_section_spec *parent,
    const struct config_section_spec **section)
{
	bool key = false;
	size_t i;

	*section = NULL;
	for (i = 0; i < parent->n_keys; i++)
		key |= strcmp(parent->keys[i].name, k->name) == 0;
	for (i = 0; i < parent->n_sections; i++)
		if (strcmp(parent->sections[i].name, k->name) == 0)
			*section = &parent->sections[i];
	if (!key && *section == NULL)
		return fail_unknown(w, k, parent);
	if (key && k->section)
		return fail(w, k->line, "%s is no section; write %s = ...", k->name, k->name);
	if (*section != NULL && !k->section)
		return fail(w, k->line, "%s is a section; write %s%s { ... }", k->name, k->name,
		    (*section)->title != NULL ? " \"...\"" : "");
	if (*section != NULL && k->titled != ((*section)->title != NULL))
		return fail(w, k->line, "%s %s; write %s%s { ... }", k->name,
		    k->titled ? "has no title" : "needs a title", k->name,
		    k->titled ? "" : " \"...\"");
	return 0;
}

static int
check_keys(struct walk *w)
{
	const struct config_section_spec *section;
	size_t i, j, count;
	int rc;

	for (i = 0; i < w->text->n_keys; i++) {
		const struct config_key *k = &w->text->keys[i], *other;

		rc = check_shape(w, k, spec_of(w->text, k->parent), &section);
		if (rc < 0)
			return rc;
		count = 1;
		for (j = i; j-- > 0;) {
			other = &w->text->keys[j];
			if (other->parent != k->parent || strcmp(other->name, k->name) != 0)
				continue;
			count++;
			if (section == NULL || section->presence != CONFIG_MANY)
				return fail(w, k->line, "%s is given twice; first on line %u",
				    k->name, other->line);
		}
		if (count > CONFIG_SECTIONS_MAX)
			return fail(w, k->line, "too many %s sections; use at most %u", k->name,
			    CONFIG_SECTIONS_MAX);
	}
	return 0;
}

/* The n-th key of that name in a section, which the guard has seen. */
static size_t
find_key(const struct config_text *t, size_t parent, const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < t->n_keys; i++)
		if (t->keys[i].parent == parent && strcmp(t->keys[i].name, name) == 0 && n-- == 0)
			return i;
	return CONFIG_TEXT_NO_KEY;
}

/* ---- The walk ---- */

static int
fail_value(struct walk *w, const char *key, const struct value *v, const char *why)
{
	char shown[80];

	return fail(w, v->line, "%s = \"%s\": %s", key,
	    log_escape(shown, sizeof(shown), v->text, strlen(v->text)), why);
}

/*
 * Room for n more elements of a list {v, n} behind those of an earlier text.  One more than needed,
 * zero: the NULL behind a list of strings.  Returns the place of the first of the n.
 */
static void *
grow_list(struct walk *w, const struct config_key_spec *spec, void *field, size_t n, bool fresh)
{
	size_t old = 0, all;
	void *before, *list;

	if (!fresh)
		memcpy(&old, (char *)field + sizeof(list), sizeof(old));
	memcpy(&before, field, sizeof(before));
	all = old + n;
	list = config_alloc(w->r.config, all + 1, spec->element);
	if (old > 0)
		memcpy(list, before, old * spec->element);
	memcpy(field, &list, sizeof(list));
	memcpy((char *)field + sizeof(list), &all, sizeof(all));
	return (char *)list + old * spec->element;
}

static int
read_key(
    struct walk *w, const struct config_key_spec *spec, cfg_opt_t *opt, void *section, bool fresh)
{
	void *field = (char *)section + spec->offset, *out = field;
	size_t i, n = cfg_opt_size(opt);
	const struct value *v;
	const char *why;

	if (n > CONFIG_WORDS_MAX)
		return fail(w, ((struct value *)opt->values[0]->ptr)->line,
		    "%s has too many values; use at most %u", spec->name, CONFIG_WORDS_MAX);
	if (n == 0 && !fresh)
		return 0;
	if (spec->element != 0)
		out = grow_list(w, spec, field, n, fresh);
	for (i = 0; i < n; i++) {
		v = opt->values[i]->ptr;
		w->r.line = v->line;
		w->r.index = i;
		why = strlen(v->text) > CONFIG_VALUE_MAX ? "too long; use at most 65535 bytes"
		      : !utf8_is_valid(v->text, strlen(v->text))
			  ? "not UTF-8; use UTF-8 text"
			  : spec->read(&w->r, v->text, (char *)out + i * spec->element, spec->arg);
		if (why != NULL)
			return fail_value(w, spec->name, v, why);
	}
	return 0;
}

static int read_section(struct walk *w, const struct config_section_spec *spec, cfg_t *cfg,
    size_t key, void *section, bool fresh);

/*
 * Where the sections of a kind go: room for n of them, behind those of an earlier text where there
 * may be many.  Sets *fresh where they hold nothing yet.
 */
static void *
section_place(struct walk *w, const struct config_section_spec *spec, size_t n, void *parent,
    bool parent_fresh, bool *fresh)
{
	void *field = (char *)parent + spec->offset, *array, *before;
	size_t old = 0, all;

	*fresh = parent_fresh;
	if (spec->presence == CONFIG_INSIDE)
		return field;
	memcpy(&before, field, sizeof(before));
	if (!parent_fresh && spec->presence == CONFIG_OPTIONAL && before != NULL)
		return before;
	*fresh = true;
	if (!parent_fresh && spec->presence == CONFIG_MANY)
		memcpy(&old, (char *)parent + spec->count_offset, sizeof(old));
	all = old + n;
	array = config_alloc(w->r.config, all, spec->size);
	if (old > 0)
		memcpy(array, before, old * spec->size);
	memcpy(field, &array, sizeof(array));
	if (spec->presence == CONFIG_MANY)
		memcpy((char *)parent + spec->count_offset, &all, sizeof(all));
	return (char *)array + old * spec->size;
}

static int
read_sections(struct walk *w, const struct config_section_spec *spec, cfg_opt_t *opt, size_t parent,
    void *struct_of_parent, bool parent_fresh)
{
	size_t i, n = cfg_opt_size(opt);
	char *place;
	bool fresh;
	int rc;

	if (n == 0) {
		if (parent_fresh && spec->presence == CONFIG_INSIDE && spec->defaults != NULL)
			memcpy((char *)struct_of_parent + spec->offset, spec->defaults, spec->size);
		return 0;
	}
	place = section_place(w, spec, n, struct_of_parent, parent_fresh, &fresh);
	for (i = 0; i < n; i++) {
		if (fresh && spec->defaults != NULL)
			memcpy(place + i * spec->size, spec->defaults, spec->size);
		rc = read_section(w, spec, opt->values[i]->section,
		    find_key(w->text, parent, spec->name, i), place + i * spec->size, fresh);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
read_title(struct walk *w, const struct config_section_spec *spec, const char *title, void *section)
{
	const char *why;
	char shown[80];

	w->r.index = 0;
	why =
	    !utf8_is_valid(title, strlen(title))
		? "not UTF-8; use UTF-8 text"
		: spec->title(&w->r, title, (char *)section + spec->title_offset, spec->title_arg);
	if (why == NULL)
		return 0;
	return fail(w, w->r.line, "%s \"%s\": %s", spec->name,
	    log_escape(shown, sizeof(shown), title, strlen(title)), why);
}

static int
read_section(struct walk *w, const struct config_section_spec *spec, cfg_t *cfg, size_t key,
    void *section, bool fresh)
{
	unsigned line = key != CONFIG_TEXT_NO_KEY ? w->text->keys[key].line : 0;
	const char *why, *title = "";
	char shown[80];
	size_t i;
	int rc = 0;

	if (spec->line_offset != CONFIG_NO_FIELD)
		memcpy((char *)section + spec->line_offset, &line, sizeof(line));
	w->r.line = line;
	if (spec->title != NULL) {
		title = cfg_title(cfg);
		rc = read_title(w, spec, title, section);
	}
	for (i = 0; rc == 0 && i < spec->n_keys; i++)
		rc = read_key(w, &spec->keys[i], &cfg->opts[i], section, fresh);
	for (i = 0; rc == 0 && i < spec->n_sections; i++)
		rc = read_sections(
		    w, &spec->sections[i], &cfg->opts[spec->n_keys + i], key, section, fresh);
	if (rc < 0 || spec->check == NULL)
		return rc;
	w->r.line = line;
	why = spec->check(&w->r, section);
	if (why == NULL)
		return 0;
	if (*title == '\0')
		return fail(
		    w, w->r.line, "%s%s%s", spec->name, *spec->name != '\0' ? ": " : "", why);
	return fail(w, w->r.line, "%s \"%s\": %s", spec->name,
	    log_escape(shown, sizeof(shown), title, strlen(title)), why);
}

/* The keys outlive the parse, in the configuration's own memory, behind those of an earlier text.
 */
static void
keep_keys(struct config *c, const struct config_text *t)
{
	size_t i, old = c->n_keys;
	struct config_key *keys = config_alloc(c, old + t->n_keys, sizeof(*keys));

	if (old > 0)
		memcpy(keys, c->keys, old * sizeof(*keys));
	for (i = 0; i < t->n_keys; i++) {
		keys[old + i] = t->keys[i];
		keys[old + i].name = config_strndup(c, t->keys[i].name, strlen(t->keys[i].name));
		if (t->keys[i].parent != CONFIG_TEXT_NO_KEY)
			keys[old + i].parent += old;
	}
	c->keys = keys;
	c->n_keys = old + t->n_keys;
}

static struct config *
new_config(const char *name)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	memcpy(c, config_grammar.defaults, sizeof(*c));
	c->name = config_strndup(c, name, strlen(name));
	return c;
}

/* Reads a text into w's configuration. */
static int
parse(struct walk *w, const char *text, size_t length, bool fresh)
{
	struct config_text guarded;
	cfg_t *cfg = NULL;
	int rc;

	w->error[0] = '\0';
	/* cppcheck-suppress autoVariables ; it is taken back below */
	w->text = &guarded;
	if (length > CONFIG_FILE_MAX) {
		fail(w, 0, "over %u bytes", CONFIG_FILE_MAX);
		return -EFBIG;
	}
	rc = config_text_read(&guarded, text, length);
	if (rc < 0) {
		fail(w, guarded.line, "%s", guarded.message);
		goto out;
	}
	rc = check_keys(w);
	if (rc < 0)
		goto out;
	keep_keys(w->r.config, &guarded);
	rc = run_confuse(w, &cfg);
	if (rc == 0)
		rc = read_section(w, &config_grammar, cfg, CONFIG_TEXT_NO_KEY, w->r.config, fresh);
out:
	if (cfg != NULL)
		cfg_free(cfg);
	config_text_clear(&guarded);
	w->text = NULL;
	return rc;
}

int
config_parse(struct config **out, const char *name, const char *text, size_t length, char *error,
    size_t error_size)
{
	*out = NULL;
	return config_add(out, name, text, length, error, error_size);
}

int
config_add(struct config **c, const char *name, const char *text, size_t length, char *error,
    size_t error_size)
{
	struct walk w = {.error = error, .error_size = error_size};
	bool fresh = *c == NULL;
	char *name_before;
	int rc;

	if (fresh)
		*c = new_config(name);
	name_before = (*c)->name;
	/* What messages call the text. */
	(*c)->name = config_strndup(*c, name, strlen(name));
	w.r.config = *c;
	rc = parse(&w, text, length, fresh);
	if (rc == 0) {
		(*c)->name = name_before;
		return 0;
	}
	config_free(*c);
	*c = NULL;
	return rc;
}

int
config_load(struct config **out, const char *path, char *error, size_t error_size)
{
	*out = NULL;
	return config_add_file(
	    out, strcmp(path, "-") == 0 ? "<stdin>" : path, path, error, error_size);
}

int
config_add_file(
    struct config **c, const char *name, const char *path, char *error, size_t error_size)
{
	bool is_stdin = strcmp(path, "-") == 0;
	ssize_t length = 0;
	char *text = NULL;
	int fd, rc;

	fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	rc = fd < 0 ? -errno : 0;
	if (rc == 0) {
		text = malloc(CONFIG_FILE_MAX + 1);
		if (text == NULL)
			abort();
		length = file_read_all(fd, text, CONFIG_FILE_MAX + 1);
		rc = length < 0 ? (int)length : 0;
	}
	if (rc == 0) {
		rc = config_add(c, name, text, (size_t)length, error, error_size);
	} else {
		snprintf(error, error_size, "%s: %s", name, strerror(-rc));
		config_free(*c);
		*c = NULL;
	}
	free(text);
	if (!is_stdin && fd >= 0)
		close(fd);
	return rc;
}
