/* SPDX-License-Identifier: Apache-2.0 */
/* Process 1: the steps of a boot, reaping, and the end. */
#include "guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent.h"
#include "guest/device.h"
#include "guest/limits.h"
#include "guest/relay.h"
#include "ipc/agent_frame.h"
#include "ipc/log.h"

int
init_error(int error, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	log_line("gondolin-guest: %s: %s", text, strerror(error));
	return -error;
}

static bool
word_is(const char *word, size_t n, const char *text)
{
	return n == strlen(text) && strncmp(word, text, n) == 0;
}

int
init_parse_command_line(const char *text, struct init_options *o)
{
	static const char rootfs[] = "gondolin.rootfs=";
	const char *word = text;
	size_t n;

	*o = (struct init_options){false, false};
	for (; *word != '\0'; word += strspn(word, " \n")) {
		n = strcspn(word, " \n");
		if (word_is(word, n, "gondolin.rootfs=ro"))
			o->read_only = true;
		else if (word_is(word, n, "gondolin.rootfs=rw"))
			o->read_only = false;
		else if (word_is(word, n, "gondolin.mounts"))
			o->mounts = true;
		else if (strncmp(word, rootfs, sizeof(rootfs) - 1) == 0)
			return init_error(EINVAL, "%.*s is neither ro nor rw", (int)n, word);
		word += n;
	}
	return 0;
}

static int
read_command_line(struct init_options *o)
{
	char text[4096];
	ssize_t n;
	int fd;

	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return init_error(errno, "cannot read /proc/cmdline");
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return init_error(errno, "cannot read /proc/cmdline");
	text[n] = '\0';
	return init_parse_command_line(text, o);
}

static int
loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	int fd, rc = 0;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int
init_identity(void)
{
	static const char name[] = "gondolin";
	const struct rlimit files = {LIMIT_FILES_SOFT, LIMIT_FILES_HARD};
	int rc;

	if (sethostname(name, sizeof(name) - 1) < 0)
		return init_error(errno, "cannot set the host name");
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return init_error(errno, "cannot set the limit of open files");
	rc = loopback_up();
	if (rc < 0)
		return init_error(-rc, "cannot bring the loopback interface up");
	return 0;
}

/*
 * Tells init, and stops until init has signalled everybody: a command that is told to end shall not
 * find its output closed.  The agent carries its last words.
 */
static void
hand_over(void *ctx, uint32_t grace_ms)
{
	const int *grace = ctx;

	signal(SIGTERM, SIG_IGN);
	if (write(*grace, &grace_ms, sizeof(grace_ms)) == (ssize_t)sizeof(grace_ms))
		raise(SIGSTOP);
}

/* The agent's process: its exit code says nothing, `grace` says that the host asked for the end. */
static void __attribute__((noreturn)) agent_main(int events, int grace)
{
	struct agent_options options = {.kill_after_ms = AGENT_KILL_AFTER_MS,
	    .system = &agent_system_real,
	    .shutdown = hand_over,
	    .ctx = &grace};
	uint32_t grace_ms;
	char why[256];
	int rc;

	/* So that a terminal's job control or a shell's kill 0 never reaches init. */
	setsid();
	options.port = device_port_open(events, AGENT_PORT_NAME);
	if (options.port < 0) {
		init_error(-options.port, "no virtio port " AGENT_PORT_NAME);
		_exit(1);
	}
	close(events);
	rc = agent_run(&options, &grace_ms, why, sizeof(why));
	if (rc < 0) {
		log_line("gondolin-guest: the agent ends: %s", why);
		_exit(1);
	}
	_exit(0);
}

pid_t
init_reap_until(pid_t agent, pid_t relay, int *status)
{
	pid_t pid;

	do
		pid = waitpid(-1, status, WUNTRACED);
	while ((pid > 0 && pid != agent && (pid != relay || WIFSTOPPED(*status))) ||
	       (pid < 0 && errno == EINTR));
	return pid;
}

/* Runs the agent and reaps until it or the relay ends.  Returns the grace that the host gives, in
 * ms. */
static uint32_t
run_agent(int events, pid_t relay)
{
	uint32_t grace_ms = 0;
	int grace[2], status;
	pid_t agent, ended;

	if (pipe2(grace, O_CLOEXEC | O_NONBLOCK) < 0) {
		init_error(errno, "no pipe");
		return 0;
	}
	agent = fork();
	if (agent == 0)
		agent_main(events, grace[1]);
	if (agent < 0) {
		init_error(errno, "cannot start the agent");
		return 0;
	}
	close(events);
	modules_load_late();
	ended = init_reap_until(agent, relay, &status);
	if (ended > 0 && WIFSIGNALED(status))
		log_line("gondolin-guest: the %s died of signal %d",
		    ended == agent ? "agent" : "relay of the mounts", WTERMSIG(status));
	if (ended != agent)
		return 0;
	if (read(grace[0], &grace_ms, sizeof(grace_ms)) != (ssize_t)sizeof(grace_ms))
		grace_ms = 0;
	return grace_ms < INIT_GRACE_MAX_MS ? grace_ms : INIT_GRACE_MAX_MS;
}

static int
boot(int *events, struct init_options *o)
{
	int rc;

	*events = -1;
	rc = mounts_early();
	if (rc < 0)
		return rc;
	*events = device_events_open();
	if (*events < 0)
		return init_error(-*events, "no kernel events");
	if ((rc = modules_load()) < 0 || (rc = read_command_line(o)) < 0 ||
	    (rc = mounts_switch_root(*events, o->read_only)) < 0 || (rc = modules_serve()) < 0 ||
	    (rc = mounts_late()) < 0 || (rc = init_identity()) < 0)
		return rc;
	return 0;
}

void
init_main(void)
{
	struct init_options options = {false, false};
	uint32_t grace_ms = 0;
	pid_t relay = 0;
	int events;

	umask(022);
	if (boot(&events, &options) == 0) {
		if (options.mounts)
			relay = relay_start(events);
		if (relay >= 0)
			grace_ms = run_agent(events, relay);
	}
	shutdown_processes(grace_ms, relay);
	shutdown_machine();
}
