/* SPDX-License-Identifier: Apache-2.0 */
/* A vmrunner for fuzz targets, with the target at the far end of every descriptor. */
#ifndef GONDOLIN_TESTS_FUZZ_VMRUNNER_WORLD_H
#define GONDOLIN_TESTS_FUZZ_VMRUNNER_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "vmrunner/vmrunner.h"

#define WORLD_CLIENTS 4

struct world {
	struct vmrunner *vm;
	int supervisor, port, qmp, console;
	int clients[WORLD_CLIENTS];
	size_t n_clients;
};

/* A machine that is up. */
void world_open(struct world *w);
void world_close(struct world *w);

/* Rounds of the event loop; what went to the supervisor and to the guest is thrown away. */
void world_turn(struct world *w);

/* Connects a client; returns its end. */
int world_connect(struct world *w);

/* Sends a packet with n pipes (n at most 3) whose far ends are closed. */
void world_send(int client, const uint8_t *bytes, size_t length, size_t n);

/* Connects a client and asks for a command; its id is the number of such calls, from 1. */
void world_exec(struct world *w, bool tty);

/* The guest's bytes, past the socket; returns the violation or NULL. */
const char *world_guest(struct world *w, const uint8_t *bytes, size_t n);

/* The guest says Started or Exited (with both ends) of command id. */
void world_started(struct world *w, uint32_t id);
void world_exited(struct world *w, uint32_t id);

#endif
