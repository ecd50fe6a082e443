/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's network, in namespaces of this test's own: a TAP for the virtual machine's device, a
 * directory for its root.
 */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/network.h"
#include "tests/run.h"

static const char ca[] = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n";
static const struct network_settings settings = {(const uint8_t *)ca, sizeof(ca) - 1, 9000};

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

/* At most 4095 bytes; "" where there is no such file. */
static const char *
read_file(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* ---- The namespaces ---- */

static void
map_root(void)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0) {
		perror("no namespaces for this test");
		abort();
	}
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", uids);
	write_file("/proc/self/gid_map", gids);
}

static int base = -1; /* the directory that all roots are in */

/* Roots of a tmpfs, in which only /proc and /dev are real. */
static int
set_up(void)
{
	map_root();
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0 || mkdir("/tmp/proc", 0755) < 0 ||
	    mount("/proc", "/tmp/proc", NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mkdir("/tmp/dev", 0755) < 0 ||
	    mount("/dev", "/tmp/dev", NULL, MS_BIND | MS_REC, NULL) < 0)
		return 1;
	base = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return base < 0;
}

/* Another root, with two empty directories. */
static void
fresh_root(void)
{
	static unsigned n;
	char path[32];

	snprintf(path, sizeof(path), "root%u", n++);
	if (fchdir(base) < 0 || chroot(".") < 0 || mkdir(path, 0755) < 0 ||
	    mount("tmpfs", path, "tmpfs", 0, NULL) < 0 || chdir(path) < 0 ||
	    mkdir("proc", 0755) < 0 || mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mkdir("dev", 0755) < 0 || mount("/dev", "dev", NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    chroot(".") < 0 || mkdir("/etc", 0755) < 0 || mkdir("/run", 0755) < 0)
		abort();
}

/* ---- The device ---- */

static void
make_device(void)
{
	struct ifreq r = {.ifr_name = NETWORK_DEVICE, .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0);
}

static void
test_no_device(void)
{
	char why[128];

	fresh_root();
	CU_ASSERT_EQUAL(network_configure(&settings, why, sizeof(why)), -ENODEV);
	CU_ASSERT_STRING_EQUAL(why, "the machine has no eth0");
}

static void
test_device(void)
{
	struct ifreq r = {.ifr_name = NETWORK_DEVICE};
	char address[INET_ADDRSTRLEN];
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	make_device();
	/* A second time, as when it is run by hand, changes nothing. */
	CU_ASSERT_EQUAL(network_device_up(settings.mtu), 0);
	CU_ASSERT_EQUAL(network_device_up(settings.mtu), 0);
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFMTU, &r), 0);
	CU_ASSERT_EQUAL(r.ifr_mtu, 9000);
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFFLAGS, &r), 0);
	CU_ASSERT((r.ifr_flags & IFF_UP) != 0);
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFADDR, &r), 0);
	memcpy(&sin, &r.ifr_addr, sizeof(sin));
	CU_ASSERT_STRING_EQUAL(
	    inet_ntop(AF_INET, &sin.sin_addr, address, sizeof(address)), "192.168.127.3");
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFNETMASK, &r), 0);
	memcpy(&sin, &r.ifr_netmask, sizeof(sin));
	CU_ASSERT_EQUAL(sin.sin_addr.s_addr, htonl(0xffffff00));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(read_file("/proc/net/route"), "eth0\t00000000\t017FA8C0\t0003"));
	close(fd);
}

static void
test_ipv6(void)
{
	const char *text;

	if (access("/proc/net/if_inet6", F_OK) < 0)
		return;
	/* Permanent, of global scope and not tentative. */
	text = read_file("/proc/net/if_inet6");
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "fd676f6e646f00010000000000000003 "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " 40 00 82     eth0"));
	text = read_file("/proc/net/ipv6_route");
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
			 "fd676f6e646f00010000000000000001 "));
}

/* ---- The files ---- */

/* An image that has nothing: what has to be there is made, bundles are not. */
static void
test_bare_root(void)
{
	fresh_root();
	CU_ASSERT_EQUAL(network_files_make(&settings), 0);
	CU_ASSERT_STRING_EQUAL(read_file("/etc/resolv.conf"), "nameserver 192.168.127.1\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(read_file("/etc/hosts"), "127.0.0.1\tlocalhost\n"));
	CU_ASSERT_STRING_EQUAL(read_file(NETWORK_CA), ca);
	CU_ASSERT_STRING_EQUAL(read_file(NETWORK_BUNDLE), ca);
	CU_ASSERT(access("/etc/ssl", F_OK) < 0);
}

/* An image as distributions make it. */
static void
test_usual_root(void)
{
	fresh_root();
	CU_ASSERT(mkdir("/etc/ssl", 0755) == 0 && mkdir("/etc/ssl/certs", 0755) == 0);
	CU_ASSERT(mkdir("/etc/pki", 0755) == 0 && mkdir("/etc/pki/tls", 0755) == 0);
	CU_ASSERT(mkdir("/etc/pki/tls/certs", 0755) == 0);
	write_file("/etc/ssl/certs/ca-certificates.crt", "theirs");
	write_file("/etc/pki/tls/certs/ca-bundle.crt", "theirs too\n");
	CU_ASSERT_EQUAL(symlink("certs/ca-certificates.crt", "/etc/ssl/cert.pem"), 0);
	write_file("/etc/resolv.conf", "nameserver 10.0.0.1\n");
	write_file("/etc/hosts", "10.0.0.2 printer");
	CU_ASSERT_EQUAL(network_files_make(&settings), 0);
	CU_ASSERT_STRING_EQUAL(read_file("/etc/resolv.conf"), "nameserver 192.168.127.1\n");
	CU_ASSERT_EQUAL(strncmp(read_file("/etc/hosts"), "10.0.0.2 printer\n127.0.0.1\t", 27), 0);
	CU_ASSERT_EQUAL(strncmp(read_file(NETWORK_BUNDLE), "theirs\n-----BEGIN", 17), 0);
	CU_ASSERT_EQUAL(
	    strncmp(read_file("/etc/ssl/certs/ca-certificates.crt"), "theirs\n--", 9), 0);
	CU_ASSERT_EQUAL(strncmp(read_file("/etc/pki/tls/certs/ca-bundle.crt"), "theirs\n--", 9), 0);
	CU_ASSERT_EQUAL(strncmp(read_file("/etc/ssl/cert.pem"), "theirs\n--", 9), 0);
	/* The image's own files are as they were. */
	CU_ASSERT_EQUAL(umount("/etc/resolv.conf"), 0);
	CU_ASSERT_STRING_EQUAL(read_file("/etc/resolv.conf"), "nameserver 10.0.0.1\n");
	CU_ASSERT_EQUAL(umount("/etc/ssl/cert.pem"), 0);
	CU_ASSERT_STRING_EQUAL(read_file("/etc/ssl/certs/ca-certificates.crt"), "theirs");
}

/* resolv.conf as a link to what a resolver's daemon would make. */
static void
test_links(void)
{
	fresh_root();
	CU_ASSERT_EQUAL(symlink("../run/systemd/resolve/stub.conf", "/etc/resolv.conf"), 0);
	CU_ASSERT_EQUAL(symlink("/run/names/hosts", "/etc/hosts"), 0);
	CU_ASSERT_EQUAL(network_files_make(&settings), 0);
	CU_ASSERT_STRING_EQUAL(read_file("/etc/resolv.conf"), "nameserver 192.168.127.1\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(read_file("/etc/hosts"), "localhost"));
}

/* Nothing can be made, but what is there can be covered. */
static void
test_read_only_root(void)
{
	fresh_root();
	write_file("/etc/resolv.conf", "");
	CU_ASSERT_EQUAL(mount("tmpfs", "/run", "tmpfs", 0, NULL), 0);
	CU_ASSERT_EQUAL(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	CU_ASSERT_EQUAL(network_files_make(&settings), 0);
	CU_ASSERT_STRING_EQUAL(read_file("/etc/resolv.conf"), "nameserver 192.168.127.1\n");
	CU_ASSERT(access("/etc/hosts", F_OK) < 0);
}

/* Neither a pipe nor a device in the place of a file makes the agent wait. */
static void
test_no_files(void)
{
	fresh_root();
	CU_ASSERT_EQUAL(mkfifo("/etc/hosts", 0644), 0);
	CU_ASSERT_EQUAL(mkdir("/etc/resolv.conf", 0755), 0);
	CU_ASSERT_EQUAL(network_files_make(&settings), 0);
	CU_ASSERT_EQUAL(strncmp(read_file("/etc/hosts"), "127.0.0.1\t", 10), 0);
	/* The directory where the files belong is none. */
	fresh_root();
	write_file(NETWORK_DIRECTORY, "a file");
	CU_ASSERT(network_files_make(&settings) < 0);
}

int
main(void)
{
	CU_TestInfo tests[] = {
	    {"no device", test_no_device},
	    {"the device", test_device},
	    {"IPv6", test_ipv6},
	    {"a bare root", test_bare_root},
	    {"a usual root", test_usual_root},
	    {"links", test_links},
	    {"a read-only root", test_read_only_root},
	    {"no files", test_no_files},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
	    {"the guest's network", set_up, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	return run_suites(suites);
}
