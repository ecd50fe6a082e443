/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of single values.  Each checks `text`, writes to `out` and returns NULL, or returns what
 * is wrong with it and what to write instead ("not a size; use ..."), which lives as long as the
 * reader.
 */
#ifndef GONDOLIN_SUPERVISOR_CONFIG_VALUE_H
#define GONDOLIN_SUPERVISOR_CONFIG_VALUE_H

#include <stdarg.h>

#include "supervisor/config.h"

struct config_reader {
	struct config *config; /* owns all memory */
	unsigned line;         /* of the value in hand */
	size_t index;          /* of it in its list */
	char why[320];
};

typedef const char *
config_read(struct config_reader *r, const char *text, void *out, const void *arg);

/* Zeroed memory that lives as long as the configuration.  Never NULL. */
void *config_alloc(struct config *c, size_t n, size_t size);
char *config_strndup(struct config *c, const char *s, size_t n);

/* Formats r->why and returns it. */
const char *
config_why(struct config_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* arg: struct config_range; out: unsigned, uint64_t, double, uint16_t, uint64_t. */
struct config_range {
	double min, max;
	const char *use; /* "a number from 1 to 64" */
};
config_read config_read_unsigned, config_read_count, config_read_double, config_read_port,
    config_read_size;

/* out: bool. */
config_read config_read_bool;

/* arg: struct config_names; out: an enum, or for _mask an unsigned whose bits a list adds up. */
struct config_names {
	const char *names[8]; /* NULL ends them; the index is the value (mask: the bit) */
	const char *use;
};
config_read config_read_enum, config_read_mask;

/* out: char *. */
config_read config_read_text;      /* not empty, one line, at most 4096 bytes */
config_read config_read_label;     /* at most 128 bytes of one line; may be empty */
config_read config_read_word;      /* a word of a command: the first is not empty */
config_read config_read_env;       /* NAME=VALUE */
config_read config_read_env_name;  /* [A-Za-z_][A-Za-z0-9_]* */
config_read config_read_id;        /* of a session */
config_read config_read_user;      /* a user's name or uid */
config_read config_read_path;      /* on the host */
config_read config_read_directory; /* in the guest: absolute and normal */
config_read config_read_pattern;   /* of `hide` */

/* out: struct config_uid_range. */
config_read config_read_uids;

/* arg: enum config_host_flags as a pointer-sized value; out: struct config_host. */
enum config_host_flags {
	CONFIG_HOST_SCHEME = 1 << 0,  /* http:// or https:// may stand before */
	CONFIG_HOST_ANY = 1 << 1,     /* "*" */
	CONFIG_HOST_WILD = 1 << 2,    /* "*.name" */
	CONFIG_HOST_ADDRESS = 1 << 3, /* an address instead of a name */
	CONFIG_HOST_PORT = 1 << 4,    /* :PORT may stand behind */
};
struct config_host_rule {
	unsigned flags;
	const char *use; /* what to write */
};
config_read config_read_host;

/* HOST:PORT, both there.  arg: struct config_endpoint_rule; out: struct config_endpoint. */
struct config_endpoint_rule {
	bool names;        /* a name will do, not just an address */
	uint16_t port_min; /* 0 or 1 */
	const char *use;
};
config_read config_read_endpoint;

/* An address, or ADDRESS:PORT, kept as text; out: char *. */
config_read config_read_server;

/* "http://HOST:PORT", kept as text; out: char *. */
config_read config_read_proxy;

#endif
