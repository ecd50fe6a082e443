/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This host's addresses and on-link networks, read over rtnetlink (rtnetlink(7)) and kept current.
 *
 * The kernel's routes without a gateway are the networks that we are on; one broader than /8 (IPv6:
 * /16) is the way to the world by a point-to-point link, and is left out.
 */
#ifndef GONDOLIN_EGRESS_LOCALS_H
#define GONDOLIN_EGRESS_LOCALS_H

#include <ev.h>

#include "egress/address.h"

struct nl_sock;

struct locals {
	struct address_locals addresses;
	struct nl_sock *events; /* tells that something changed */
	struct nl_sock *dump;   /* asks for all */
	struct ev_loop *loop;
	ev_io changed;
};

/* Before the jail: opens both sockets and reads once.  Returns 0 or -errno. */
int locals_open(struct locals *l);

/* Follows changes from now on. */
void locals_watch(struct locals *l, struct ev_loop *loop);

void locals_close(struct locals *l);

#endif
