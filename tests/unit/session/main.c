/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of session directories, in a runtime directory of their own. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/session.h"
#include "tests/run.h"

static char runtime[256];
static char error[SESSION_ERROR_SIZE];

static int
make_runtime(void)
{
	snprintf(runtime, sizeof(runtime), "%s/gondolin-test-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(runtime) == NULL)
		return -1;
	return setenv("GONDOLIN_RUNTIME_DIR", runtime, 1);
}

static int
remove_runtime(void)
{
	return rmdir(runtime); /* fails where a test left something behind */
}

static struct session_info
sample_info(const char *id)
{
	struct session_info info = {
	    .pid = 4242,
	    .start_time = UINT64_C(1) << 40,
	    .created = 1767323045,
	    .image = "debian",
	    .image_id = "5e0b",
	    .label = "a \"label\" \xc3\xbc",
	    .state = SESSION_RUNNING,
	    .accel = "tcg",
	    .config = "/x/sandbox.conf",
	    .root_started = true,
	    .network = {1, 2, 3, 4, 5, 6, INT64_MAX},
	    .declared = {"guard", "vmrunner"},
	    .n_declared = 2,
	    .processes = {{"vmrunner", 4243, 1879048192, 1879048192, 77},
		{"qemu", 4244, 1879048193, 105, 78}},
	    .n_processes = 2,
	};

	snprintf(info.id, sizeof(info.id), "%s", id);
	return info;
}

/* By member: memcmp would compare padding too. */
static bool
same_info(const struct session_info *a, const struct session_info *b)
{
	const struct session_process *p, *q;
	size_t i;

	if (strcmp(a->id, b->id) != 0 || a->pid != b->pid || a->start_time != b->start_time ||
	    a->created != b->created || strcmp(a->image, b->image) != 0 ||
	    strcmp(a->image_id, b->image_id) != 0 || strcmp(a->label, b->label) != 0 ||
	    a->state != b->state || strcmp(a->accel, b->accel) != 0 ||
	    strcmp(a->config, b->config) != 0 || a->root_started != b->root_started ||
	    a->n_processes != b->n_processes || a->n_declared != b->n_declared ||
	    memcmp(a->declared, b->declared, sizeof(a->declared)) != 0 ||
	    memcmp(&a->network, &b->network, sizeof(a->network)) != 0)
		return false;
	for (i = 0; i < a->n_processes; i++) {
		p = &a->processes[i];
		q = &b->processes[i];
		if (strcmp(p->name, q->name) != 0 || p->pid != q->pid || p->uid != q->uid ||
		    p->gid != q->gid || p->start_time != q->start_time)
			return false;
	}
	return true;
}

static void
make_session(struct session *s, const char *id)
{
	CU_ASSERT_EQUAL_FATAL(session_create(s, id, error, sizeof(error)), 0);
}

static void
put_file(const struct session *s, const char *name, const char *text)
{
	int fd = openat(s->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
ids(void)
{
	char a[SESSION_ID_SIZE], b[SESSION_ID_SIZE];

	session_id_make(a);
	session_id_make(b);
	CU_ASSERT_EQUAL(strspn(a, "0123456789abcdef"), 8);
	CU_ASSERT_EQUAL(strlen(a), 8);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	CU_ASSERT_TRUE(session_id_is_valid("a"));
	CU_ASSERT_TRUE(session_id_is_valid("0-a"));
	CU_ASSERT_FALSE(session_id_is_valid(""));
	CU_ASSERT_FALSE(session_id_is_valid(".."));
	CU_ASSERT_FALSE(session_id_is_valid("a/b"));
	CU_ASSERT_FALSE(session_id_is_valid("A"));
	CU_ASSERT_FALSE(session_id_is_valid("-a"));
	CU_ASSERT_TRUE(session_id_is_valid("abcdefghijabcdefghijabcdefghijab"));
	CU_ASSERT_FALSE(session_id_is_valid("abcdefghijabcdefghijabcdefghijabc"));
}

static void
two_with_one_id(void)
{
	struct session a, b;

	make_session(&a, "one");
	CU_ASSERT_EQUAL(session_create(&b, "one", error, sizeof(error)), -EEXIST);
	CU_ASSERT_STRING_EQUAL(
	    error, "a sandbox with the id one is running; choose another id or stop it");
	CU_ASSERT_EQUAL(b.dir_fd, -1);
	CU_ASSERT_EQUAL(session_create(&b, "../one", error, sizeof(error)), -EINVAL);
	make_session(&b, NULL);
	CU_ASSERT_EQUAL(strlen(b.id), 8);
	session_remove(&b);
	session_remove(&a);
	session_remove(&a);
	make_session(&a, "one");
	session_remove(&a);
}

/* A supervisor that is killed leaves its directory; the next of that id takes it over, emptied. */
static void
stale_is_reclaimed(void)
{
	struct session s;
	struct stat st;
	pid_t pid;
	int status;

	pid = fork();
	if (pid == 0) {
		if (session_create(&s, "dead", error, sizeof(error)) != 0)
			_exit(1);
		put_file(&s, "session.json", "{}");
		put_file(&s, "changes-17", "x");
		raise(SIGKILL);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFSIGNALED(status));
	CU_ASSERT_EQUAL(session_find(&s, "dead", error, sizeof(error)), -ENOENT);
	make_session(&s, "dead");
	CU_ASSERT_EQUAL(fstatat(s.dir_fd, "changes-17", &st, 0), -1);
	CU_ASSERT_EQUAL(fstatat(s.dir_fd, "session.json", &st, 0), -1);
	CU_ASSERT_TRUE(session_is_live(&s));
	session_remove(&s);
}

static void
sweep(void)
{
	struct session live, dead;

	make_session(&live, "live");
	make_session(&dead, "dead");
	put_file(&dead, "session.json", "{}");
	session_close(&dead);
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 1);
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 0);
	CU_ASSERT_TRUE(session_is_live(&live));
	session_remove(&live);
}

static void
path_of(char path[512], const char *dir, const char *name)
{
	snprintf(path, 512, "%s/%s%s%s", runtime, dir, name[0] != '\0' ? "/" : "", name);
}

/* A directory with one file in it (name "" = none); others made it, not a sandbox. */
static void
make_foreign(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	path_of(path, dir, "");
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	if (name[0] == '\0')
		return;
	path_of(path, dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_TRUE(fputs(text, f) >= 0);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void
remove_foreign(const char *dir, const char *name)
{
	char path[512];

	path_of(path, dir, name);
	if (name[0] != '\0')
		CU_ASSERT_EQUAL(unlink(path), 0);
	path_of(path, dir, "");
	CU_ASSERT_EQUAL(rmdir(path), 0);
}

/* Takes the locks that a supervisor would, for as long as the descriptor is open. */
static int
lock_file(const char *dir, const char *name)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[512];
	int fd;

	path_of(path, dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_EQUAL(fcntl(fd, F_OFD_SETLK, &l), 0);
	return fd;
}

/* GONDOLIN_RUNTIME_DIR=$HOME: what the user keeps there is not touched, and no session. */
static void
foreign_directories(void)
{
	/* Names that a session has too, but with what no supervisor wrote there. */
	static const struct {
		const char *dir, *name, *text;
	} rows[] = {
	    {"src", "main.c", "int main;\n"},
	    {"app", "lock", "pid 17\n"},
	    {"app-empty", "lock", ""},
	    {"app-near", "lock", "lock of a gondolin session\n\n"},
	    {"web", "session.json", "{}"},
	    {"log", "changes-1", "x"},
	};
	struct session s;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		make_foreign(rows[i].dir, rows[i].name, rows[i].text);
	fd = lock_file("app", "lock");
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(session_find(&s, "app", error, sizeof(error)), -ENOENT);
	close(fd);
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(session_create(&s, rows[i].dir, error, sizeof(error)), -ENOTEMPTY);
		CU_ASSERT_EQUAL(s.dir_fd, -1);
		/* Fails where the file is gone, or where another one was made. */
		remove_foreign(rows[i].dir, rows[i].name);
	}
	CU_ASSERT_STRING_EQUAL(error,
	    "session directory log: there are files in it that are not a sandbox's; choose another "
	    "id, or another GONDOLIN_RUNTIME_DIR");
}

/* An empty directory is left alone too, until a session of its name takes its place. */
static void
empty_directory(void)
{
	struct session s;

	make_foreign("empty", "", "");
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(session_find(&s, "empty", error, sizeof(error)), -ENOENT);
	make_session(&s, "empty");
	session_remove(&s);
	make_foreign("empty", "", "");
	remove_foreign("empty", "");
}

/* What a supervisor leaves that dies while it makes its directory. */
static void
half_made(void)
{
	char path[512];
	struct session s;
	int fd;

	make_foreign(".gondolin-0123abcd", "", "");
	make_foreign(".gondolin-0123abce", "lock", "");
	make_foreign(".gondolin-0123abcf", "lock", "lock of a gon");
	make_foreign(".gondolin-0123abc0", "notes", "mine");
	CU_ASSERT_EQUAL(session_find(&s, "0123abc", error, sizeof(error)), -ENOENT);
	/* One that is being made right now. */
	fd = lock_file(".gondolin-0123abcf", "lock");
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 1);
	path_of(path, ".gondolin-0123abcf", "lock");
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	close(fd);
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 1);
	/* All are gone but the user's file, wherever that came from. */
	remove_foreign(".gondolin-0123abc0", "notes");
}

/* What cannot be made whole is not left half. */
static void
out_of_descriptors(void)
{
	struct rlimit before, few;
	struct session s;
	int fd = open("/", O_RDONLY), more, rc = -EMFILE;

	close(fd);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (more = 1; rc == -EMFILE; more++) {
		few = before;
		few.rlim_cur = (rlim_t)(fd + more);
		setrlimit(RLIMIT_NOFILE, &few);
		rc = session_create(&s, "few", error, sizeof(error));
		setrlimit(RLIMIT_NOFILE, &before);
		if (rc == 0)
			session_remove(&s);
		CU_ASSERT_EQUAL(rmdir(runtime), 0);
		CU_ASSERT_EQUAL(mkdir(runtime, 0700), 0);
	}
	CU_ASSERT_EQUAL(rc, 0);
}

/* What a user put beside a session's files outlives the session. */
static void
foreign_file(void)
{
	static const char *const ours[] = {"session.json", ".session.json", "control.sock",
	    "changes.sock", "changes.reviewed", "changes.applied", "changes-0", "changes-31"};
	static const char *const theirs[] = {"notes", "changes-", "changes-1x", "lock.bak"};
	struct session s;
	size_t i;

	make_session(&s, "mixed");
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		put_file(&s, ours[i], "x");
	for (i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		put_file(&s, theirs[i], "x");
	session_close(&s);
	make_session(&s, "mixed");
	for (i = 1; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		CU_ASSERT_EQUAL(unlinkat(s.dir_fd, theirs[i], 0), 0);
	session_remove(&s);
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(session_create(&s, "mixed", error, sizeof(error)), -ENOTEMPTY);
	remove_foreign("mixed", theirs[0]);
}

static void
write_and_read(void)
{
	struct session s;
	struct session_info out = sample_info("rw"), in;
	size_t i;

	make_session(&s, "rw");
	CU_ASSERT_EQUAL(session_read(&s, &in), -ENOENT);
	CU_ASSERT_EQUAL(session_write(&s, &out), 0);
	CU_ASSERT_EQUAL_FATAL(session_read(&s, &in), 0);
	CU_ASSERT_TRUE(same_info(&in, &out));
	/* The largest there is, every byte of it escaped. */
	memset(out.image, 0x01, sizeof(out.image) - 1);
	memset(out.config, 0x7f, sizeof(out.config) - 1);
	memset(out.label, '"', sizeof(out.label) - 1);
	for (i = 0; i < SESSION_PROCESSES_MAX; i++)
		out.processes[i] = (struct session_process){
		    "helper", INT32_MAX, UINT32_MAX, UINT32_MAX, INT64_MAX};
	out.n_processes = SESSION_PROCESSES_MAX;
	out.state = SESSION_STOPPING;
	CU_ASSERT_EQUAL(session_write(&s, &out), 0);
	CU_ASSERT_EQUAL_FATAL(session_read(&s, &in), 0);
	CU_ASSERT_TRUE(same_info(&in, &out));
	/* A path that is no UTF-8 is shown escaped, and cut where that is longer than the field. */
	memset(out.config, 0xff, sizeof(out.config) - 1);
	CU_ASSERT_EQUAL(session_write(&s, &out), 0);
	CU_ASSERT_EQUAL_FATAL(session_read(&s, &in), 0);
	CU_ASSERT_EQUAL(strncmp(in.config, "\\xff\\xff", 8), 0);
	session_remove(&s);
}

#define COUNTERS                                                                \
	"\"active\":0,\"requests\":0,\"denied\":0,\"failed\":0,\"bytes_in\":0," \
	"\"bytes_out\":0"
#define NETWORK "\"network\":{\"connections\":0," COUNTERS "}"
#define BEFORE                                                                        \
	",\"pid\":1,\"start_time\":1,\"created\":1,\"image\":\"\",\"image_id\":\"\"," \
	"\"label\":\"\",\"state\":\"running\",\"accel\":\"\",\"config\":\"\"," NETWORK ","
#define REST BEFORE "\"declared\":[\"guard\"],"
#define GOOD "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[]}"

static void
strict_reading(void)
{
	static const char *const texts[] = {
	    "",
	    "{}",
	    "[]",
	    GOOD "x",
	    "{\"id\":\"other\"" REST "\"root_started\":false,\"processes\":[]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[]," NETWORK "}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[],\"network\":{}}",
	    "{\"id\":\"bad\"" BEFORE "\"root_started\":false,\"processes\":[]}",
	    "{\"id\":\"bad\"" BEFORE
	    "\"root_started\":false,\"processes\":[],\"declared\":\"guard\"}",
	    "{\"id\":\"bad\"" BEFORE "\"root_started\":false,\"processes\":[],\"declared\":[1]}",
	    "{\"id\":\"bad\"" BEFORE "\"root_started\":false,\"processes\":[],\"declared\":["
	    "\"a name that is longer than its field is\"]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":0,\"processes\":[]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":{}}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[1]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[],\"more\":1}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[{\"name\":\"q\","
	    "\"pid\":0,\"uid\":0,\"gid\":0,\"start_time\":0}]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[{\"name\":\"q\","
	    "\"pid\":1,\"uid\":-1,\"gid\":0,\"start_time\":0}]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[{\"name\":\"q\","
	    "\"pid\":1,\"uid\":1,\"gid\":4294967296,\"start_time\":0}]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[{\"name\":\"q\","
	    "\"pid\":1,\"uid\":1,\"start_time\":0}]}",
	    "{\"id\":\"bad\"" REST "\"root_started\":false,\"processes\":[{\"name\":\""
	    "a name that is longer than its field "
	    "is\",\"pid\":1,\"uid\":1,\"gid\":1,\"start_time\":0}]}",
	};
	struct session_info info;
	struct session s;
	size_t i;

	make_session(&s, "bad");
	put_file(&s, "session.json", GOOD);
	CU_ASSERT_EQUAL(session_read(&s, &info), 0);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put_file(&s, "session.json", texts[i]);
		CU_ASSERT_EQUAL(session_read(&s, &info), -EPROTO);
	}
	CU_ASSERT_EQUAL(unlinkat(s.dir_fd, "session.json", 0), 0);
	CU_ASSERT_EQUAL(symlinkat("/proc/self/status", s.dir_fd, "session.json"), 0);
	CU_ASSERT_EQUAL(session_read(&s, &info), -EPROTO);
	CU_ASSERT_EQUAL(unlinkat(s.dir_fd, "session.json", 0), 0);
	CU_ASSERT_EQUAL(mkfifoat(s.dir_fd, "session.json", 0600), 0);
	CU_ASSERT_EQUAL(session_read(&s, &info), -EPROTO);
	session_remove(&s);
}

static int
count_one(void *ctx, const struct session *s)
{
	char *seen = ctx;

	strcat(strcat(seen, s->id), " ");
	return 0;
}

static void
find_and_list(void)
{
	struct session a, b, c, found;
	char seen[128] = "";

	make_session(&a, "ab12");
	make_session(&b, "ab34");
	make_session(&c, "ab");
	CU_ASSERT_EQUAL(session_each(count_one, seen, error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(seen, "ab ab12 ab34 ");
	CU_ASSERT_EQUAL(session_find(&found, "ab3", error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(found.id, "ab34");
	CU_ASSERT_EQUAL(found.lock_fd, -1);
	session_close(&found);
	CU_ASSERT_EQUAL(session_find(&found, "ab", error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(found.id, "ab");
	session_close(&found);
	CU_ASSERT_EQUAL(session_find(&found, "a", error, sizeof(error)), -ENOTUNIQ);
	CU_ASSERT_STRING_EQUAL(
	    error, "a is the start of several ids: ab, ab12, ab34; write more of it");
	CU_ASSERT_EQUAL(found.dir_fd, -1);
	CU_ASSERT_EQUAL(session_find(&found, "x", error, sizeof(error)), -ENOENT);
	CU_ASSERT_EQUAL(session_find(&found, "../a", error, sizeof(error)), -EINVAL);
	session_remove(&a);
	session_remove(&b);
	session_remove(&c);
}

static void
control_socket(void)
{
	struct session s, client;
	struct stat st;
	int listener, connection;

	make_session(&s, "sock");
	CU_ASSERT_EQUAL(session_connect(&s), -ENOENT);
	listener = session_listen(&s, 4);
	CU_ASSERT_FATAL(listener >= 0);
	CU_ASSERT_EQUAL(fstatat(s.dir_fd, "control.sock", &st, AT_SYMLINK_NOFOLLOW), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFSOCK | 0600);
	CU_ASSERT_EQUAL(session_find(&client, "so", error, sizeof(error)), 0);
	connection = session_connect(&client);
	CU_ASSERT_FATAL(connection >= 0);
	close(connection);
	close(listener);
	CU_ASSERT_EQUAL(session_connect(&client), -ECONNREFUSED);
	session_close(&client);
	/* A second listener replaces the file of the first. */
	listener = session_listen(&s, 4);
	CU_ASSERT_TRUE(listener >= 0);
	close(listener);
	session_remove(&s);
}

/* A runtime directory far longer than a sun_path. */
static void
long_path(void)
{
	char path[512], component[101];
	struct session s;
	int listener, connection;

	memset(component, 'd', 100);
	component[100] = '\0';
	snprintf(path, sizeof(path), "%s/%s", runtime, component);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/%s", runtime, component, component);
	setenv("GONDOLIN_RUNTIME_DIR", path, 1);
	make_session(&s, "long");
	listener = session_listen(&s, 1);
	CU_ASSERT_TRUE(listener >= 0);
	connection = session_connect(&s);
	CU_ASSERT_TRUE(connection >= 0);
	close(connection);
	close(listener);
	session_remove(&s);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/%s", runtime, component);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	setenv("GONDOLIN_RUNTIME_DIR", runtime, 1);
}

static void
unsafe_runtime(void)
{
	char path[300], want[512];
	struct session s;

	snprintf(path, sizeof(path), "%s/other", runtime);
	setenv("GONDOLIN_RUNTIME_DIR", path, 1);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	CU_ASSERT_EQUAL(chmod(path, 0770), 0);
	CU_ASSERT_EQUAL(session_create(&s, "a", error, sizeof(error)), -EPERM);
	snprintf(want, sizeof(want),
	    "%s: can be written to by others; set GONDOLIN_RUNTIME_DIR to a directory of yours",
	    path);
	CU_ASSERT_STRING_EQUAL(error, want);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	CU_ASSERT_EQUAL(symlink(runtime, path), 0);
	CU_ASSERT_EQUAL(session_create(&s, "a", error, sizeof(error)), -ENOTDIR);
	CU_ASSERT_EQUAL(session_find(&s, "a", error, sizeof(error)), -ENOTDIR);
	CU_ASSERT_EQUAL(unlink(path), 0);
	/* Nothing there is nothing running. */
	CU_ASSERT_EQUAL(session_sweep(error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(session_find(&s, "a", error, sizeof(error)), -ENOENT);
	setenv("GONDOLIN_RUNTIME_DIR", "relative", 1);
	CU_ASSERT_EQUAL(session_create(&s, "a", error, sizeof(error)), -EINVAL);
	setenv("GONDOLIN_RUNTIME_DIR", runtime, 1);
	/* A session that is a link is none. */
	snprintf(path, sizeof(path), "%s/link", runtime);
	CU_ASSERT_EQUAL(symlink(runtime, path), 0);
	CU_ASSERT_EQUAL(session_create(&s, "link", error, sizeof(error)), -ENOTDIR);
	CU_ASSERT_EQUAL(unlink(path), 0);
}

/* Processes that create, remove and sweep one id at once: one holds it, and none is disturbed. */
static void
race(void)
{
	struct session s;
	pid_t pids[4];
	int i, j, rc, status;

	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		for (j = 0; j < 200; j++) {
			rc = session_create(&s, "race", error, sizeof(error));
			if (rc == -EEXIST)
				continue;
			if (rc != 0 || session_sweep(error, sizeof(error)) < 0 ||
			    faccessat(s.dir_fd, "lock", F_OK, 0) != 0 || !session_is_live(&s))
				_exit(1);
			session_remove(&s);
		}
		_exit(0);
	}
	for (i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(waitpid(pids[i], &status, 0), pids[i]);
		CU_ASSERT_EQUAL(status, 0);
	}
	(void)session_sweep(error, sizeof(error));
}

static void
start_time(void)
{
	uint64_t mine = session_process_start_time(getpid());

	CU_ASSERT_TRUE(mine > 0);
	CU_ASSERT_EQUAL(session_process_start_time(getpid()), mine);
	CU_ASSERT_EQUAL(session_process_start_time(INT32_MAX), 0);
}

int
main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
	    {"ids", ids},
	    {"two with one id", two_with_one_id},
	    {"a dead one is reclaimed", stale_is_reclaimed},
	    {"sweep", sweep},
	    {"directories of others", foreign_directories},
	    {"an empty directory", empty_directory},
	    {"half made", half_made},
	    {"out of descriptors", out_of_descriptors},
	    {"a file of others", foreign_file},
	    {"session.json, there and back", write_and_read},
	    {"session.json, refused", strict_reading},
	    {"find and list", find_and_list},
	    {"control.sock", control_socket},
	    {"a path longer than sun_path", long_path},
	    {"unsafe directories", unsafe_runtime},
	    {"create, remove and sweep at once", race},
	    {"start time", start_time},
	};
	CU_pSuite suite;
	size_t i;

	begin_tests();
	suite = CU_add_suite("session", make_runtime, remove_runtime);
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		CU_add_test(suite, tests[i].name, tests[i].run);
	return run_tests();
}
