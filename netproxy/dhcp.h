/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP messages of a client (RFC 2131, RFC 2132), parsed strictly. */
#ifndef GONDOLIN_NETPROXY_DHCP_H
#define GONDOLIN_NETPROXY_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_DECLINE = 4,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
	DHCP_INFORM = 8,
};

struct dhcp_message {
	enum dhcp_type type;
	uint32_t transaction;
	bool broadcast;
	uint32_t client; /* ciaddr; addresses in host byte order, 0 = none */
	uint32_t requested;
	uint32_t server;
	const uint8_t *mac;       /* 6 bytes, in place */
	const uint8_t *client_id; /* in place, or NULL */
	uint8_t client_id_length;
};

/*
 * Parses a BOOTP message with its options.  Refused, besides what is too short or has a length that
 * overruns: a message not of a client or not of Ethernet, one that passed a relay, no message type
 * or one that a client does not send, an option that comes twice or has a wrong length, option
 * overload, no end option.  Returns 0 or -EPROTO; *m points into the bytes.
 */
int dhcp_parse(struct dhcp_message *m, const uint8_t *bytes, size_t n);

#endif
