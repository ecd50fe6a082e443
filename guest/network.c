/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network device, over rtnetlink(7). */
#include "guest/network.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTRIBUTES_MAX 128u

/* One request; the kernel's structs are multiples of NLMSG_ALIGNTO. */
struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	};
	uint8_t attributes[ATTRIBUTES_MAX]; /* from the end of the body in use on */
};

static void
request_init(struct request *r, uint16_t type, uint16_t flags, size_t body)
{
	memset(r, 0, sizeof(*r));
	r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	r->header.nlmsg_type = type;
	r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
}

static void
request_add(struct request *r, uint16_t type, const void *value, size_t n)
{
	const size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
	struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(n), .rta_type = type};

	assert(at + RTA_SPACE(n) <= sizeof(*r));
	memcpy((uint8_t *)r + at, &a, sizeof(a));
	memcpy((uint8_t *)r + at + RTA_LENGTH(0), value, n);
	r->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(n));
}

/* Sends it and waits for the kernel's verdict, which is there when send(2) returns. */
static int
request_run(int fd, const struct request *r)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr verdict;
		uint8_t rest[sizeof(struct request) + 256];
	} answer;
	ssize_t n;

	if (send(fd, r, r->header.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.verdict) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.verdict.error;
}

/* The binary form of an address above; returns its size. */
static size_t
parse_address(const char *text, uint8_t family, uint8_t out[16])
{
	int rc = inet_pton(family, text, out);

	assert(rc == 1);
	(void)rc;
	return family == AF_INET ? 4 : 16;
}

static int
link_up(int fd, int index, uint32_t mtu)
{
	struct request r;

	request_init(&r, RTM_NEWLINK, 0, sizeof(r.link));
	r.link.ifi_family = AF_UNSPEC;
	r.link.ifi_index = index;
	r.link.ifi_flags = r.link.ifi_change = IFF_UP;
	request_add(&r, IFLA_MTU, &mtu, sizeof(mtu));
	return request_run(fd, &r);
}

static int
add_address(int fd, int index, uint8_t family, const char *text, uint8_t prefix)
{
	struct request r;
	uint8_t address[16];
	size_t n = parse_address(text, family, address);

	request_init(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.address));
	r.address.ifa_family = family;
	r.address.ifa_prefixlen = prefix;
	r.address.ifa_index = (uint32_t)index;
	r.address.ifa_flags = family == AF_INET6 ? IFA_F_NODAD | IFA_F_PERMANENT : IFA_F_PERMANENT;
	request_add(&r, IFA_LOCAL, address, n);
	request_add(&r, IFA_ADDRESS, address, n);
	return request_run(fd, &r);
}

static int
add_default_route(int fd, int index, uint8_t family, const char *gateway)
{
	struct request r;
	uint8_t address[16];
	size_t n = parse_address(gateway, family, address);

	request_init(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.route));
	r.route.rtm_family = family;
	r.route.rtm_table = RT_TABLE_MAIN;
	r.route.rtm_protocol = RTPROT_STATIC;
	r.route.rtm_scope = RT_SCOPE_UNIVERSE;
	r.route.rtm_type = RTN_UNICAST;
	request_add(&r, RTA_GATEWAY, address, n);
	request_add(&r, RTA_OIF, &index, sizeof(index));
	return request_run(fd, &r);
}

/* Before the link is up.  False: this kernel has no IPv6. */
static bool
prepare_ipv6(void)
{
	/* No other host to collide with, and nothing to learn from a router: it is known. */
	static const char *const off[] = {"accept_dad", "accept_ra"};
	char path[96];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		snprintf(
		    path, sizeof(path), "/proc/sys/net/ipv6/conf/" NETWORK_DEVICE "/%s", off[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return false;
		/* With it on, IPv6 only starts a second later. */
		(void)!write(fd, "0", 1);
		close(fd);
	}
	return true;
}

int
network_device_up(uint32_t mtu)
{
	const int index = (int)if_nametoindex(NETWORK_DEVICE);
	bool ipv6;
	int fd, rc;

	if (index == 0)
		return -ENODEV;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	ipv6 = prepare_ipv6();
	rc = link_up(fd, index, mtu);
	if (rc == 0)
		rc = add_address(fd, index, AF_INET, NETWORK_GUEST4, NETWORK_PREFIX4);
	if (rc == 0)
		rc = add_default_route(fd, index, AF_INET, NETWORK_GATEWAY4);
	if (rc == 0 && ipv6)
		rc = add_address(fd, index, AF_INET6, NETWORK_GUEST6, NETWORK_PREFIX6);
	if (rc == 0 && ipv6)
		rc = add_default_route(fd, index, AF_INET6, NETWORK_GATEWAY6);
	close(fd);
	return rc;
}

int
network_configure(const struct network_settings *s, char *why, size_t why_size)
{
	int rc = network_device_up(s->mtu);

	if (rc == -ENODEV)
		snprintf(why, why_size, "the machine has no " NETWORK_DEVICE);
	else if (rc < 0)
		snprintf(why, why_size, "cannot set " NETWORK_DEVICE " up: %s", strerror(-rc));
	if (rc < 0)
		return rc;
	rc = network_files_make(s);
	if (rc < 0)
		snprintf(why, why_size, "cannot write in " NETWORK_DIRECTORY ": %s", strerror(-rc));
	return rc;
}
