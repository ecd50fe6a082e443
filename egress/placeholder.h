/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest has instead of a secret: GONDOLIN_SECRET_ and 32 hexadecimal digits. */
#ifndef GONDOLIN_EGRESS_PLACEHOLDER_H
#define GONDOLIN_EGRESS_PLACEHOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define PLACEHOLDER_PREFIX "GONDOLIN_SECRET_"
#define PLACEHOLDER_LENGTH 48u

/* Makes a new one from the kernel's random bytes.  Returns 0 or -errno. */
int placeholder_make(char out[PLACEHOLDER_LENGTH + 1]);

/* True where the length bytes have the form of one, lower-case digits. */
bool placeholder_is_valid(const void *text, size_t length);

#endif
