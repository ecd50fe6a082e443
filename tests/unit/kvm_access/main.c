/* SPDX-License-Identifier: Apache-2.0 */
/* The group that QEMU gets for /dev/kvm, by the device's mode and group. */
#include <CUnit/Basic.h>
#include <errno.h>

#include "supervisor/kvm_access.h"
#include "tests/run.h"

static void
groups(void)
{
	enum { ROOT = 0, KVM = 105, OWN = 1879048193, NONE = 7 };
	static const struct {
		mode_t mode;
		gid_t group;
		int result;
		gid_t gid; /* NONE: left as it was */
	} rows[] = {
	    {0660, KVM, 0, KVM},         /* Debian, Fedora */
	    {0666, KVM, 0, OWN},         /* systemd's own rule */
	    {0666, ROOT, 0, OWN},        /* a container's /dev */
	    {0660, ROOT, -EACCES, NONE}, /* no udev: a node as the kernel makes it */
	    {0600, ROOT, -EACCES, NONE},
	    {0600, KVM, -EACCES, NONE},
	    {0640, KVM, -EACCES, NONE}, /* reading is not enough */
	    {0620, KVM, -EACCES, NONE},
	    {0664, KVM, 0, KVM}, /* nor is it for others */
	    {0606, KVM, 0, OWN},
	    {0606, OWN, -EACCES, NONE}, /* a member may what the group may */
	    {0660, OWN, 0, OWN},
	    {0000, KVM, -EACCES, NONE},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct stat device = {
		    .st_mode = S_IFCHR | rows[i].mode, .st_gid = rows[i].group};
		gid_t gid = NONE;

		CU_ASSERT_EQUAL(kvm_access_group(&device, OWN, &gid), rows[i].result);
		CU_ASSERT_EQUAL(gid, rows[i].gid);
	}
}

int
main(void)
{
	begin_tests();
	CU_add_test(CU_add_suite("kvm_access", NULL, NULL), "groups", groups);
	return run_tests();
}
