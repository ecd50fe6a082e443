/* SPDX-License-Identifier: Apache-2.0 */
/* session.json: one table says what is in it, for writing and for reading. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/file.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "ipc/session.h"
#include "ipc/utf8.h"

#define TOKENS_MAX 512u

enum kind { TEXT, PID, ID, UNSIGNED, SIGNED, BOOL, STATE };

struct field {
	const char *name;
	enum kind kind;
	size_t offset, size;
};

#define FIELD(type, member, kind)                                                                  \
	{                                                                                          \
#member, (kind), offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}

static const struct field info_fields[] = {
    FIELD(session_info, id, TEXT),
    FIELD(session_info, pid, PID),
    FIELD(session_info, start_time, UNSIGNED),
    FIELD(session_info, created, SIGNED),
    FIELD(session_info, image, TEXT),
    FIELD(session_info, image_id, TEXT),
    FIELD(session_info, label, TEXT),
    FIELD(session_info, state, STATE),
    FIELD(session_info, accel, TEXT),
    FIELD(session_info, config, TEXT),
    FIELD(session_info, root_started, BOOL),
};
#define N_INFO (sizeof(info_fields) / sizeof(info_fields[0]))

static const struct field process_fields[] = {
    FIELD(session_process, name, TEXT),
    FIELD(session_process, pid, PID),
    FIELD(session_process, uid, ID),
    FIELD(session_process, gid, ID),
    FIELD(session_process, start_time, UNSIGNED),
};
#define N_PROCESS (sizeof(process_fields) / sizeof(process_fields[0]))

static const struct field network_fields[] = {
    FIELD(session_network, connections, UNSIGNED),
    FIELD(session_network, active, UNSIGNED),
    FIELD(session_network, requests, UNSIGNED),
    FIELD(session_network, denied, UNSIGNED),
    FIELD(session_network, failed, UNSIGNED),
    FIELD(session_network, bytes_in, UNSIGNED),
    FIELD(session_network, bytes_out, UNSIGNED),
};
#define N_NETWORK (sizeof(network_fields) / sizeof(network_fields[0]))

static const char *const state_names[] = {"starting", "running", "stopping"};

const char *
session_state_name(enum session_state state)
{
	return state_names[state];
}

/* ---- Writing ---- */

/* A path may hold any bytes; what is no UTF-8 is escaped, so that it still fits when read back. */
static void
put_text(struct json_writer *w, const char *text, size_t size)
{
	char escaped[SESSION_PATH_SIZE];

	if (utf8_is_valid(text, strlen(text)))
		json_put_string(w, text);
	else
		json_put_string(w, log_escape(escaped, size, text, strlen(text)));
}

static void
put_field(struct json_writer *w, const struct field *f, const void *object)
{
	const char *at = (const char *)object + f->offset;
	union {
		pid_t pid;
		uint32_t id;
		uint64_t u;
		int64_t s;
		bool b;
		enum session_state state;
	} v;

	json_key(w, f->name);
	if (f->kind == TEXT) {
		put_text(w, at, f->size);
		return;
	}
	memcpy(&v, at, f->size);
	switch (f->kind) {
	case PID:
		json_put_integer(w, v.pid);
		break;
	case ID:
		json_put_integer(w, v.id);
		break;
	case BOOL:
		json_put_bool(w, v.b);
		break;
	case STATE:
		json_put_string(w, state_names[v.state]);
		break;
	default:
		json_put_integer(w, v.s);
	}
}

static void
put_info(struct json_writer *w, const struct session_info *info)
{
	size_t i, j;

	json_open(w, '{');
	for (i = 0; i < N_INFO; i++)
		put_field(w, &info_fields[i], info);
	json_key(w, "network");
	json_open(w, '{');
	for (i = 0; i < N_NETWORK; i++)
		put_field(w, &network_fields[i], &info->network);
	json_close(w, '}');
	json_key(w, "declared");
	json_open(w, '[');
	for (i = 0; i < info->n_declared; i++)
		json_put_string(w, info->declared[i]);
	json_close(w, ']');
	json_key(w, "processes");
	json_open(w, '[');
	for (i = 0; i < info->n_processes; i++) {
		json_open(w, '{');
		for (j = 0; j < N_PROCESS; j++)
			put_field(w, &process_fields[j], &info->processes[i]);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_close(w, '}');
}

int
session_write(const struct session *s, const struct session_info *info)
{
	struct json_writer w;
	int fd, rc = 0;

	json_writer_init(&w);
	put_info(&w, info);
	fd = openat(s->dir_fd, SESSION_FILE_TEMPORARY,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		rc = -errno;
	if (rc == 0)
		rc = file_write_all(fd, w.text, w.length);
	if (rc == 0 &&
	    renameat(s->dir_fd, SESSION_FILE_TEMPORARY, s->dir_fd, SESSION_FILE_NAME) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(s->dir_fd, SESSION_FILE_TEMPORARY, 0);
	if (fd >= 0)
		close(fd);
	json_writer_clear(&w);
	return rc;
}

/* ---- Reading ---- */

static int
take_integer(const struct json *j, const struct json_token *t, int64_t min, int64_t max, int64_t *v)
{
	if (json_integer(j, t, v) < 0 || *v < min || *v > max)
		return -EPROTO;
	return 0;
}

static int
take_state(const struct json *j, const struct json_token *t, enum session_state *state)
{
	size_t i;

	for (i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++)
		if (json_equals(j, t, state_names[i])) {
			*state = (enum session_state)i;
			return 0;
		}
	return -EPROTO;
}

static int
take_field(const struct json *j, const struct json_token *object, const struct field *f, void *out)
{
	const struct json_token *t = json_member(j, object, f->name);
	char *at = (char *)out + f->offset;
	enum session_state state;
	int64_t v = 0;
	bool b;
	int rc;

	switch (f->kind) {
	case TEXT:
		return json_string(j, t, at, f->size) < 0 ? -EPROTO : 0;
	case BOOL:
		rc = json_bool(t, &b);
		if (rc == 0)
			memcpy(at, &b, sizeof(b));
		return rc;
	case STATE:
		rc = take_state(j, t, &state);
		if (rc == 0)
			memcpy(at, &state, sizeof(state));
		return rc;
	case PID:
		rc = take_integer(j, t, 1, INT32_MAX, &v);
		break;
	case ID:
		rc = take_integer(j, t, 0, UINT32_MAX, &v);
		break;
	default:
		rc = take_integer(j, t, 0, INT64_MAX, &v);
	}
	/* Little-endian: the low bytes are the first ones (x86-64, arm64). */
	if (rc == 0)
		memcpy(at, &v, f->size);
	return rc;
}

/* An object with just these members: names are unique, so that counting them is enough. */
static int
take_object(const struct json *j, const struct json_token *object, const struct field *fields,
    size_t n, size_t others, void *out)
{
	size_t i;
	int rc;

	if (object == NULL || object->type != JSON_OBJECT || object->size != n + others)
		return -EPROTO;
	for (i = 0; i < n; i++) {
		rc = take_field(j, object, &fields[i], out);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static const struct json_token *
take_list(const struct json *j, const char *name)
{
	const struct json_token *list = json_member(j, j->tokens, name);

	if (list == NULL || list->type != JSON_ARRAY || list->size > SESSION_PROCESSES_MAX)
		return NULL;
	return list;
}

static int
take_declared(const struct json *j, struct session_info *info)
{
	const struct json_token *list = take_list(j, "declared");
	size_t i;

	if (list == NULL)
		return -EPROTO;
	for (i = 0; i < list->size; i++)
		if (json_string(j, json_element(j, list, i), info->declared[i],
			sizeof(info->declared[i])) < 0)
			return -EPROTO;
	info->n_declared = list->size;
	return 0;
}

static int
take_info(const struct json *j, struct session_info *info)
{
	const struct json_token *list;
	int rc;

	memset(info, 0, sizeof(*info));
	rc = take_object(j, j->tokens, info_fields, N_INFO, 3, info);
	if (rc == 0)
		rc = take_object(j, json_member(j, j->tokens, "network"), network_fields, N_NETWORK,
		    0, &info->network);
	if (rc == 0)
		rc = take_declared(j, info);
	if (rc < 0)
		return rc;
	list = take_list(j, "processes");
	if (list == NULL)
		return -EPROTO;
	for (; info->n_processes < list->size; info->n_processes++) {
		rc = take_object(j, json_element(j, list, info->n_processes), process_fields,
		    N_PROCESS, 0, &info->processes[info->n_processes]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Returns the length, or -errno. */
static ssize_t
read_file(int dir_fd, char *text, size_t size)
{
	struct stat st;
	ssize_t n;
	int fd;

	fd = openat(dir_fd, SESSION_FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EPROTO : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    st.st_size <= 0 || (size_t)st.st_size > size)
		n = -EPROTO;
	else
		/* A file of this size under this name was renamed here whole. */
		n = read(fd, text, size);
	if (n < 0 && n != -EPROTO)
		n = -errno;
	close(fd);
	return n;
}

int
session_read(const struct session *s, struct session_info *info)
{
	struct json_token tokens[TOKENS_MAX];
	char *text = malloc(SESSION_FILE_MAX);
	struct json j;
	ssize_t n;
	int rc;

	if (text == NULL)
		abort();
	n = read_file(s->dir_fd, text, SESSION_FILE_MAX);
	rc = n < 0 ? (int)n : json_parse(&j, text, (size_t)n, tokens, TOKENS_MAX);
	if (n >= 0 && rc < 0)
		rc = -EPROTO;
	if (rc == 0)
		rc = take_info(&j, info);
	/* A file that was copied from another session would point at that one's processes. */
	if (rc == 0 && strcmp(info->id, s->id) != 0)
		rc = -EPROTO;
	free(text);
	return rc;
}
