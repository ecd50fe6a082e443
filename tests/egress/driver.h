/* SPDX-License-Identifier: Apache-2.0 */
/* A program that plays supervisor and netproxy to a real gondolin-egress, as its input says. */
#ifndef GONDOLIN_TESTS_EGRESS_DRIVER_H
#define GONDOLIN_TESTS_EGRESS_DRIVER_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/json.h"

/* Ends the test with a line. */
void die(const char *what) __attribute__((noreturn));

/* Members of an object, as text (never NULL, freed at exit), number, or truth; absent: "", 0,
 * false. */
ProtobufCBinaryData
get_bytes(const struct json *j, const struct json_token *object, const char *name);
int64_t get_number(const struct json *j, const struct json_token *object, const char *name);
bool get_truth(const struct json *j, const struct json_token *object, const char *name);

/* Sends an envelope, waiting where the socket is full. */
void send_message(int fd, const ProtobufCMessage *m);

/* The supervisor's set-up: `setup`'s members are those of ipc/egress.proto. */
void send_setup(int fd, const struct json *j, const struct json_token *root);

/* One request; id is given. */
void send_request(int fd, const struct json *j, const struct json_token *root, uint64_t id);

#endif
