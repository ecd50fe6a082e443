/* SPDX-License-Identifier: Apache-2.0 */
/* How the values of single options become configuration text: see struct option. */
#ifndef GONDOLIN_CLIENT_OPTIONS_WRITE_H
#define GONDOLIN_CLIENT_OPTIONS_WRITE_H

#include "client/options.h"

#define OPTIONS_TIMEOUT_MAX 4000000u /* seconds: CONFIG_TIMEOUT_MAX */

/* Variable of the supervisor's environment that holds a secret given with its value. */
#define OPTIONS_SECRET_PREFIX "GONDOLIN_SECRET_"

int write_vmm(struct option_writer *w, const char *value);
int write_dns_mapping(struct option_writer *w, const char *value);
int write_mount_host(struct option_writer *w, const char *value);
int write_mount_memory(struct option_writer *w, const char *value);
int write_secret(struct option_writer *w, const char *value);
int write_tcp(struct option_writer *w, const char *value);
int write_route(struct option_writer *w, const char *value);
int write_ssh_agent(struct option_writer *w, const char *value);

#endif
