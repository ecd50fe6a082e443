/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's hosts as the policy that egress and netproxy judge by (egress/policy.h).  The
 * supervisor sends what was accepted here; `gondolin policy check` asks it, without a sandbox.
 */
#ifndef GONDOLIN_SUPERVISOR_NETWORK_POLICY_H
#define GONDOLIN_SUPERVISOR_NETWORK_POLICY_H

#include <stddef.h>

#include "egress/policy.h"
#include "supervisor/config.h"

#define NETWORK_SECRETS_MAX      64u /* of a sandbox */
#define NETWORK_SECRET_HOSTS_MAX 64u /* of one secret */

struct network_policy {
	struct policy allow, internal;
	struct policy *secret_hosts; /* one for each secret of the configuration, in its order */
	size_t n_secrets;
};

/*
 * Fills *p from the section `network` of c (which has one).  Returns 0; or -EINVAL with a line in
 * error that names the place in the configuration, and *p is empty.  The caller clears *p.
 */
int network_policy_build(
    struct network_policy *p, const struct config *c, char *error, size_t error_size);

/* Safe on one that is all zero, and twice. */
void network_policy_clear(struct network_policy *p);

#endif
