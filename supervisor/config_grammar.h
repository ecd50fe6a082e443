/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of sandbox.conf as data: which keys and sections there are, who reads their values,
 * and where they go.  libConfuse's tables and the checks of config.c are both made from it.
 */
#ifndef GONDOLIN_SUPERVISOR_CONFIG_GRAMMAR_H
#define GONDOLIN_SUPERVISOR_CONFIG_GRAMMAR_H

#include "supervisor/config_value.h"

#define CONFIG_SECTIONS_MAX 64u /* sections of one name beside each other */
#define CONFIG_NO_FIELD     ((size_t)-1)

struct config_key_spec {
	const char *name;
	config_read *read;
	const void *arg;
	size_t offset; /* of the field in the section's struct */
	bool list;
	size_t element; /* list: bytes of an element of {v, n}; 0: all values go into one field */
};

enum config_presence {
	CONFIG_INSIDE,   /* a struct in the parent's, there with its defaults in any case */
	CONFIG_OPTIONAL, /* a pointer, NULL where the section is absent */
	CONFIG_MANY,     /* a pointer to an array, and its count */
};

struct config_section_spec {
	const char *name;
	enum config_presence presence;
	size_t offset, count_offset; /* in the parent's struct */
	size_t size;                 /* of the section's own struct */
	const void *defaults;        /* such a struct, or NULL = zeros */
	size_t line_offset;          /* of `unsigned line`, or CONFIG_NO_FIELD */
	config_read *title;          /* NULL = the section has none */
	const void *title_arg;
	size_t title_offset;
	const struct config_key_spec *keys;
	size_t n_keys;
	const struct config_section_spec *sections;
	size_t n_sections;
	/*
	 * Checks what one value alone cannot show.  Returns NULL, or what is wrong; it may set
	 * r->line to a better place than the section's first line.
	 */
	const char *(*check)(struct config_reader *r, void *section);
};

/* The whole file; its struct is struct config. */
extern const struct config_section_spec config_grammar;

#endif
