/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of jail_enter(), in their order; see jail.h for why it is this one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ipc/log.h"
#include "jail/internal.h"

#define EXIT_SANDBOX 125

pid_t
jail_parent_pid(int stat_fd)
{
	char text[512];
	const char *after;
	char *end;
	ssize_t n;
	long parent;

	n = pread(stat_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	/* "pid (name) state parent ...": the name may hold any byte. */
	after = strrchr(text, ')');
	if (after == NULL || strlen(after) < strlen(") S 1"))
		return -1;
	after += strlen(") S ");
	parent = strtol(after, &end, 10);
	return end == after || parent > INT_MAX ? -1 : (pid_t)parent;
}

int
jail_die_with_parent(int stat_fd, pid_t parent, struct jail_failure *f)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return jail_fail(f, errno, "cannot ask to die with the parent");
	if (parent <= 0 || jail_parent_pid(stat_fd) != parent)
		return jail_fail(f, ESRCH, "the parent has died");
	return 0;
}

/* "UID:GID", neither of them 0 or out of range. */
static bool
parse_ids(const char *text, struct jail_identity *id)
{
	char *end;
	unsigned long uid, gid;

	uid = strtoul(text, &end, 10);
	if (*end != ':')
		return false;
	gid = strtoul(end + 1, &end, 10);
	id->uid = (uid_t)uid;
	id->gid = (gid_t)gid;
	return *end == '\0' && uid != 0 && gid != 0 && uid < UINT32_MAX && gid < UINT32_MAX;
}

/* What JAIL_VARIABLE says, which jail_spawn() wrote: "user" or "UID:GID". */
static int
read_identity(struct jail_identity *id, struct jail_failure *f)
{
	const char *text = getenv(JAIL_VARIABLE);

	memset(id, 0, sizeof(*id));
	if (text == NULL)
		return jail_fail(f, EINVAL, "this program is started by gondolin-supervisor only");
	if (strcmp(text, "user") != 0) {
		id->root_started = true;
		if (!parse_ids(text, id))
			return jail_fail(f, EINVAL, "%s is \"%s\"", JAIL_VARIABLE, text);
	}
	unsetenv(JAIL_VARIABLE);
	return 0;
}

/* A change of uid drops PDEATHSIG (prctl(2)), so it is asked for again. */
static int
take_identity(const struct jail_identity *id, int stat_fd, struct jail_failure *f)
{
	const pid_t parent = jail_parent_pid(stat_fd);
	int error = jail_identity_take(id, f);

	return error < 0 ? error : jail_die_with_parent(stat_fd, parent, f);
}

/* From here on no step needs a privilege. */
static int
drop_privileges(const struct jail_profile *profile, int ruleset, struct jail_failure *f)
{
	const unsigned walls = profile->walls;
	int error = 0;

	if (walls & JAIL_RLIMITS)
		error = jail_limits_apply(profile->limits, profile->n_limits, f);
	if (error == 0 && walls & JAIL_CAPS)
		error = jail_caps_drop(f);
	if (error == 0 && walls & JAIL_NO_NEW_PRIVS && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error = jail_fail(f, errno, "cannot set no_new_privs");
	/* Said either way: a change of uid has cleared it by itself. */
	if (error == 0 && prctl(PR_SET_DUMPABLE, walls & JAIL_NON_DUMPABLE ? 0 : 1, 0, 0, 0) < 0)
		error = jail_fail(f, errno, "cannot become non-dumpable");
	if (error == 0 && ruleset >= 0)
		error = jail_landlock_enforce(ruleset, f);
	return error;
}

int
jail_walls_build(const struct jail_profile *profile, const struct jail_identity *id,
    struct jail_grants grants, struct jail_failure *f)
{
	const unsigned walls = profile->walls;
	int stat_fd, ruleset = -1, error = 0;

	if (walls & JAIL_PID && getpid() != 1)
		return jail_fail(f, EINVAL, "this process has no pid namespace of its own");
	stat_fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (stat_fd < 0)
		return jail_fail(f, errno, "cannot read /proc/self/stat (is /proc mounted?)");
	/* An ordinary user who stays one has no capability, and no right to say that none may come:
	 * no_new_privs says it. */
	if (walls & JAIL_CAPS && (walls & JAIL_USER || geteuid() == 0))
		error = jail_caps_bound(f);
	if (error == 0 && walls & JAIL_ROOT && walls & JAIL_MOUNT)
		error = jail_root_build(profile->binds, f);
	if (error == 0 && walls & JAIL_LANDLOCK) {
		ruleset = jail_landlock_prepare(profile->binds, grants, !(walls & JAIL_NET), f);
		error = ruleset < 0 && ruleset != -ENOSYS ? ruleset : 0;
	}
	if (error == 0 && walls & JAIL_USER && id->root_started)
		error = take_identity(id, stat_fd, f);
	if (error == 0)
		error = drop_privileges(profile, ruleset, f);
	close(stat_fd);
	return error;
}

/* All walls of the profile, or the process's end. */
static void
build_or_exit(const struct jail_profile *profile, const struct jail_identity *id,
    struct jail_grants grants, int error, struct jail_failure *f)
{
	struct jail_filter filter = {NULL, 0};
	char name[16];

	/* Some kernels name a process that was started by a descriptor after its number. */
	snprintf(name, sizeof(name), "gondolin-%s", profile->name);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	if (error == 0 && profile->walls & JAIL_SECCOMP)
		error = jail_filter_build(profile, -1, &filter, f);
	if (error == 0)
		error = jail_walls_build(profile, id, grants, f);
	if (error == 0 && profile->walls & JAIL_SECCOMP) {
		error = jail_trap_install(f);
		if (error == 0) {
			error = jail_filter_load(&filter, false);
			if (error < 0)
				jail_fail(f, -error, "cannot install the seccomp filter");
		}
		/* Makes no call: too little to trim. */
		jail_filter_clear(&filter);
	}
	if (error < 0) {
		log_line("jail: %s", f->text);
		_exit(EXIT_SANDBOX);
	}
}

void
jail_enter_granting(const struct jail_profile *profile, const struct jail_grant *grants, size_t n)
{
	struct jail_failure f = {""};
	struct jail_identity id;
	int error = read_identity(&id, &f);

	build_or_exit(profile, &id, (struct jail_grants){grants, n}, error, &f);
}

void
jail_enter(const struct jail_profile *profile)
{
	jail_enter_granting(profile, NULL, 0);
}

void
jail_confine(const struct jail_profile *profile)
{
	const struct jail_identity same = {0};
	struct jail_failure f = {""};

	build_or_exit(profile, &same, (struct jail_grants){NULL, 0}, 0, &f);
}
