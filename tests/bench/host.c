/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the benchmarks, in C so that no interpreter is in the measure.  Prints
 * nanoseconds, one line for each repetition.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/gondolin.h"
#include "tests/bench/protocol.h"

static _Noreturn void
fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_host: %s: %s\n", what, why);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static ssize_t
put(int fd, void *bytes, size_t n)
{
	return write(fd, bytes, n);
}

static void
all(ssize_t (*move)(int, void *, size_t), int fd, uint8_t *bytes, size_t n)
{
	ssize_t done;

	for (; n > 0; bytes += done, n -= (size_t)done) {
		done = move(fd, bytes, n);
		if (done < 0 && errno == EINTR)
			done = 0;
		else if (done <= 0)
			fail("port", done == 0 ? "the machine is gone" : strerror(errno));
	}
}

/* One request over the port of a bare machine. */
static void
ask(int port, enum bench_kind kind, uint64_t bytes)
{
	static uint8_t chunk[BENCH_CHUNK];
	struct bench_request r = {.kind = kind, .bytes = bytes};
	size_t n;

	all(put, port, (uint8_t *)&r, sizeof(r));
	for (; bytes > 0; bytes -= n) {
		n = bytes < sizeof(chunk) ? (size_t)bytes : sizeof(chunk);
		all(kind == BENCH_IN ? put : read, port, chunk, n);
	}
	all(read, port, (uint8_t *)&r, sizeof(r));
}

static void
run_command(struct gondolin_session *session, const struct gondolin_exec_options *o)
{
	struct gondolin_exec *exec;
	struct gondolin_error error;
	struct gondolin_result result;

	if (gondolin_exec_start(session, o, &exec, &error) < 0)
		fail("exec", error.message);
	gondolin_exec_wait(exec, &result);
	if (result.exit_code != 0)
		fail(o->argv[0], result.message);
	gondolin_exec_free(exec);
}

static void
measure_exec(const char *id, unsigned long n, char **argv)
{
	const struct gondolin_exec_options o = {.argv = (const char *const *)argv};
	struct gondolin_session *session;
	struct gondolin_error error;
	uint64_t began;

	if (gondolin_session_open(id, &session, &error) < 0)
		fail("session", error.message);
	while (n-- > 0) {
		began = now_ns();
		run_command(session, &o);
		printf("%" PRIu64 "\n", now_ns() - began);
	}
	gondolin_session_close(session);
}

static void
measure_port(int port, enum bench_kind kind, unsigned long n, uint64_t bytes)
{
	uint64_t began;

	while (n-- > 0) {
		began = now_ns();
		ask(port, kind, bytes);
		printf("%" PRIu64 "\n", now_ns() - began);
	}
}

int
main(int argc, char **argv)
{
	static const char *const kinds[] = {
	    [BENCH_ECHO] = "echo", [BENCH_IN] = "in", [BENCH_OUT] = "out"};
	size_t i;

	if (argc >= 5 && strcmp(argv[1], "exec") == 0) {
		measure_exec(argv[2], strtoul(argv[3], NULL, 10), argv + 4);
		return 0;
	}
	for (i = 0; argc == 5 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(argv[1], kinds[i]) == 0) {
			measure_port(atoi(argv[2]), (enum bench_kind)i, strtoul(argv[3], NULL, 10),
			    strtoull(argv[4], NULL, 10));
			return 0;
		}
	fprintf(stderr, "usage: bench_host exec SESSION N COMMAND... | echo|in|out FD N BYTES\n");
	return 2;
}
