/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libgondolin - start sandboxes, run commands in them, move files in and out.
 *
 * A sandbox is one gondolin-supervisor and the processes that it started.  A session is a program's
 * handle on one; an exec is one command that runs in it.
 *
 * Errors.  Functions that can fail return 0 or a negative errno and fill *error, which may be NULL.
 * The sentence there is for people: one line without a newline, control bytes escaped.
 *
 * Strings are NUL-terminated bytes, copied where they are kept.  Pointers in option structures need
 * to live for the call only.  A zeroed option structure asks for the defaults.
 *
 * Threads.  The library has no state of its own.  Different handles may be used in different
 * threads at once; one handle in one thread at a time, except that gondolin_exec_signal and
 * gondolin_exec_resize may be called from any thread while the handle lives.  gondolin_foreground
 * takes over the process's signals and terminal and is for programs with one thread.
 *
 * Descriptors that the library makes are close-on-exec.  It never raises SIGPIPE by its sockets; a
 * program that writes to a command's stdin pipe itself has to ignore that signal.
 */
#ifndef GONDOLIN_H
#define GONDOLIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GONDOLIN_MESSAGE_MAX 512
#define GONDOLIN_ID_SIZE     33 /* of a buffer for a session id */

/* Exit codes that are not the command's own. */
#define GONDOLIN_EXIT_TIMEOUT   124
#define GONDOLIN_EXIT_FAILED    125 /* the sandbox failed, or the request was wrong */
#define GONDOLIN_EXIT_NOT_EXEC  126 /* found, not executable */
#define GONDOLIN_EXIT_NOT_FOUND 127
#define GONDOLIN_EXIT_SIGNAL    128 /* added to the signal's number */

struct gondolin_error {
	int code; /* the negative errno that was returned */
	/* gondolin-supervisor wrote its own line to stderr: who prints errors prints none. */
	bool reported;
	/* What happened and what to do. */
	char message[GONDOLIN_MESSAGE_MAX];
};

/* The version of the library: "MAJOR.MINOR.PATCH". */
const char *gondolin_version(void);

/* ---- Sessions ---- */

struct gondolin_session; /* opaque */

struct gondolin_start_options {
	const char *config_path; /* a sandbox.conf; NULL = none */
	const char *config;      /* text of one, which adds to that file's; NULL = none */
	size_t config_length;
	/*
	 * Path of gondolin-supervisor.  NULL: $GONDOLIN_SUPERVISOR, else beside the running
	 * program, else where this library was configured to be installed.
	 */
	const char *supervisor;
	char *const *env; /* environment of gondolin-supervisor; NULL = the caller's */
	bool console;     /* the guest's console goes to stderr */
};

/*
 * Starts a sandbox and returns as soon as it takes commands, which is before its guest is up:
 * commands wait for that.  The sandbox ends when the session is closed or the program ends in
 * whatever way, unless gondolin_session_release was called.
 *
 * -EINVAL config is over 1 MiB; -ENOENT no gondolin-supervisor; -ECHILD it ended before the
 * sandbox was ready (and said why: error->reported); other -errno of fork and
 * memory.
 */
int gondolin_session_start(const struct gondolin_start_options *options,
    struct gondolin_session **session, struct gondolin_error *error);

/*
 * Opens a running sandbox of the same user by its id or a unique beginning of it.
 * -ENOENT no such sandbox; -ENOTUNIQ several begin like that; -EINVAL not an id.
 */
int gondolin_session_open(
    const char *id, struct gondolin_session **session, struct gondolin_error *error);

/*
 * Frees the handle.  Where this handle started the sandbox and did not release it, the sandbox is
 * ended and waited for.  NULL is allowed.
 */
void gondolin_session_close(struct gondolin_session *session);

/* Lets a sandbox that this handle started live on without it.  -EPIPE: it is gone already. */
int gondolin_session_release(struct gondolin_session *session, struct gondolin_error *error);

/* The whole id; lives as long as the handle. */
const char *gondolin_session_id(const struct gondolin_session *session);

/*
 * For a handle that started the sandbox: waits until gondolin-supervisor has ended, and returns
 * -ECHILD (error->reported: why it ended is on stderr).  For another handle -EINVAL.
 */
int gondolin_session_wait(struct gondolin_session *session, struct gondolin_error *error);

/* Ends a sandbox, whoever started it, and returns when it takes no more commands. */
int gondolin_session_stop(struct gondolin_session *session, struct gondolin_error *error);

enum gondolin_state {
	GONDOLIN_STARTING, /* its guest is not up yet */
	GONDOLIN_RUNNING,
	GONDOLIN_STOPPING,
};

struct gondolin_status {
	enum gondolin_state state;
	unsigned running;  /* commands */
	unsigned detached; /* of these, those without a client */
};

/* Asks the sandbox.  -ETIMEDOUT where it gave no answer within two seconds. */
int gondolin_session_status(
    struct gondolin_session *session, struct gondolin_status *status, struct gondolin_error *error);

/* "starting", "running", "stopping". */
const char *gondolin_state_name(enum gondolin_state state);

/* ---- Commands ---- */

struct gondolin_exec; /* opaque */

struct gondolin_exec_options {
	/*
	 * NULL-terminated, at least one word, at most 1024; words and env together under 60 KiB.
	 * A word without a slash in argv[0] is searched in the command's PATH.
	 */
	const char *const *argv;
	const char *const *env; /* NAME=VALUE, added to the session's; NULL = none */
	const char *user;       /* name or uid in the guest; NULL = the session's default */
	const char *cwd;        /* absolute; NULL = the session's default */
	bool tty;               /* a terminal: no separate stderr */
	unsigned rows, columns; /* of it; 0 = 24 and 80 */
	unsigned timeout_ms;    /* 0 = the session's default */
	bool no_timeout;        /* overrides the default too */
};

enum gondolin_exec_state {
	GONDOLIN_EXEC_WAITING, /* sent; the guest did not start it yet */
	GONDOLIN_EXEC_RUNNING,
	GONDOLIN_EXEC_ENDED,
};

struct gondolin_result {
	int exit_code; /* 0..255; 128 + signal; 124 time-out; 125, 126, 127: see above */
	int signal;    /* that ended the command; 0 where none did */
	bool timed_out;
	bool refused; /* nothing was run; message says why */
	bool lost;    /* the sandbox ended first: exit_code is 125 */
	char message[GONDOLIN_MESSAGE_MAX];
};

/*
 * Sends a command to the sandbox and returns without waiting for it.  The handle owns the caller's
 * ends of three pipes, blocking ones.  It is independent of the session, which may be closed first.
 *
 * -EINVAL no argv; -E2BIG too long; -EPIPE, -ECONNREFUSED the sandbox is gone; -EMFILE and others
 * of pipe(2) and connect(2).
 */
int
gondolin_exec_start(struct gondolin_session *session, const struct gondolin_exec_options *options,
    struct gondolin_exec **exec, struct gondolin_error *error);

/*
 * Takes over the terminal of a command that was detached: the one detached last.  As
 * gondolin_exec_start; where there is none, the result says `refused`.
 */
int gondolin_exec_attach(struct gondolin_session *session, unsigned rows, unsigned columns,
    struct gondolin_exec **exec, struct gondolin_error *error);

/*
 * The pipe to the command's stdin (stream 0), from its stdout (1) and stderr (2); -1 where there is
 * none or it was closed.  The handle keeps owning it.  Output reaches end of file when the command
 * has ended; a pipe that nobody reads stops the command, not the sandbox.
 */
int gondolin_exec_stream(const struct gondolin_exec *exec, int stream);

/* Closes that pipe: end of file for the command's stdin. */
void gondolin_exec_close_stream(struct gondolin_exec *exec, int stream);

/* Readable when gondolin_exec_update has something to do.  The handle's. */
int gondolin_exec_fd(const struct gondolin_exec *exec);

/* Takes what has arrived, without waiting, and returns the state. */
enum gondolin_exec_state gondolin_exec_update(struct gondolin_exec *exec);

/*
 * Waits for the end and fills *result.  The output pipes are the caller's to read: a command that
 * fills one waits for its reader, and this waits with it.
 */
void gondolin_exec_wait(struct gondolin_exec *exec, struct gondolin_result *result);

/* Sends a signal (1..64) to the command's process group. */
int gondolin_exec_signal(struct gondolin_exec *exec, int signal);

/* Tells the command's terminal its new size (1..65535 each). */
int gondolin_exec_resize(struct gondolin_exec *exec, unsigned rows, unsigned columns);

/*
 * Leaves the command running without a client; its output waits for a gondolin_exec_attach,
 * bounded.  The handle is of no use but to gondolin_exec_free afterwards.
 */
int gondolin_exec_detach(struct gondolin_exec *exec);

/* Frees the handle; ends the command where it still runs and was not detached.  NULL is allowed. */
void gondolin_exec_free(struct gondolin_exec *exec);

/* Where gondolin_exec_run takes input from and brings output to. */
struct gondolin_io {
	/* Fills buffer; returns the count, 0 at the end, -errno to stop.  NULL: no input. */
	ssize_t (*input)(void *ctx, void *buffer, size_t size);
	/* Takes output of stream 1 or 2; returns 0, or -errno to end the command.  NULL: dropped.
	 */
	int (*output)(void *ctx, int stream, const void *bytes, size_t length);
	void *ctx;
};

/*
 * Runs a command to its end.  Returns 0 with *result filled, whatever the command did; -errno where
 * it could not be sent or a callback gave up.
 */
int gondolin_exec_run(struct gondolin_session *session, const struct gondolin_exec_options *options,
    const struct gondolin_io *io, struct gondolin_result *result, struct gondolin_error *error);

/* ---- A command with the program's own stdin, stdout, stderr ---- */

/* How a foreground command ended, besides its result. */
enum gondolin_foreground_end {
	GONDOLIN_FOREGROUND_ENDED,
	GONDOLIN_FOREGROUND_DETACHED,  /* Ctrl-] on a terminal: it goes on */
	GONDOLIN_FOREGROUND_ABANDONED, /* the user pressed Ctrl-C again, or stdout's reader left */
	GONDOLIN_FOREGROUND_FAILED,    /* descriptor 0, 1 or 2 failed, a full disk for one: 125 */
};

/*
 * Relays descriptors 0, 1 and 2 to and from the command until it ends and its output is written.
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT go to the command; a second SIGINT within five seconds, or
 * one before the command runs, abandons it.  Where the command has a terminal and descriptor 0 is
 * one, that is in raw mode meanwhile, follows changes of size, and is restored on every way out;
 * Ctrl-] detaches.  The signal mask and dispositions are restored before it returns.
 *
 * Where a descriptor cannot be read or written the command is not left to go on without it: that is
 * GONDOLIN_FOREGROUND_FAILED, result->message says why, and gondolin_exec_free() ends the command.
 */
enum gondolin_foreground_end
gondolin_exec_relay(struct gondolin_exec *exec, struct gondolin_result *result);

/*
 * The same over a connected control socket that is not used yet, which it takes: starts the
 * command, relays, and returns the exit code; why nothing was run is one line on stderr.
 * options->tty is honoured only where descriptors 0 and 1 are terminals.  Nothing detaches.
 */
int gondolin_foreground(int control, const struct gondolin_exec_options *options);

/* ---- Files ---- */

/*
 * Copies a host file or directory into the guest, or a guest's out to the host, like cp -R: into
 * the destination where that is a directory, under its name where not.  Symbolic links are copied
 * as links; owners become root in the guest and the caller on the host; device nodes, sockets and
 * set-id bits are never made on the host.  What a guest sends is written beneath the destination
 * only, never through a symbolic link.
 *
 * -ENOENT, -EACCES, -EIO, ... with a message that names the path; -EPROTO where the guest's stream
 * is no acceptable tar.
 */
int gondolin_copy_in(struct gondolin_session *session, const char *host_path,
    const char *guest_path, struct gondolin_error *error);
int gondolin_copy_out(struct gondolin_session *session, const char *guest_path,
    const char *host_path, struct gondolin_error *error);

/*
 * Unpacks a tar stream that is read from fd into a directory of the guest, or writes a file or
 * directory of the guest to fd as one.  The stream is not looked at.
 */
int gondolin_tar_in(
    struct gondolin_session *session, int fd, const char *guest_path, struct gondolin_error *error);
int gondolin_tar_out(
    struct gondolin_session *session, const char *guest_path, int fd, struct gondolin_error *error);

/* ---- All sandboxes of this user ---- */

/* What went through a sandbox's network so far; all 0 where it has none. */
struct gondolin_network {
	uint64_t connections; /* to the world, open now */
	uint64_t active;      /* requests in progress now */
	uint64_t requests;    /* that were sent out */
	uint64_t denied;      /* requests, connections and names that policy refused */
	uint64_t failed;      /* allowed, but the origin could not be reached or broke off */
	uint64_t bytes_in;    /* towards the guest */
	uint64_t bytes_out;
};

struct gondolin_entry {
	char id[GONDOLIN_ID_SIZE];
	pid_t pid;       /* of gondolin-supervisor */
	int64_t started; /* seconds since 1970 */
	enum gondolin_state state;
	const char *image; /* as the configuration names it */
	const char *label;
	struct gondolin_network network;
};

/*
 * Calls `each` for every live sandbox of this user, in order of id, after the directories of dead
 * ones were removed.  *entry lives for the call only.  A value other than 0 of `each` ends the walk
 * and is returned.
 */
int gondolin_list(int (*each)(void *ctx, const struct gondolin_entry *entry), void *ctx,
    struct gondolin_error *error);

#ifdef __cplusplus
}
#endif

#endif
