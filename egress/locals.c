/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink by libnl. */
#include "egress/locals.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#define BROADEST4 8u
#define BROADEST6 16u
#define TRIES     16u

static bool
take_bytes(struct address *a, int family, const struct nlattr *attribute)
{
	size_t want = family == AF_INET ? 4 : 16;

	if (attribute == NULL || (family != AF_INET && family != AF_INET6) ||
	    (size_t)nla_len(attribute) != want)
		return false;
	memset(a, 0, sizeof(*a));
	a->family = family;
	memcpy(a->bytes, nla_data(attribute), want);
	return true;
}

static void
take_address(struct address_locals *l, struct nlmsghdr *header)
{
	const struct ifaddrmsg *m = nlmsg_data(header);
	struct nlattr *attributes[IFA_MAX + 1];
	struct address a;
	unsigned whole = m->ifa_family == AF_INET ? 32 : 128;

	if (nlmsg_parse(header, sizeof(*m), attributes, IFA_MAX, NULL) < 0)
		return;
	if (take_bytes(&a, m->ifa_family, attributes[IFA_LOCAL]))
		address_locals_add(l, &a, whole);
	/* With a peer this is the peer's. */
	if (take_bytes(&a, m->ifa_family, attributes[IFA_ADDRESS])) {
		address_locals_add(l, &a, whole);
		address_locals_add(l, &a, m->ifa_prefixlen);
	}
}

static void
take_route(struct address_locals *l, struct nlmsghdr *header)
{
	const struct rtmsg *m = nlmsg_data(header);
	struct nlattr *attributes[RTA_MAX + 1];
	struct address a;
	unsigned broadest = m->rtm_family == AF_INET ? BROADEST4 : BROADEST6;

	if (nlmsg_parse(header, sizeof(*m), attributes, RTA_MAX, NULL) < 0 ||
	    (m->rtm_type != RTN_UNICAST && m->rtm_type != RTN_LOCAL) ||
	    attributes[RTA_GATEWAY] != NULL || attributes[RTA_VIA] != NULL ||
	    attributes[RTA_MULTIPATH] != NULL || m->rtm_dst_len < broadest)
		return;
	if (take_bytes(&a, m->rtm_family, attributes[RTA_DST]))
		address_locals_add(l, &a, m->rtm_dst_len);
}

static int
on_message(struct nl_msg *message, void *ctx)
{
	struct nlmsghdr *header = nlmsg_hdr(message);

	if (header->nlmsg_type == RTM_NEWADDR && nlmsg_valid_hdr(header, sizeof(struct ifaddrmsg)))
		take_address(ctx, header);
	else if (header->nlmsg_type == RTM_NEWROUTE &&
		 nlmsg_valid_hdr(header, sizeof(struct rtmsg)))
		take_route(ctx, header);
	return NL_OK;
}

static int
ask(struct nl_sock *s, int type, struct address_locals *into)
{
	struct rtgenmsg request = {.rtgen_family = AF_UNSPEC};
	int rc = nl_socket_modify_cb(s, NL_CB_VALID, NL_CB_CUSTOM, on_message, into);

	if (rc >= 0)
		rc = nl_send_simple(s, type, NLM_F_DUMP, &request, sizeof(request));
	if (rc >= 0)
		rc = nl_recvmsgs_default(s);
	return rc;
}

/*
 * What is new is complete before it takes the place of what was.  A dump in which something changed
 * is none (NLM_F_DUMP_INTR), and what changed may be nothing of which we are told, such as an
 * interface: it is asked for again.
 */
static void
read_all(struct locals *l)
{
	struct address_locals fresh = {0};
	unsigned i;

	for (i = 0; i < TRIES && !fresh.known; i++) {
		address_locals_clear(&fresh);
		fresh.known = ask(l->dump, RTM_GETADDR, &fresh) >= 0 &&
			      ask(l->dump, RTM_GETROUTE, &fresh) >= 0;
	}
	address_locals_clear(&l->addresses);
	l->addresses = fresh;
}

static int
on_event(struct nl_msg *message, void *ctx)
{
	(void)message;
	(void)ctx;
	return NL_OK;
}

static void
on_changed(struct ev_loop *loop, ev_io *w, int events)
{
	struct locals *l = w->data;

	(void)loop;
	(void)events;
	/* What changed does not matter, nor how much of it was lost: all is read again. */
	while (nl_recvmsgs_default(l->events) >= 0)
		;
	read_all(l);
}

int
locals_open(struct locals *l)
{
	static const int groups[] = {
	    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
	size_t i;
	int rc = 0;

	memset(l, 0, sizeof(*l));
	l->events = nl_socket_alloc();
	l->dump = nl_socket_alloc();
	if (l->events == NULL || l->dump == NULL)
		return -ENOMEM;
	nl_socket_disable_seq_check(l->events);
	if (nl_connect(l->dump, NETLINK_ROUTE) < 0 || nl_connect(l->events, NETLINK_ROUTE) < 0)
		return -errno;
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]) && rc == 0; i++)
		rc = nl_socket_add_membership(l->events, groups[i]);
	if (rc < 0 || nl_socket_set_nonblocking(l->events) < 0 ||
	    nl_socket_modify_cb(l->events, NL_CB_VALID, NL_CB_CUSTOM, on_event, NULL) < 0)
		return -EIO;
	read_all(l);
	return l->addresses.known ? 0 : -EIO;
}

void
locals_watch(struct locals *l, struct ev_loop *loop)
{
	l->loop = loop;
	ev_io_init(&l->changed, on_changed, nl_socket_get_fd(l->events), EV_READ);
	l->changed.data = l;
	ev_io_start(loop, &l->changed);
}

void
locals_close(struct locals *l)
{
	if (l->loop != NULL)
		ev_io_stop(l->loop, &l->changed);
	nl_socket_free(l->events);
	nl_socket_free(l->dump);
	address_locals_clear(&l->addresses);
	memset(l, 0, sizeof(*l));
}
