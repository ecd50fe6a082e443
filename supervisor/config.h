/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user wrote in sandbox.conf, checked, as plain data (sandbox.conf(5)).
 *
 * The file belongs to the invoking user, who is trusted; the checks catch mistakes, and text that a
 * program put together from parts.  Everything in a struct config is valid as far as the file alone
 * can tell: names, ranges, enums, duplicates.  Whether an image, a path or a user exists is the
 * business of whoever uses it, who names the place with config_line().
 *
 * Ownership: all pointers belong to the struct config and live until config_free().  Strings are
 * UTF-8 without NUL.  "Path on the host" is as written, with a leading "~/" replaced by $HOME; a
 * relative one is meant from the working directory.
 */
#ifndef GONDOLIN_SUPERVISOR_CONFIG_H
#define GONDOLIN_SUPERVISOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFIG_FILE_MAX     (1u << 20)           /* bytes of a configuration */
#define CONFIG_VALUE_MAX    65535u               /* bytes of one value */
#define CONFIG_WORDS_MAX    1024u                /* values of one list */
#define CONFIG_OPTIONS_NAME "options"            /* of a text that a command line was made into */
#define CONFIG_ID_MAX       32u                  /* bytes of a session id */
#define CONFIG_ERROR_SIZE   512u                 /* room that holds every message of this module */
#define CONFIG_MEMORY_MIN   (UINT64_C(64) << 20) /* bytes of a guest's memory */
#define CONFIG_MEMORY_MAX   (UINT64_C(1) << 40)
#define CONFIG_CPUS_MAX     64u
#define CONFIG_TIMEOUT_MAX  4000000u /* seconds; fits a uint32_t of milliseconds */

enum config_accel { CONFIG_ACCEL_AUTO, CONFIG_ACCEL_KVM, CONFIG_ACCEL_TCG };
/* How mounts reach vfsd: by what has room, by virtio-fs devices, relayed by the guest. */
enum config_mounts { CONFIG_MOUNTS_AUTO, CONFIG_MOUNTS_VIRTIOFS, CONFIG_MOUNTS_RELAY };
enum config_rootfs { CONFIG_ROOTFS_COW, CONFIG_ROOTFS_READONLY, CONFIG_ROOTFS_MEMORY };
enum config_start { CONFIG_START_AUTO, CONFIG_START_COLD, CONFIG_START_WARM };
enum config_dns { CONFIG_DNS_SYNTHETIC, CONFIG_DNS_TRUSTED, CONFIG_DNS_OPEN };
enum config_mount_mode { CONFIG_MOUNT_RO, CONFIG_MOUNT_RW, CONFIG_MOUNT_COW };
enum config_hide_mode { CONFIG_HIDE_DENY, CONFIG_HIDE_SCRATCH };
enum config_owner { CONFIG_OWNER_SQUASH, CONFIG_OWNER_KEEP };

/* Where in a request a secret may be put in, as a bit mask. */
enum config_secret_in {
	CONFIG_SECRET_HEADER = 1 << 0,
	CONFIG_SECRET_QUERY = 1 << 1,
	CONFIG_SECRET_BODY = 1 << 2,
};

/* A list of strings; v has a NULL after its n words, and is never NULL itself. */
struct config_list {
	char **v;
	size_t n;
};

/* `vm { }`; there with its defaults where it was not written. */
struct config_vm {
	unsigned cpus; /* 1 to CONFIG_CPUS_MAX; default 1 */
	uint64_t
	    memory; /* bytes, CONFIG_MEMORY_MIN to _MAX, a multiple of 1 MiB; default 512 MiB */
	enum config_accel accel;   /* default auto */
	enum config_rootfs rootfs; /* default cow */
	enum config_start start;   /* default auto */
	enum config_mounts mounts; /* default auto */
	unsigned boot_timeout; /* seconds of one attempt; default 0: what fits the accelerator */
};

/*
 * Which hosts a pattern means: `scheme://host:port`, where scheme is http, https or ssh and absent
 * parts are empty or 0.  host is a lower-case DNS name, "*.name" (one or more labels before name),
 * "*" (any public name), an IPv4 address, or an IPv6 address without its brackets.
 */
struct config_host {
	char *text;         /* as written, for messages */
	const char *scheme; /* "http", "https" or "" */
	char *host;
	uint16_t port; /* 0 = not said */
	unsigned line; /* 0: not of a file, but of the command line (CONFIG_OPTIONS_NAME) */
};

struct config_hosts {
	struct config_host *v;
	size_t n;
};

/* A host and a port to listen on or to connect to. */
struct config_endpoint {
	char *host; /* a lower-case name, an IPv4 address, or an IPv6 address without brackets */
	uint16_t port;
};

/* `secret NAME { }` in `network`. */
struct config_secret {
	unsigned line;
	char *name;                /* an environment variable's name, unique */
	struct config_hosts hosts; /* at least one; no scheme, never "*" */
	char *env;                 /* the supervisor's variable that holds the value; or NULL */
	char *file;      /* path on the host of the file that holds it; or NULL; just one is set */
	unsigned in;     /* enum config_secret_in bits; default CONFIG_SECRET_HEADER */
	bool plain_http; /* `http = true`: may leave over http too; default false */
};

/* `tcp "NAME:PORT" { to = "HOST:PORT" }` in `network`. */
struct config_tcp {
	unsigned line;
	struct config_endpoint from; /* what the guest connects to; unique */
	struct config_endpoint to;   /* where egress connects instead */
};

/* `budget { }` and `host-budget { }` in `network`; 0 = no limit, which is the default. */
struct config_budget {
	unsigned connections; /* open at once */
	unsigned requests;    /* a second */
	uint64_t bytes_in;    /* towards the guest, over the sandbox's life */
	uint64_t bytes_out;
};

/* `timeouts { }` in `network`; seconds, 1 to 86400. */
struct config_timeouts {
	unsigned connect;   /* address to connected; default 10 */
	unsigned handshake; /* TLS, either side; default 10 */
	unsigned request;   /* first to last byte of a request's head; default 30 */
	unsigned response;  /* end of the request to the first byte of the answer; default 300 */
	unsigned idle;      /* no byte either way; default 300 */
};

/* `network { }` */
struct config_network {
	unsigned line;
	struct config_hosts allow;             /* default none */
	struct config_hosts allow_internal;    /* names only, no "*", no scheme; default none */
	enum config_dns dns;                   /* default synthetic */
	struct config_list dns_trusted_server; /* addresses, or ADDRESS:PORT; at most 8 */
	bool websockets;                       /* default true */
	char *proxy;                           /* "http://host:port", or NULL */
	char *ca_bundle;  /* path on the host: whom egress trusts; NULL: the system's */
	char *hosts_file; /* path on the host of a hosts(5); NULL: the system's */
	struct config_secret *secrets;
	size_t n_secrets;
	struct config_tcp *tcp;
	size_t n_tcp;
	struct config_budget budget;      /* of the sandbox */
	struct config_budget host_budget; /* of each host that it speaks to */
	struct config_timeouts timeouts;
};

/* `mount "PATH" { }`; just one of host and memory is set. */
struct config_mount {
	unsigned line;
	char *path;                      /* in the guest: absolute, normal, not "/", unique */
	char *host;                      /* path on the host of a directory; or NULL */
	uint64_t memory;                 /* bytes of a file system in memory; 0 = host */
	enum config_mount_mode mode;     /* default ro with host, rw with memory */
	struct config_list hide;         /* relative paths or names; * and ? match within a name */
	enum config_hide_mode hide_mode; /* default deny */
	enum config_owner owner;         /* default squash */
	char *user;                      /* root-started: the host user to act as; or NULL */
	bool trace;                      /* a record for each operation; default false */
	uint64_t max_bytes;              /* that the guest may add; 0 = no limit, the default */
	uint64_t max_inodes;             /* likewise */
	unsigned max_open;               /* open handles; default 4096 */
	unsigned max_requests;           /* in flight; default 64 */
};

/* `route "/PREFIX" { port = N }` in `ingress`. */
struct config_route {
	unsigned line;
	char *prefix;  /* absolute, normal; unique */
	uint16_t port; /* on the guest's loopback */
};

/* `ingress { }` */
struct config_ingress {
	unsigned line;
	struct config_endpoint listen; /* an address; port 0 = any free; default 127.0.0.1:0 */
	struct config_route *routes;   /* at least one */
	size_t n_routes;
};

/* `ssh { }` */
struct config_ssh {
	unsigned line;
	struct config_hosts allow; /* no scheme, no "*" */
	char *known_hosts;         /* path on the host, or NULL */
	bool agent;                /* use the agent of $SSH_AUTH_SOCK; default false */
	struct config_list keys;   /* paths on the host of private keys */
};

/* `limits { }`: of all host processes of the sandbox together. */
struct config_limits {
	unsigned line;   /* 0 = not written */
	uint64_t memory; /* bytes; 0 = no limit, the default */
	double cpu;      /* cores; 0 = no limit, the default */
	unsigned pids;   /* 0 = no limit, the default */
	bool required;   /* refuse to start where they cannot be enforced; default false */
};

/* `uid-range = "FIRST-LAST"` (root-started). */
struct config_uid_range {
	uid_t first, last; /* both included; default 1879048192-1879113727 */
};

struct config_key;   /* a key that was written, and where */
struct config_block; /* memory of this configuration */

struct config {
	char *name; /* what messages call the file: its path as given, or "<stdin>" */

	char *image;                /* tag, build id or directory; never NULL */
	struct config_list command; /* n = 0: no command, serve until stopped */
	unsigned timeout;           /* seconds for the command; 0 = none, the default */
	char *user;                 /* in the guest, a name or uid; default "root" */
	char *cwd;                  /* in the guest, absolute; NULL: the user's home, the default */
	struct config_list env;     /* NAME=VALUE, names unique */
	bool tty;                   /* the command gets a terminal; default false */
	char *id;                   /* of the session, or NULL: made at random */
	char *label;                /* for people, or NULL; at most 128 bytes, no control bytes */
	char *hooks;                /* path on the host of the policy script, or NULL */
	char *audit;                /* path on the host of the audit log, or NULL */
	struct config_uid_range uids;
	struct config_vm vm;
	struct config_limits limits;

	struct config_network *network; /* NULL: no such section, no network */
	struct config_mount *mounts;
	size_t n_mounts;
	struct config_ingress *ingress; /* NULL: no such section */
	struct config_ssh *ssh;         /* NULL: no such section */

	struct config_key *keys; /* see config_line() */
	size_t n_keys;
	struct config_block *blocks;
};

/*
 * Reads and checks a configuration; path "-" is standard input, and any readable file will do (a
 * pipe, /dev/fd/N).  Returns 0 and sets *out; or -errno and fills error with one line without a
 * newline: `sandbox.conf:12: memory = "1X": not a size; use ...`.  -EINVAL: the text is wrong;
 * -EFBIG: over CONFIG_FILE_MAX; another: reading failed.
 *
 * Not for two threads at once: libConfuse keeps its scanner in globals.
 */
int config_load(struct config **out, const char *path, char *error, size_t error_size);

/* The same of text in memory; name is what messages call it. */
int config_parse(struct config **out, const char *name, const char *text, size_t length,
    char *error, size_t error_size);

/*
 * The same into a configuration that may have been read before (*c; NULL = a new one): a key
 * replaces the earlier one's value, lists and sections with titles add up, other sections are gone
 * on with.  The first text has to be whole by itself.  After a failure *c is freed and NULL.
 */
int config_add(struct config **c, const char *name, const char *text, size_t length, char *error,
    size_t error_size);
int config_add_file(
    struct config **c, const char *name, const char *path, char *error, size_t error_size);

/* Frees all of it.  NULL is allowed. */
void config_free(struct config *c);

/*
 * The line where a key or section was first written, 0 where it was not.  Keys of sections are
 * named as "vm.memory"; titles are left out ("network.secret.hosts").
 */
unsigned config_line(const struct config *c, const char *key);

/* How many mounts are virtio-fs devices: all, or none, which the guest then relays. */
size_t config_mount_devices(const struct config *c);

/*
 * Looks for something that the grammar knows and no process serves yet.  Returns 0 where there is
 * nothing; -EOPNOTSUPP with a line in error that names the first such section or key.
 */
int config_unsupported(const struct config *c, char *error, size_t error_size);

/*
 * Writes s as a value that a configuration reads back as just s: in double quotes, with escapes.
 * Returns memory that the caller frees, or NULL where s holds what no value may hold (invalid
 * UTF-8, more than CONFIG_VALUE_MAX bytes).
 */
char *config_quote(const char *s);

/* True for [a-z0-9][a-z0-9-]{0,31}: a session id. */
bool config_id_is_valid(const char *id);

#endif
