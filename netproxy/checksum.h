/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), kept as a 64-bit partial sum of 16-bit words in memory order,
 * so that nothing is swapped on the way.
 */
#ifndef GONDOLIN_NETPROXY_CHECKSUM_H
#define GONDOLIN_NETPROXY_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Adds n bytes (at most 128 KiB) to a partial sum.  Only the last piece of a packet may have an odd
 * length; a piece that starts at an odd offset goes through checksum_add_odd.
 */
uint64_t checksum_add(uint64_t sum, const void *bytes, size_t n);
uint64_t checksum_add_odd(uint64_t sum, const void *bytes, size_t n);

/*
 * Folds a partial sum to the value to store in a packet with memcpy (complemented, memory order).
 * Over a packet that holds its own checksum the result is 0 where the checksum is right.
 */
uint16_t checksum_fold(uint64_t sum);

#endif
