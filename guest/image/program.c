/* SPDX-License-Identifier: Apache-2.0 */
/* Running the distribution's programs. */
#include "guest/image/program.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/image/private.h"
#include "ipc/log.h"

#define PROGRAM_PATH  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define POLL_MS       200  /* how soon a cancellation is seen */
#define TERM_GRACE_MS 5000 /* mmdebstrap unmounts and removes its directory */

static const struct {
	const char *program, *package;
} packages[] = {
    {"apt-cache", "apt"},
    {"apt-get", "apt"},
    {"dpkg-deb", "dpkg"},
    {"lz4", "lz4"},
    {"mke2fs", "e2fsprogs"},
    {"mmdebstrap", "mmdebstrap"},
    {"newgidmap", "uidmap"},
    {"newuidmap", "uidmap"},
    {"tar", "tar"},
    {"unshare", "util-linux"},
    {"xz", "xz-utils"},
    {"zstd", "zstd"},
    {"gzip", "gzip"},
};

/* What of the caller's environment reaches the programs: how to get to the network. */
static const char *const kept_environment[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "TMPDIR"};

void
program_word(struct program_words *w, const char *format, ...)
{
	va_list ap;

	assert(w->n < PROGRAM_ARGS);
	va_start(ap, format);
	if (vasprintf(&w->words[w->n], format, ap) < 0)
		abort();
	va_end(ap);
	w->words[++w->n] = NULL;
}

void
program_add_words(struct program_words *w, const char *const *words)
{
	for (; *words != NULL; words++)
		program_word(w, "%s", *words);
}

void
program_words_clear(struct program_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->words[i]);
	w->n = 0;
	w->words[0] = NULL;
}

bool
program_exists(const char *name)
{
	char path[256];

	for (const char *dir = PROGRAM_PATH; *dir != '\0'; dir += *dir == ':') {
		size_t n = strcspn(dir, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)n, dir, name);
		if (access(path, X_OK) == 0)
			return true;
		dir += n;
	}
	return false;
}

int
program_missing(const char *name, char *error, size_t error_size)
{
	const char *package = name;

	for (size_t i = 0; i < sizeof(packages) / sizeof(packages[0]); i++)
		if (strcmp(packages[i].program, name) == 0)
			package = packages[i].package;
	return log_fail(error, error_size, -ENOENT,
	    "%s is not installed: run `apt-get install %s` as root", name, package);
}

/* The programs' environment; the caller frees the array and its strings. */
static char **
make_environment(const struct program_runner *r)
{
	size_t n = sizeof(kept_environment) / sizeof(kept_environment[0]), k = 0;
	char **env = calloc(n + 8, sizeof(*env));

	if (env == NULL)
		abort();
	env[k++] = image_format("PATH=" PROGRAM_PATH);
	env[k++] = image_format("LC_ALL=C.UTF-8");
	/* Nobody's settings: dpkg and apt would read the caller's. */
	env[k++] = image_format("HOME=/nonexistent");
	env[k++] = image_format("DEBIAN_FRONTEND=noninteractive");
	env[k++] = image_format("SOURCE_DATE_EPOCH=%lld", (long long)r->epoch);
	env[k++] = image_format("E2FSPROGS_FAKE_TIME=%lld", (long long)r->epoch);
	for (size_t i = 0; i < n; i++) {
		const char *value = getenv(kept_environment[i]);

		if (value != NULL)
			env[k++] = image_format("%s=%s", kept_environment[i], value);
	}
	return env;
}

static void
free_environment(char **env)
{
	for (size_t i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(env);
}

/* How a program is asked to end: unshare(1) blocks SIGTERM, and as pid 1 so does what it runs. */
static int
end_signal(const struct program_words *w)
{
	return strcmp(w->words[0], "unshare") == 0 ? SIGKILL : SIGTERM;
}

/* In the child, between fork and exec.  Reports errno on `report` where exec fails. */
static _Noreturn void
child(const struct program_runner *r, const struct program_words *w, char **env, int out, int err,
    int report, pid_t parent)
{
	int in = r->stdin_fd > 0 ? r->stdin_fd : open("/dev/null", O_RDONLY | O_CLOEXEC), code;
	sigset_t none;

	/* A group of its own: a terminal's Ctrl-C reaches us alone, and we end the whole group. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, end_signal(w));
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (r->inherited_fd != -1)
		fcntl(r->inherited_fd, F_SETFD, 0);
	if (in != -1 && dup2(in, 0) != -1 && dup2(out, 1) != -1 && dup2(err, 2) != -1 &&
	    chdir(r->cwd != NULL ? r->cwd : "/") == 0) {
		environ = env;
		execvp(w->words[0], w->words);
	}
	code = errno;
	(void)!write(report, &code, sizeof(code));
	_exit(127);
}

/* The output so far: its end for the error, its current line for the step. */
struct output {
	char tail[PROGRAM_TAIL];
	size_t n;
	char line[160];
	size_t n_line;
	const char *step;
};

static void
end_of_line(struct output *o, const struct program_runner *r)
{
	o->line[o->n_line] = '\0';
	o->n_line = 0;
	if (o->step != NULL && strncmp(o->line, "I: ", 3) == 0) {
		char *what = image_format("%s: %s", o->step, o->line + 3);

		image_step(r->progress, what, 0, 0);
		free(what);
	}
}

static void
take_output(struct output *o, const struct program_runner *r, const char *bytes, size_t n)
{
	if (r->log_fd != -1)
		(void)file_write_all(r->log_fd, bytes, n);
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			end_of_line(o, r);
		else if (o->n_line < sizeof(o->line) - 1)
			o->line[o->n_line++] = bytes[i];
		if (o->n == sizeof(o->tail)) {
			memmove(o->tail, o->tail + sizeof(o->tail) / 2, sizeof(o->tail) / 2);
			o->n = sizeof(o->tail) / 2;
		}
		o->tail[o->n++] = bytes[i];
	}
}

/* The last lines of the output in one line. */
static void
last_lines(const struct output *o, char *out, size_t size)
{
	size_t start, end = o->n, lines = 0;
	char joined[400];

	while (end > 0 && o->tail[end - 1] == '\n')
		end--;
	for (start = end; start > 0 && end - start < sizeof(joined) - 1; start--)
		if (o->tail[start - 1] == '\n' && ++lines == 3)
			break;
	memcpy(joined, o->tail + start, end - start);
	for (size_t i = 0; i < end - start; i++)
		if (joined[i] == '\n')
			joined[i] = ' ';
	log_escape(out, size, joined, end - start);
}

/* Reads the program's output to its end; a cancellation ends the program. */
static bool
follow(struct output *o, const struct program_runner *r, int fd, pid_t pid, int end)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool cancelled = false;
	int waited = 0;
	char bytes[4096];

	for (;;) {
		ssize_t got;
		int ready = poll(&p, 1, POLL_MS);

		if (image_cancelled(r->progress) && !cancelled) {
			cancelled = true;
			kill(-pid, end);
		}
		if (cancelled && ready <= 0 && (waited += POLL_MS) > TERM_GRACE_MS)
			kill(-pid, SIGKILL);
		if (ready <= 0)
			continue;
		got = read(fd, bytes, sizeof(bytes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return cancelled;
		take_output(o, r, bytes, (size_t)got);
	}
}

static int
reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			abort();
	return status;
}

static int
judge(const struct program_words *w, const struct output *o, int status, bool cancelled,
    int exec_error, char *error, size_t error_size)
{
	char lines[480];

	if (cancelled)
		return log_fail(error, error_size, -EINTR, "interrupted");
	if (exec_error == ENOENT)
		return program_missing(w->words[0], error, error_size);
	if (exec_error != 0)
		return log_fail(error, error_size, -exec_error, "cannot run %s: %s", w->words[0],
		    strerror(exec_error));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	last_lines(o, lines, sizeof(lines));
	return log_fail(error, error_size, -ECHILD, "%s failed (%s %d): %s", w->words[0],
	    WIFEXITED(status) ? "exit" : "signal",
	    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
	    lines[0] != '\0' ? lines : "it printed nothing");
}

int
program_run(const struct program_runner *r, const struct program_words *w, const char *step,
    int out_fd, char *error, size_t error_size)
{
	struct output output = {.step = step};
	int pipes[2], reports[2], exec_error = 0, status;
	pid_t pid, self = getpid();
	char **env;
	bool cancelled;

	if (image_cancelled(r->progress))
		return log_fail(error, error_size, -EINTR, "interrupted");
	if (step != NULL)
		image_step(r->progress, step, 0, 0);
	if (pipe2(pipes, O_CLOEXEC) < 0 || pipe2(reports, O_CLOEXEC) < 0)
		abort();
	env = make_environment(r);
	pid = fork();
	if (pid == 0)
		child(r, w, env, out_fd != -1 ? out_fd : pipes[1], pipes[1], reports[1], self);
	close(pipes[1]);
	close(reports[1]);
	free_environment(env);
	if (pid < 0) {
		int code = -errno;

		close(pipes[0]);
		close(reports[0]);
		return log_fail(
		    error, error_size, code, "cannot start %s: %s", w->words[0], strerror(-code));
	}
	setpgid(pid, pid);
	if (read(reports[0], &exec_error, sizeof(exec_error)) != (ssize_t)sizeof(exec_error))
		exec_error = 0;
	cancelled = follow(&output, r, pipes[0], pid, end_signal(w));
	status = reap(pid);
	close(pipes[0]);
	close(reports[0]);
	return judge(w, &output, status, cancelled, exec_error, error, error_size);
}

void
program_as_root(struct program_words *w, bool subordinate, bool isolated)
{
	bool root = geteuid() == 0;

	if (root && !isolated)
		return;
	program_add(w, "unshare");
	if (!root)
		program_add(w, "--user", "--map-root-user");
	if (!root && subordinate)
		program_add(w, "--map-auto");
	if (isolated)
		program_add(w, "--mount", "--pid", "--fork", "--kill-child");
	program_add(w, "--");
}

/* True where /etc/subuid or /etc/subgid gives the user a range of at least 65536 ids. */
static bool
has_range(const char *file, const char *user, uid_t uid)
{
	FILE *f = fopen(file, "re");
	char line[256], number[16];
	bool found = false;

	if (f == NULL)
		return false;
	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		char *first = strchr(line, ':'), *second;

		if (first == NULL || (second = strchr(first + 1, ':')) == NULL)
			continue;
		*first = '\0';
		found = (strcmp(line, user) == 0 || strcmp(line, number) == 0) &&
			strtoul(second + 1, NULL, 10) >= 65536;
	}
	fclose(f);
	return found;
}

int
program_as_root_check(bool subordinate, char *error, size_t error_size)
{
	struct program_runner quiet = {.log_fd = -1, .inherited_fd = -1};
	struct program_words w = {.n = 0};
	const struct passwd *pw;
	char reason[IMAGE_ERROR_SIZE];
	int result;

	if (geteuid() == 0)
		return 0;
	pw = getpwuid(geteuid());
	if (subordinate && !program_exists("newuidmap"))
		return program_missing("newuidmap", error, error_size);
	if (subordinate && (pw == NULL || !has_range("/etc/subuid", pw->pw_name, geteuid()) ||
			       !has_range("/etc/subgid", pw->pw_name, geteuid())))
		return log_fail(error, error_size, -EPERM,
		    "%s has no subordinate ids: run `usermod --add-subuids 100000-165535 "
		    "--add-subgids 100000-165535 %s` as root, or build as root",
		    pw != NULL ? pw->pw_name : "this user", pw != NULL ? pw->pw_name : "USER");
	program_as_root(&w, subordinate, false);
	program_add(&w, "true");
	result = program_run(&quiet, &w, NULL, -1, reason, sizeof(reason));
	program_words_clear(&w);
	if (result == -ENOENT)
		return log_fail(error, error_size, result, "%s", reason);
	if (result < 0)
		return log_fail(error, error_size, -EPERM,
		    "no user namespaces here (%s): allow them (sysctl "
		    "kernel.unprivileged_userns_clone=1), or build as root",
		    reason);
	return 0;
}

int
image_remove_foreign_tree(const char *path)
{
	struct program_runner quiet = {.log_fd = -1, .inherited_fd = -1};
	struct program_words w = {.n = 0};
	char reason[IMAGE_ERROR_SIZE];
	int result;

	program_as_root(&w, true, false);
	program_add(&w, "rm", "-rf", "--one-file-system", "--", path);
	result = program_run(&quiet, &w, NULL, -1, reason, sizeof(reason));
	program_words_clear(&w);
	return result;
}
