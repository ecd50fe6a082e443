/* SPDX-License-Identifier: Apache-2.0 */
/* Address ranges. */
#include <stdio.h>

#include "egress/address.h"
#include "egress/locals.h"
#include "suites.h"

static void
test_ranges(void)
{
	static const struct {
		const char *text;
		bool world, inside; /* may be connected to; may be where allow-internal names it */
	} rows[] = {
	    {"1.1.1.1", true, true},
	    {"9.255.255.255", true, true},
	    {"10.0.0.0", false, true},
	    {"10.255.255.255", false, true},
	    {"11.0.0.0", true, true},
	    {"0.0.0.0", false, false},
	    {"0.1.2.3", false, false},
	    {"100.63.255.255", true, true},
	    {"100.64.0.0", false, true},
	    {"100.127.255.255", false, true},
	    {"100.128.0.0", true, true},
	    {"127.0.0.1", false, true},
	    {"127.255.255.255", false, true},
	    {"128.0.0.1", true, true},
	    {"168.63.129.16", false, true},
	    {"169.254.169.254", false, true},
	    {"172.15.255.255", true, true},
	    {"172.16.0.1", false, true},
	    {"172.31.255.255", false, true},
	    {"172.32.0.0", true, true},
	    {"192.0.0.170", false, true},
	    {"192.0.2.1", false, true},
	    {"192.88.99.1", false, true},
	    {"192.168.0.1", false, true},
	    {"192.169.0.1", true, true},
	    {"198.17.255.255", true, true},
	    {"198.18.0.1", false, true},
	    {"198.19.255.255", false, true},
	    {"198.20.0.0", true, true},
	    {"198.51.100.1", false, true},
	    {"203.0.113.1", false, true},
	    {"223.255.255.255", true, true},
	    {"224.0.0.1", false, false},
	    {"239.1.1.1", false, false},
	    {"240.0.0.1", false, false},
	    {"255.255.255.255", false, false},
	    {"2606:4700::1", true, true},
	    {"2a00:1450::1", true, true},
	    {"3ffe::1", true, true},
	    {"::", false, false},
	    {"::1", false, true},
	    {"::ffff:1.1.1.1", false, false},
	    {"::ffff:127.0.0.1", false, false},
	    {"::127.0.0.1", false, false},
	    {"64:ff9b::7f00:1", false, true},
	    {"64:ff9b::101:101", false, true},
	    {"64:ff9b:1::1", false, true},
	    {"100::1", false, false},
	    {"2001::1", false, false},
	    {"2001:2::1", false, true},
	    {"2001:1ff::1", false, true},
	    {"2001:200::1", true, true},
	    {"2001:db8::1", false, true},
	    {"2002:7f00:1::", false, false},
	    {"2620:4f:8000::1", false, true},
	    {"3fff::1", false, true},
	    {"4000::1", false, false},
	    {"5f00::1", false, true},
	    {"fc00::1", false, true},
	    {"fdff::1", false, true},
	    {"fe80::1", false, true},
	    {"fec0::1", false, true},
	    {"ff02::1", false, false},
	};
	struct address_locals none = {.known = true};
	struct address a;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_FATAL(address_parse(rows[i].text, &a));
		if ((address_refusal(&none, &a, false) == NULL) != rows[i].world ||
		    (address_refusal(&none, &a, true) == NULL) != rows[i].inside) {
			fprintf(stderr, "%s\n", rows[i].text);
			CU_FAIL("range");
		}
	}
}

static void
test_locals(void)
{
	struct address_locals l = {.known = true};
	struct address own, near, far;

	CU_ASSERT(address_parse("1.2.3.4", &own) && address_parse("1.2.3.99", &near) &&
		  address_parse("1.2.4.1", &far));
	address_locals_add(&l, &own, 24);
	CU_ASSERT_PTR_NOT_NULL(address_refusal(&l, &own, false));
	CU_ASSERT_PTR_NOT_NULL(address_refusal(&l, &near, false));
	CU_ASSERT_PTR_NULL(address_refusal(&l, &near, true));
	CU_ASSERT_PTR_NULL(address_refusal(&l, &far, false));
	l.known = false;
	CU_ASSERT_PTR_NOT_NULL(address_refusal(&l, &far, false));
	address_locals_clear(&l);
}

static void
test_netlink(void)
{
	struct locals l;
	struct address loopback;

	CU_ASSERT_EQUAL_FATAL(locals_open(&l), 0);
	CU_ASSERT(address_parse("127.0.0.1", &loopback));
	CU_ASSERT(l.addresses.known && address_is_local(&l.addresses, &loopback));
	locals_close(&l);
}

CU_TestInfo address_tests[] = {
    {"ranges", test_ranges},
    {"own networks", test_locals},
    {"rtnetlink", test_netlink},
    CU_TEST_INFO_NULL,
};
