/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bench_host and bench_guest say to each other on a bare virtio-serial port: the host sends a
 * request; BENCH_IN is followed by that many bytes from it, BENCH_OUT by that many from the guest;
 * then the guest sends the request back.
 */
#ifndef GONDOLIN_TESTS_BENCH_PROTOCOL_H
#define GONDOLIN_TESTS_BENCH_PROTOCOL_H

#include <stdint.h>

/* On the console, once the guest is ready. */
#define BENCH_WORD  "bench-is-up\n"

#define BENCH_CHUNK 65536u /* bytes of one read or write */

enum bench_kind { BENCH_ECHO, BENCH_IN, BENCH_OUT };

struct bench_request {
	uint64_t kind, bytes;
	uint8_t padding[48]; /* an echo of 64 bytes: about what an Exec and its answers have each */
};

#endif
