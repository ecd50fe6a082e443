/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash that a peer who does not know the key
 * can neither steer nor predict.
 */
#ifndef GONDOLIN_NETPROXY_SIPHASH_H
#define GONDOLIN_NETPROXY_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_SIZE 16

uint64_t siphash(const uint8_t key[SIPHASH_KEY_SIZE], const void *bytes, size_t n);

#endif
