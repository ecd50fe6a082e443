/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An init that boots as gondolin-guest does and then breaks the agent's protocol
 * (ipc/agent_frame.h) in the way that the kernel's command line names: hostile=NAME.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/device.h"
#include "guest/init.h"
#include "ipc/agent_frame.h"

#define FIRST_ID 1u /* vmrunner counts from here */

struct hostile {
	int port;
	uint8_t frame[AGENT_HEADER_SIZE + AGENT_PAYLOAD_MAX];
};

/* ---- Frames, packed by hand: also those that no library would pack ---- */

static void
put(struct hostile *h, const void *bytes, size_t n)
{
	const char *at = bytes;
	ssize_t done;

	for (; n > 0; at += done, n -= (size_t)done) {
		done = write(h->port, at, n);
		if (done < 0)
			_exit(1);
	}
}

static void
put_header(struct hostile *h, uint32_t length, uint32_t id, unsigned kind)
{
	const uint8_t header[AGENT_HEADER_SIZE] = {(uint8_t)length, (uint8_t)(length >> 8),
	    (uint8_t)(length >> 16), (uint8_t)(length >> 24), (uint8_t)id, (uint8_t)(id >> 8),
	    (uint8_t)(id >> 16), (uint8_t)(id >> 24), (uint8_t)kind};

	put(h, header, sizeof(header));
}

static void
put_control(struct hostile *h, const void *message, size_t n)
{
	put_header(h, (uint32_t)n, 0, AGENT_CONTROL);
	put(h, message, n);
}

static void
hello(struct hostile *h, uint8_t version)
{
	const uint8_t message[] = {0x0a, 0x02, 0x08, version};

	put_control(h, message, sizeof(message));
}

/* Varints of one byte; an exit status of 0 is no field. */
#define STARTED(id)  "\x12\x02\x08" id
#define EXITED(id)   "\x1a\x02\x08" id
#define PUT(h, text) put_control(h, text, sizeof(text) - 1)

static void
put_data(struct hostile *h, unsigned kind, size_t n)
{
	memset(h->frame, 'x', n);
	put_header(h, (uint32_t)n, FIRST_ID, kind);
	put(h, h->frame, n);
}

static void
take(struct hostile *h, size_t n)
{
	size_t have = 0;
	ssize_t done;

	for (; have < n; have += (size_t)done) {
		done = read(h->port, h->frame + have, n - have);
		if (done <= 0)
			_exit(1);
	}
}

/* Waits for the host's next frame. */
static void
await_frame(struct hostile *h)
{
	struct agent_header header;

	take(h, AGENT_HEADER_SIZE);
	if (agent_header_decode(h->frame, &header) < 0)
		_exit(1);
	take(h, header.length);
}

static void
start_first(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL);
	await_frame(h);
	PUT(h, STARTED("\x01"));
}

/* ---- Ways to be hostile ---- */

static void
no_hello(struct hostile *h)
{
	(void)h;
}

static void
other_version(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL + 1);
}

static void
before_hello(struct hostile *h)
{
	PUT(h, STARTED("\x01"));
}

static void
truncated(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL);
	put_header(h, 100, 0, AGENT_CONTROL);
	put(h, "short", 5);
	shutdown_machine();
}

static void
oversized(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL);
	put_header(h, UINT32_MAX, 0, AGENT_CONTROL);
}

static void
unknown_kind(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL);
	put_header(h, 0, FIRST_ID, 9);
}

static void
malformed(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL);
	PUT(h, "\x12\x7f\x08\x01");
}

static void
unknown_id(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL);
	await_frame(h);
	PUT(h, STARTED("\x4d"));
}

static void
out_of_order(struct hostile *h)
{
	hello(h, AGENT_PROTOCOL);
	await_frame(h);
	PUT(h, EXITED("\x01"));
}

static void
beyond_credit(struct hostile *h)
{
	start_first(h);
	put_data(h, AGENT_STDOUT, AGENT_PAYLOAD_MAX);
}

static void
after_end(struct hostile *h)
{
	start_first(h);
	put_data(h, AGENT_STDOUT, 0);
	put_data(h, AGENT_STDOUT, 3);
}

/* Takes the command, and never says a word about it. */
static void
silent(struct hostile *h)
{
	start_first(h);
}

/* To `gondolin cp ID:/x`: an archive of a file beside the one that was asked for. */
static void
way_out(struct hostile *h)
{
	static const char name[] = "../way-out", mode[] = "0000644", size[] = "00000000001",
			  magic[] = "ustar\00000";
	static uint8_t tar[4 * 512];
	unsigned sum = 0, i;

	memcpy(tar, name, sizeof(name));
	memcpy(tar + 100, mode, sizeof(mode));
	memcpy(tar + 108, mode, sizeof(mode));
	memcpy(tar + 116, mode, sizeof(mode));
	memcpy(tar + 124, size, sizeof(size));
	memcpy(tar + 136, size, sizeof(size));
	tar[156] = '0';
	memcpy(tar + 257, magic, 8);
	tar[512] = 'x';
	memset(tar + 148, ' ', 8);
	for (i = 0; i < 512; i++)
		sum += tar[i];
	snprintf((char *)tar + 148, 8, "%06o", sum);
	start_first(h);
	put_header(h, sizeof(tar), FIRST_ID, AGENT_STDOUT);
	put(h, tar, sizeof(tar));
	put_data(h, AGENT_STDOUT, 0);
	put_data(h, AGENT_STDERR, 0);
	PUT(h, EXITED("\x01"));
}

static const struct {
	const char *name;
	void (*act)(struct hostile *h);
} ways[] = {
    {"no-hello", no_hello},
    {"other-version", other_version},
    {"before-hello", before_hello},
    {"truncated", truncated},
    {"oversized", oversized},
    {"unknown-kind", unknown_kind},
    {"malformed", malformed},
    {"unknown-id", unknown_id},
    {"out-of-order", out_of_order},
    {"beyond-credit", beyond_credit},
    {"after-end", after_end},
    {"silent", silent},
    {"way-out", way_out},
};

static void
act(struct hostile *h)
{
	static const char word[] = "hostile=";
	char text[4096];
	const char *name;
	ssize_t n;
	size_t i;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	name = strstr(text, word);
	name = name == NULL ? "" : name + strlen(word);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strlen(ways[i].name) == strcspn(name, " \n") &&
		    strncmp(ways[i].name, name, strlen(ways[i].name)) == 0)
			ways[i].act(h);
}

int
main(void)
{
	static struct hostile h;
	int events;

	if (getpid() != 1 || mounts_early() < 0)
		return 1;
	events = device_events_open();
	if (events < 0 || modules_load() < 0)
		return 1;
	h.port = device_port_open(events, AGENT_PORT_NAME);
	if (h.port < 0)
		return 1;
	(void)fcntl(h.port, F_SETFL, 0);
	act(&h);
	for (;;)
		pause();
}
