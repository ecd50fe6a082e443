/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a sandbox's secrets, on their way from the user to egress. */
#ifndef GONDOLIN_SUPERVISOR_NETWORK_SECRETS_H
#define GONDOLIN_SUPERVISOR_NETWORK_SECRETS_H

#include <stddef.h>
#include <stdint.h>

#include "egress/placeholder.h"
#include "supervisor/config.h"

#define NETWORK_SECRET_MIN      8u /* bytes of a value: shorter ones are everywhere in ordinary text */
#define NETWORK_SECRET_MAX      8192u
#define NETWORK_SECRET_NAME_MAX 128u

struct network_secret {
	const struct config_secret *config;
	char placeholder[PLACEHOLDER_LENGTH + 1]; /* what the guest gets */
	uint8_t *value;                           /* NULL once egress has it */
	size_t length;
};

struct network_secrets {
	struct network_secret *v;
	size_t n;
};

/*
 * Reads each value once, from the supervisor's environment or from a file (of which one newline at
 * the end is dropped), and makes the placeholders.  Returns 0; or -errno with a line in error that
 * names the place in the configuration and no value.
 */
int network_secrets_read(
    struct network_secrets *s, const struct config *c, char *error, size_t error_size);

/* Overwrites a value and frees it. */
void network_secret_forget(struct network_secret *s);

/* Forgets all.  Safe on one that is all zero, and twice. */
void network_secrets_clear(struct network_secrets *s);

#endif
