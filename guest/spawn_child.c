/* SPDX-License-Identifier: Apache-2.0 */
/* The child's side of starting a command: from fork to exec. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/builtin.h"
#include "guest/limits.h"
#include "guest/spawn.h"
#include "guest/user.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Tells the agent why the command does not run, and ends.  `code` is for the host (the errno of the
 * program itself, EINVAL for what surrounds it), `cause` for the text; 0 = that says it all.
 */
static void __attribute__((noreturn, format(printf, 4, 5)))
refuse(int status_fd, int code, int cause, const char *format, ...)
{
	struct spawn_failure f = {.error = code};
	size_t n;
	va_list ap;

	va_start(ap, format);
	vsnprintf(f.message, sizeof(f.message), format, ap);
	va_end(ap);
	n = strlen(f.message);
	if (cause != 0)
		snprintf(f.message + n, sizeof(f.message) - n, ": %s", strerror(cause));
	/* Below PIPE_BUF and into an empty pipe: whole or not at all. */
	if (write(status_fd, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

/* The one disposition that the agent changed; the rest is init's, which are the defaults. */
static void
reset_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
take_terminal(int status_fd, uid_t owner)
{
	if (ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		refuse(status_fd, EINVAL, errno, "controlling terminal");
	/* So that the user can open /dev/tty's path again; without root it is ours already. */
	if (geteuid() == 0 && fchown(STDIN_FILENO, owner, (gid_t)-1) < 0)
		refuse(status_fd, EINVAL, errno, "the terminal's owner");
}

/* The agent's soft limit of open files is its own; the hard one is init's and stays. */
static void
lower_limits(int status_fd)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		refuse(status_fd, EINVAL, errno, "limit of open files");
	if (files.rlim_cur > LIMIT_FILES_SOFT)
		files.rlim_cur = LIMIT_FILES_SOFT;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		refuse(status_fd, EINVAL, errno, "limit of open files");
}

static void
change_user(int status_fd, const struct user *u)
{
	/* Only a test's agent is not root, and it can run commands only as itself. */
	if (geteuid() != 0 && u->uid == getuid())
		return;
	if (setgroups(u->n_groups, u->groups) < 0 || setgid(u->gid) < 0 || setuid(u->uid) < 0)
		refuse(status_fd, EINVAL, errno, "user %.64s", u->name);
}

static void
change_directory(int status_fd, const struct user *u, const char *cwd)
{
	if (cwd[0] != '\0') {
		/* ENOENT is the program's. */
		if (chdir(cwd) < 0)
			refuse(status_fd, errno == ENOENT ? ENOTDIR : errno, errno,
			    "working directory %.160s", cwd);
		return;
	}
	if (chdir(u->home) < 0 && chdir("/") < 0)
		refuse(status_fd, EINVAL, errno, "working directory /");
}

static size_t
count(char **list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

/* True where two NAME=VALUE words have one name. */
static bool
same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

static void
set_variable(char **env, size_t *n, char *word)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (same_name(word, env[i])) {
			env[i] = word;
			return;
		}
	env[(*n)++] = word;
}

char **
spawn_environment(const struct user *u, const struct spawn_request *r)
{
	const struct {
		const char *name, *value;
	} defaults[] = {
	    {"PATH", DEFAULT_PATH},
	    {"HOME", u->home},
	    {"USER", u->name},
	    {"LOGNAME", u->name},
	    {"SHELL", u->shell},
	    {"TERM", "xterm"},
	};
	const size_t n_defaults = sizeof(defaults) / sizeof(defaults[0]) - (r->tty ? 0 : 1);
	const size_t pointers =
	    (n_defaults + count(r->variables) + count(r->env) + 1) * sizeof(char *);
	size_t i, n = 0, text = 0;
	char **env, *at;

	for (i = 0; i < n_defaults; i++)
		text += strlen(defaults[i].name) + strlen(defaults[i].value) + 2;
	env = malloc(pointers + text);
	if (env == NULL)
		return NULL;
	at = (char *)env + pointers;
	for (i = 0; i < n_defaults; i++) {
		env[n++] = at;
		at += sprintf(at, "%s=%s", defaults[i].name, defaults[i].value) + 1;
	}
	for (i = 0; i < count(r->variables); i++)
		set_variable(env, &n, r->variables[i]);
	for (i = 0; r->env[i] != NULL; i++)
		set_variable(env, &n, r->env[i]);
	env[n] = NULL;
	return env;
}

static const char *
find_variable(char **env, const char *name)
{
	const size_t n = strlen(name);

	for (; *env != NULL; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

/*
 * execve along PATH, as execvp(3) searches: a name with a slash is itself, an empty element is the
 * working directory, EACCES is remembered while the search goes on.  Returns the errno.
 */
static int
execute(char **argv, char **env)
{
	const char *path = find_variable(env, "PATH"), *end;
	char file[PATH_MAX];
	int n, error = ENOENT;

	if (strchr(argv[0], '/') != NULL || argv[0][0] == '\0') {
		execve(argv[0], argv, env);
		return errno;
	}
	for (; path != NULL; path = *end == ':' ? end + 1 : NULL) {
		end = strchrnul(path, ':');
		n = snprintf(file, sizeof(file), "%.*s%s%s", (int)(end - path), path,
		    end > path ? "/" : "./", argv[0]);
		if (n < 0 || (size_t)n >= sizeof(file))
			continue;
		execve(file, argv, env);
		if (errno == EACCES)
			error = EACCES;
		else if (errno != ENOENT && errno != ENOTDIR)
			return errno;
	}
	return error;
}

void
spawn_become(const struct spawn_request *r, int status_fd, void **memory)
{
	struct user u;
	char **env;
	int rc;

	reset_signals();
	umask(022);
	if (setsid() < 0)
		refuse(status_fd, EINVAL, errno, "session");
	rc = user_find(&user_files_system, r->user, &u);
	if (rc == -ENOENT)
		refuse(status_fd, EINVAL, 0, "the guest has no user %.64s", r->user);
	if (rc < 0)
		refuse(status_fd, EINVAL, -rc, "the guest's users");
	if (r->tty)
		take_terminal(status_fd, u.uid);
	lower_limits(status_fd);
	change_user(status_fd, &u);
	change_directory(status_fd, &u, r->cwd);
	env = spawn_environment(&u, r);
	*memory = env;
	if (env == NULL)
		refuse(status_fd, EINVAL, ENOMEM, "environment");
	if (r->builtin != GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_NONE) {
		close(status_fd);
		_exit(builtin_run(r->builtin, r->argv[0]));
	}
	rc = execute(r->argv, env);
	refuse(status_fd, rc, rc, "%.200s", r->argv[0]);
}
