/* SPDX-License-Identifier: Apache-2.0 */
/* diff, apply: a program of its own, which alone among the commands reads what a guest's files are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/changes_session.h"
#include "client/command.h"
#include "ipc/json.h"
#include "ipc/log.h"

#define NAME_SIZE 4096

static const char *const kind_names[] = {"added", "removed", "changed"};

static const char *
type_name(const struct change *c)
{
	if (c->to != NULL)
		return c->to->type == TAR_FILE        ? "file"
		       : c->to->type == TAR_DIRECTORY ? "directory"
						      : "link";
	return S_ISDIR(c->from.mode) ? "directory" : S_ISLNK(c->from.mode) ? "link" : "file";
}

/* ---- Showing ---- */

/* What the guest made of it: mode, and how much content, which may be far more than it looks. */
static void
print_new(const struct change *c, const struct changes_entry *to)
{
	const bool added = c->kind == CHANGES_ADDED;
	const bool content = to->type == TAR_FILE && c->content;
	char target[NAME_SIZE];

	if (to->type == TAR_SYMLINK) {
		printf(
		    " -> %s", log_escape(target, sizeof(target), to->target, strlen(to->target)));
		return;
	}
	printf(" (");
	if (c->mode && !added)
		printf("mode %o to ", c->from.mode & 0777);
	else if (c->mode)
		printf("mode ");
	if (c->mode)
		printf("%o%s", to->mode, content ? ", " : "");
	if (content && !added)
		printf("%llu to ", (unsigned long long)c->from.size);
	if (content)
		printf("%llu bytes", (unsigned long long)to->size);
	printf(")");
}

static void
print_change(const struct change *c)
{
	char name[NAME_SIZE];

	log_escape(name, sizeof(name), c->path, strlen(c->path));
	printf("%c %s%s", "ADM"[c->kind], name, strcmp(type_name(c), "directory") == 0 ? "/" : "");
	if (c->to != NULL)
		print_new(c, c->to);
	printf("%s\n", c->conflict ? "  ! changed on this host since the sandbox started" : "");
}

/* The whole of a small file, with its memory the caller's; NULL where it is not small, or gone. */
static char *
read_small(int fd, off_t at, uint64_t size)
{
	char *bytes = size <= CHANGES_TEXT_MAX ? malloc((size_t)size + 1) : NULL;

	if (bytes != NULL && pread(fd, bytes, (size_t)size, at) != (ssize_t)size) {
		free(bytes);
		bytes = NULL;
	}
	return bytes;
}

static char *
read_old(const struct changes_session *s, const struct change *c)
{
	int fd = changes_open(s->root, c->path, O_RDONLY | O_NONBLOCK);
	char *bytes = fd >= 0 ? read_small(fd, 0, c->from.size) : NULL;

	if (fd >= 0)
		close(fd);
	return bytes;
}

static void
print_patch(const struct changes_session *s, const struct change *c)
{
	const bool old = c->kind != CHANGES_ADDED, new = c->to != NULL;
	char *a = NULL, *b = NULL, name[NAME_SIZE];

	if (strcmp(type_name(c), "file") != 0 || (old && new && !c->content) ||
	    (old && !S_ISREG(c->from.mode)))
		return;
	if (old)
		a = read_old(s, c);
	if (new)
		b = read_small(s->archive, c->to->data, c->to->size);
	log_escape(name, sizeof(name), c->path, strlen(c->path));
	if ((old && (a == NULL || !changes_is_text(a, c->from.size))) ||
	    (new && (b == NULL || !changes_is_text(b, c->to->size))))
		printf("%s: no text, or too long: %llu to %llu bytes\n", name,
		    old ? (unsigned long long)c->from.size : 0ull,
		    new ? (unsigned long long)c->to->size : 0ull);
	else
		changes_text_print(stdout, name, a, c->from.size, b, new ? c->to->size : 0);
	free(a);
	free(b);
}

static void
put_change(struct json_writer *w, const struct change *c)
{
	json_open(w, '{');
	json_key(w, "path");
	json_put_bytes(w, c->path, strlen(c->path));
	json_member_string(w, "kind", kind_names[c->kind]);
	json_member_string(w, "type", type_name(c));
	if (c->kind != CHANGES_ADDED)
		json_member_integer(w, "old_mode", c->from.mode & 0777);
	if (c->to != NULL) {
		json_member_integer(w, "mode", c->to->mode);
		json_member_integer(w, "size", (int64_t)c->to->size);
		json_member_bool(w, "content", c->content);
	}
	if (c->to != NULL && c->to->type == TAR_SYMLINK) {
		json_key(w, "target");
		json_put_bytes(w, c->to->target, strlen(c->to->target));
	}
	json_member_bool(w, "conflict", c->conflict);
	json_close(w, '}');
}

static void
print_json(const struct changes_session *s, const struct changes *c)
{
	struct json_writer w;
	size_t i;

	json_writer_init(&w);
	json_open(&w, '{');
	json_member_string(&w, "session", s->session.id);
	json_key(&w, "mount");
	json_put_bytes(&w, s->path, strlen(s->path));
	json_key(&w, "host");
	json_put_bytes(&w, s->host, strlen(s->host));
	json_member_string(&w, "change", c->id);
	json_member_integer(&w, "conflicts", (int64_t)c->conflicts);
	json_key(&w, "changes");
	json_open(&w, '[');
	for (i = 0; i < c->n; i++)
		put_change(&w, &c->v[i]);
	json_close(&w, ']');
	json_close(&w, '}');
	printf("%s\n", w.text);
	json_writer_clear(&w);
}

static void
print_sum(const struct changes *c)
{
	size_t n[3] = {0}, i;

	for (i = 0; i < c->n; i++)
		n[c->v[i].kind]++;
	printf("change %s: %zu added, %zu removed, %zu changed", c->id, n[CHANGES_ADDED],
	    n[CHANGES_REMOVED], n[CHANGES_CHANGED]);
	if (c->conflicts > 0)
		printf(", %zu of them changed on this host as well", c->conflicts);
	printf("\n");
}

static int
show(const struct changes_session *s, const struct changes *c, const struct options *o, char *error)
{
	size_t i;
	int rc;

	if (options_has(o, OPT_JSON)) {
		print_json(s, c);
	} else {
		for (i = 0; i < c->n; i++) {
			print_change(&c->v[i]);
			if (options_has(o, OPT_PATCH))
				print_patch(s, &c->v[i]);
		}
		print_sum(c);
	}
	/* What did not reach the reader was not shown. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		snprintf(
		    error, CHANGES_ERROR_SIZE, "the change cannot be printed: %s", strerror(errno));
		return -EIO;
	}
	rc = changes_session_note_reviewed(s, c->id);
	if (rc < 0)
		snprintf(error, CHANGES_ERROR_SIZE, SESSION_CHANGES_REVIEWED ": %s", strerror(-rc));
	return rc;
}

/* ---- Applying ---- */

static void
note_applied(void *ctx, const struct changes_print *p)
{
	changes_session_note_applied(ctx, p);
}

static int
put_in(struct changes_session *s, const struct changes *c, const struct changes_layer *l,
    const struct options *o, char *error)
{
	const char *wanted = options_last(o, OPT_CHANGE);
	size_t n;
	int rc;

	if (wanted != NULL ? strcmp(wanted, c->id) != 0 : !changes_session_was_reviewed(s, c->id)) {
		snprintf(error, CHANGES_ERROR_SIZE,
		    "nothing was applied: this change (%.12s) is not the one that was shown; look "
		    "at it "
		    "with gondolin diff %s %s",
		    c->id, s->session.id, s->path);
		return -EPERM;
	}
	if (c->conflicts > 0 && !options_has(o, OPT_FORCE)) {
		snprintf(error, CHANGES_ERROR_SIZE,
		    "nothing was applied: %zu files changed on this host since the sandbox started "
		    "(gondolin diff marks them with !); --force overwrites them",
		    c->conflicts);
		return -EBUSY;
	}
	rc = changes_apply(c, l, s->root, note_applied, s, &n, error);
	if (rc == 0)
		printf("change %s: %zu applied to %s\n", c->id, n, s->host);
	else
		log_line("gondolin apply: stopped after %zu of %zu", n, c->n);
	return rc;
}

/* ---- The command ---- */

static int
run(bool apply, const char *id, const char *path, const struct options *o)
{
	char error[CHANGES_ERROR_SIZE] = "";
	struct changes_session s;
	struct changes_layer l = {.fd = -1};
	struct changes c = {.n = 0};
	int rc = changes_session_open(&s, id, path, error);

	if (rc == 0)
		rc = changes_layer_read(&l, s.archive, error);
	if (rc == 0) {
		const struct changes_base base = {.root = s.root,
		    .opened = {.tv_sec = s.mount->seconds, .tv_nsec = (long)s.mount->nanoseconds},
		    .applied = s.prints,
		    .n_applied = s.n_prints};

		rc = changes_compare(&c, &l, &base, s.path, error);
	}
	if (rc == 0)
		rc = apply ? put_in(&s, &c, &l, o, error) : show(&s, &c, o, error);
	if (rc < 0)
		log_line("gondolin: %s", error);
	changes_clear(&c);
	changes_layer_clear(&l);
	changes_session_close(&s);
	return rc < 0 ? EXIT_FAILED : 0;
}

static void
explain(const char *name, unsigned command)
{
	printf("usage: gondolin %s ID [PATH] [options]\n\n", name);
	options_help(stdout, command);
}

int
main(int argc, char **argv)
{
	const char *name = argc > 0 ? argv[0] : "diff", *words[2] = {NULL, NULL};
	const bool apply = strcmp(name, "apply") == 0;
	const unsigned command = apply ? FOR_APPLY : FOR_DIFF;
	char **rest = argv + (argc > 0 ? 1 : 0);
	struct options o;
	size_t n = 0;
	int code = EXIT_USAGE;

	umask(0);
	while (n < 2 && *rest != NULL && (*rest)[0] != '-')
		words[n++] = *rest++;
	if (options_parse(&o, command, rest) < 0) {
		log_line("gondolin %s: %s", name, o.error);
	} else if (options_has(&o, OPT_HELP)) {
		explain(name, command);
		code = 0;
	} else {
		for (rest = o.rest; n < 2 && o.n_rest > 0; o.n_rest--)
			words[n++] = *rest++;
		if (n == 0 || o.n_rest > 0)
			log_line("gondolin %s: takes a session id (gondolin list shows them) and a "
				 "mount's path in the guest",
			    name);
		else
			code = run(apply, words[0], words[1], &o);
	}
	options_clear(&o);
	return code;
}
