/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of the benchmarks.
 *
 * As process 1 it is the least that a machine can do: say a word on the console; with modules in
 * its initramfs, load them and answer requests on a virtio-serial port (protocol.h).  As a command
 * it measures or moves bytes for the machine that it runs in.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/protocol.h"

#define PORT "/dev/vport0p1"

extern char **environ;

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "bench_guest: %s: %s\n", what, strerror(errno));
	if (getpid() != 1)
		exit(1);
	/* The bench sees the line on the console, and ends the machine. */
	for (;;)
		pause();
}

static void
say(const char *word)
{
	if (write(STDOUT_FILENO, word, strlen(word)) < 0)
		fail("console");
}

/* Reads or writes all n bytes; false at the end of the file. */
static bool
all(ssize_t (*move)(int, void *, size_t), int fd, uint8_t *bytes, size_t n)
{
	ssize_t done;

	for (; n > 0; bytes += done, n -= (size_t)done) {
		done = move(fd, bytes, n);
		if (done < 0 && errno == EINTR)
			done = 0;
		else if (done < 0)
			fail("stream");
		else if (done == 0)
			return false;
	}
	return true;
}

static ssize_t
put(int fd, void *bytes, size_t n)
{
	return write(fd, bytes, n);
}

/* ---- Process 1 ---- */

static void
load_modules(void)
{
	char line[256];
	FILE *list = fopen("/modules.list", "re");
	int fd;

	if (list == NULL)
		fail("/modules.list");
	while (fgets(line, sizeof(line), list) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		/* Words behind it say that a boot needs it not (guest/init.h). */
		if (strchr(line, ' ') != NULL)
			continue;
		fd = open(line, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			fail(line);
		close(fd);
	}
	fclose(list);
}

/* The port's node comes with the device's own message, after its module; the host end is open. */
static int
open_port(void)
{
	struct pollfd p = {.events = POLLOUT};
	const struct timespec a_while = {.tv_nsec = 1000000};

	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
		fail("/dev");
	while ((p.fd = open(PORT, O_RDWR | O_CLOEXEC)) < 0) {
		if (errno != ENOENT && errno != ENXIO)
			fail(PORT);
		nanosleep(&a_while, NULL);
	}
	while (poll(&p, 1, 0) < 0 || (p.revents & POLLHUP) != 0)
		nanosleep(&a_while, NULL);
	return p.fd;
}

static void
serve(int port)
{
	static uint8_t bytes[BENCH_CHUNK];
	struct bench_request r;
	uint64_t left;
	size_t n;

	while (all(read, port, (uint8_t *)&r, sizeof(r))) {
		for (left = r.bytes; left > 0; left -= n) {
			n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
			if (!all(r.kind == BENCH_OUT ? put : read, port, bytes, n))
				fail("port");
		}
		if (!all(put, port, (uint8_t *)&r, sizeof(r)))
			fail("port");
	}
}

static _Noreturn void
init_main(void)
{
	int port;

	if (access("/modules.list", F_OK) == 0) {
		load_modules();
		port = open_port();
		say(BENCH_WORD);
		serve(port);
	}
	say(BENCH_WORD);
	for (;;)
		pause();
}

/* ---- A command ---- */

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A line for each start of argv[0], from fork to its end, in nanoseconds: fork as a shell does it.
 */
static int
measure_spawn(unsigned long n, char **argv)
{
	uint64_t began;
	pid_t pid;
	int status;

	while (n-- > 0) {
		began = now_ns();
		pid = fork();
		if (pid == 0) {
			execvp(argv[0], argv);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			fail(argv[0]);
		printf("%" PRIu64 "\n", now_ns() - began);
	}
	return 0;
}

static int
swallow(void)
{
	static uint8_t bytes[BENCH_CHUNK];

	while (all(read, STDIN_FILENO, bytes, sizeof(bytes)))
		;
	return 0;
}

static int
pour(uint64_t n)
{
	static uint8_t bytes[BENCH_CHUNK];

	for (; n >= sizeof(bytes); n -= sizeof(bytes))
		all(put, STDOUT_FILENO, bytes, sizeof(bytes));
	all(put, STDOUT_FILENO, bytes, (size_t)n);
	return 0;
}

int
main(int argc, char **argv)
{
	if (getpid() == 1)
		init_main();
	if (argc >= 4 && strcmp(argv[1], "spawn") == 0)
		return measure_spawn(strtoul(argv[2], NULL, 10), argv + 3);
	if (argc == 2 && strcmp(argv[1], "in") == 0)
		return swallow();
	if (argc == 3 && strcmp(argv[1], "out") == 0)
		return pour(strtoull(argv[2], NULL, 10));
	fprintf(stderr, "usage: bench_guest spawn N COMMAND... | in | out BYTES\n");
	return 2;
}
