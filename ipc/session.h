/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session directories: how a sandbox is found by the same user's commands.
 *
 * <runtime>/<id>/ (mode 0700) holds `lock` (locked by the supervisor for as long as it lives),
 * `session.json` and `control.sock`, and what changes of copy-on-write mounts need.  <runtime> is
 * $GONDOLIN_RUNTIME_DIR, or /run/gondolin for root, or $XDG_RUNTIME_DIR/gondolin, or
 * /tmp/gondolin-<uid>.  It must be a directory of the caller's own that nobody else can write to,
 * and no symbolic link: other users of the host are hostile, and /tmp is theirs too.
 *
 * Whether a session lives is decided by its lock alone (F_OFD_SETLK, which can be asked about
 * without being taken): the kernel drops it when the supervisor dies, however it dies.  The
 * directory of a dead session is reclaimed by the next one of that id, and by session_sweep().
 *
 * <runtime> may be a directory where the user keeps other things.  A directory is a session's only
 * where its lock says so in its content; any other one is neither listed nor taken over nor swept,
 * and of a session's own only the files named below are ever removed.  A session is made whole
 * under a name that is no id (.gondolin-*) and renamed then.
 */
#ifndef GONDOLIN_IPC_SESSION_H
#define GONDOLIN_IPC_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SESSION_ID_MAX        32u /* bytes: [a-z0-9][a-z0-9-]{0,31} */
#define SESSION_ID_SIZE       (SESSION_ID_MAX + 1)
#define SESSION_TEXT_SIZE     256u  /* bytes of image, label and the like, with their NUL */
#define SESSION_PATH_SIZE     4096u /* PATH_MAX */
#define SESSION_NAME_SIZE     32u   /* bytes of a process's name, with its NUL */
#define SESSION_PROCESSES_MAX 16u
#define SESSION_FILE_MAX      65536u /* bytes of session.json */
#define SESSION_ERROR_SIZE    512u

enum session_state { SESSION_STARTING, SESSION_RUNNING, SESSION_STOPPING };

/* One host process of the sandbox. */
struct session_process {
	char name[SESSION_NAME_SIZE]; /* as in the audit: "vmrunner", "qemu" */
	pid_t pid;                    /* in the supervisor's pid namespace */
	uid_t uid;                    /* that it must have, seen from there */
	gid_t gid;                    /* likewise; QEMU's may be the group of /dev/kvm */
	uint64_t start_time;          /* field 22 of /proc/PID/stat: tells a reused pid */
};

/* What went through the sandbox's network so far; all 0 where it has none. */
struct session_network {
	uint64_t connections; /* of egress, open now */
	uint64_t active;      /* requests in progress now */
	uint64_t requests;    /* that were sent out */
	uint64_t denied;      /* requests, connections and names that policy refused */
	uint64_t failed;      /* allowed, but the origin could not be reached or broke off */
	uint64_t bytes_in;    /* towards the guest */
	uint64_t bytes_out;
};

/* What session.json says. */
struct session_info {
	char id[SESSION_ID_SIZE];
	pid_t pid; /* of the supervisor */
	uint64_t start_time;
	int64_t created;                  /* seconds since the epoch */
	char image[SESSION_PATH_SIZE];    /* as the configuration names it */
	char image_id[SESSION_TEXT_SIZE]; /* build id; "" while not known */
	char label[SESSION_TEXT_SIZE];    /* "" = none */
	enum session_state state;
	char accel[16];                 /* "kvm", "tcg"; "" while not known */
	char config[SESSION_PATH_SIZE]; /* path as given; "" = none */
	bool root_started;
	struct session_network network;
	/* Names of the processes that the configuration asks for, as the supervisor read it. */
	char declared[SESSION_PROCESSES_MAX][SESSION_NAME_SIZE];
	size_t n_declared;
	struct session_process processes[SESSION_PROCESSES_MAX];
	size_t n_processes;
};

/* A session directory that is open.  All members are -1 when empty. */
struct session {
	char id[SESSION_ID_SIZE];
	int parent_fd; /* the runtime directory */
	int dir_fd;    /* the session's own */
	int lock_fd;   /* the supervisor's only: holds the lock */
};

/* An empty session, safe to close. */
#define SESSION_EMPTY ((struct session){.parent_fd = -1, .dir_fd = -1, .lock_fd = -1})

/* 8 lowercase hexadecimal digits from getrandom(2). */
void session_id_make(char id[SESSION_ID_SIZE]);

/* True where id has the form of a session id, so that it is safe as a file name. */
bool session_id_is_valid(const char *id);

/* "starting", "running", "stopping". */
const char *session_state_name(enum session_state state);

/* The start time of a process in clock ticks since boot (proc(5)), or 0 where there is none. */
uint64_t session_process_start_time(pid_t pid);

/*
 * Functions below that take error fill it, when they fail, with one line for people: what is wrong
 * and what to do.
 */

/* Files of a session's directory, beside its lock and control.sock. */
#define SESSION_FILE_NAME      "session.json"
#define SESSION_FILE_TEMPORARY ".session.json"
/* Where vfsd serves what copy-on-write mounts keep (ipc/changes.proto). */
#define SESSION_CHANGES_SOCKET   "changes.sock"
#define SESSION_CHANGES_MOUNT    "changes-"         /* and a number: a ChangesMount each */
#define SESSION_CHANGES_REVIEWED "changes.reviewed" /* ids that were shown */
#define SESSION_CHANGES_APPLIED  "changes.applied"  /* host files as apply left them */

/* The supervisor's side. */

/*
 * Makes and locks the session directory; with id NULL under an id of its own making.  The directory
 * of a dead session is emptied and taken over.  Returns 0; -EEXIST where a live session has that
 * id; -ENOTEMPTY where files are there that are no session's; -EINVAL where the id has not the
 * form; or another -errno.
 */
int session_create(struct session *s, const char *id, char *error, size_t error_size);

/* Writes session.json: to a temporary file, then renamed over the old one.  Returns 0 or -errno. */
int session_write(const struct session *s, const struct session_info *info);

/*
 * Makes the listening SOCK_SEQPACKET socket control.sock (mode 0600; an old one is removed).
 * Returns it, CLOEXEC and non-blocking, or -errno.  The path may be longer than a sun_path.
 */
int session_listen(const struct session *s, int backlog);

/* The same for another socket of the session; name as a file's. */
int session_listen_at(const struct session *s, const char *name, int backlog);

/* Removes the session's files and, where no others are there, its directory; closes s.  Safe on an
 * empty one. */
void session_remove(struct session *s);

/* Closes the descriptors and leaves the directory. */
void session_close(struct session *s);

/* The client's side. */

/*
 * Finds a live session by its id or by the start of one.  Returns 0 and opens *s (lock_fd stays
 * -1); -ENOENT where none matches; -ENOTUNIQ where several do (error names them); or another
 * -errno.
 */
int session_find(struct session *s, const char *prefix, char *error, size_t error_size);

/*
 * Reads session.json strictly: the caller's own regular file, just the known members, with the id
 * of its directory.  Returns 0; -ENOENT where it is not written yet; -EPROTO where it is wrong.
 */
int session_read(const struct session *s, struct session_info *info);

/* Connects to control.sock.  Returns the socket, CLOEXEC, or -errno (-ECONNREFUSED, -ENOENT). */
int session_connect(const struct session *s);

/* Connects to another one. */
int session_connect_at(const struct session *s, const char *name);

/* True where the directory is a session's and a supervisor holds its lock. */
bool session_is_live(const struct session *s);

/*
 * Calls each for every live session in order of id; a value other than 0 ends the walk and is
 * returned.  s is the callee's to read, not to keep.  Returns 0, also where there is no runtime
 * directory yet, or -errno.
 */
int session_each(
    int (*each)(void *ctx, const struct session *s), void *ctx, char *error, size_t error_size);

/* Removes what dead sessions left.  Returns how many, or -errno. */
int session_sweep(char *error, size_t error_size);

#endif
