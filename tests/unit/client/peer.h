/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of the client: a child process that runs gondolin_exec_relay() with its own
 * stdin, stdout and stderr, while the test plays vmrunner on a real control socket.
 */
#ifndef GONDOLIN_TESTS_UNIT_CLIENT_PEER_H
#define GONDOLIN_TESTS_UNIT_CLIENT_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/gondolin.h"
#include "ipc/control.pb-c.h"

#define PEER_DETACHED 77   /* exit code of a client that detached */
#define PEER_KILLED   1000 /* + signal */
#define PEER_STOPPED  2000

struct peer {
	pid_t client;
	int control; /* vmrunner's end */
	int in, out,
	    err; /* the far ends of the client's stdin, stdout, stderr; -1 with a terminal */
	int master, slave; /* of its terminal, or -1 */
	int streams[3];    /* what it sent with its Exec */
	pid_t leader;      /* of the terminal's session; 0 = none */
	int report, hold;  /* what the leader tells us; what keeps it */
};

/* Starts a client; with tty on a terminal of 30 rows and 100 columns. */
void peer_start(struct peer *p, const struct gondolin_exec_options *options, bool tty);

/* The next message of the client (freed with peer_free_message), or NULL at its end. */
Gondolin__ClientToVmrunner *peer_receive(struct peer *p);
void peer_free_message(Gondolin__ClientToVmrunner *m);

/*
 * Receives the Exec, answers Started, and waits until the client acts on that: a byte of output has
 * come through, or with a terminal the Resize came.
 */
void peer_accept(struct peer *p);

void peer_send_started(struct peer *p, bool tty);
void peer_send_exited(struct peer *p, int status, bool timed_out);
void peer_send_refused(struct peer *p, unsigned code, const char *message);

/* Closes what it sent. */
void peer_close_streams(struct peer *p);

/* Waits until the client ends or stops; returns its exit code, PEER_KILLED + signal, or
 * PEER_STOPPED. */
int peer_wait(struct peer *p);

/* Closes everything, when it has ended. */
void peer_close(struct peer *p);

/* Both. */
int peer_end(struct peer *p);

#endif
