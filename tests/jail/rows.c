/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/jail/rows.h"

#include <stdio.h>

#include "jail/internal.h"

static bool
condition_holds(const struct scmp_arg_cmp *c, uint64_t value)
{
	switch (c->op) {
	case SCMP_CMP_NE:
		return value != c->datum_a;
	case SCMP_CMP_LT:
		return value < c->datum_a;
	case SCMP_CMP_LE:
		return value <= c->datum_a;
	case SCMP_CMP_EQ:
		return value == c->datum_a;
	case SCMP_CMP_GE:
		return value >= c->datum_a;
	case SCMP_CMP_GT:
		return value > c->datum_a;
	case SCMP_CMP_MASKED_EQ:
		return (value & c->datum_a) == c->datum_b;
	default:
		return false;
	}
}

bool
row_matches(const struct jail_syscall *row, uint64_t number, const uint64_t *args)
{
	unsigned i;

	if (row->number < 0 || (uint64_t)row->number != number)
		return false;
	for (i = 0; i < row->n_conditions; i++)
		if (!condition_holds(&row->conditions[i], args[row->conditions[i].arg]))
			return false;
	return true;
}

void
row_key(const struct jail_profile *p, const struct jail_syscall *row, char *out, size_t size)
{
	char conditions[JAIL_CONDITIONS_TEXT_MAX];

	jail_conditions_format(row, conditions, sizeof(conditions));
	snprintf(out, size, "%s %s%s%s", p->name, row->name, conditions[0] != '\0' ? " " : "",
	    conditions);
}
