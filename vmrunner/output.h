/* SPDX-License-Identifier: Apache-2.0 */
/* One output stream of a command on its way into the client's pipe: see command.h for the limits.
 */
#ifndef GONDOLIN_VMRUNNER_OUTPUT_H
#define GONDOLIN_VMRUNNER_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "vmrunner/command.h"

/* The stream goes into fd (taken; may be -1: kept until there is one). */
void output_init(struct command_output *o, struct command *c, int fd);

/* Closes the pipe and frees what is kept. */
void output_clear(struct command_output *o);

/* n bytes of the guest, within the credit it had. */
void output_bytes(struct command_output *o, const uint8_t *bytes, size_t n);

/* Nothing more comes: the pipe is closed once it took what is kept. */
void output_end(struct command_output *o);

/* Another pipe, or -1: what comes is kept. */
void output_redirect(struct command_output *o, int fd);

/* Nobody reads: what is kept and what comes is dropped. */
void output_discard(struct command_output *o);

/* Bytes of credit worth giving now; 0 = none. */
uint32_t output_credit(const struct command_output *o);

#endif
