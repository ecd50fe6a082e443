/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's network: what the host tells in AgentNetwork, put into the kernel and the root file
 * system.
 *
 * The LAN is always the same (netproxy/stack.h), so nothing is asked on it: addresses, gateway and
 * resolver are here.  Nothing of it protects anybody; a guest may change all of it.
 */
#ifndef GONDOLIN_GUEST_NETWORK_H
#define GONDOLIN_GUEST_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#define NETWORK_DEVICE   "eth0"
#define NETWORK_GUEST4   "192.168.127.3"
#define NETWORK_GATEWAY4 "192.168.127.1" /* the resolver, too */
#define NETWORK_PREFIX4  24
#define NETWORK_GUEST6   "fd67:6f6e:646f:1::3"
#define NETWORK_GATEWAY6 "fd67:6f6e:646f:1::1"
#define NETWORK_PREFIX6  64

/* Files that are made; the image's own are never written. */
#define NETWORK_DIRECTORY "/run/gondolin"
#define NETWORK_CA        NETWORK_DIRECTORY "/ca.crt"              /* the sandbox's CA */
#define NETWORK_BUNDLE    NETWORK_DIRECTORY "/ca-certificates.crt" /* the image's CAs and that one */

struct network_settings {
	const uint8_t *ca; /* PEM; the caller's */
	size_t n_ca;
	uint32_t mtu; /* bytes of an IP packet on the link */
};

/* NAME=VALUE of what makes programs trust the CA that read no bundle of the system. */
extern const char *const network_variables[];
extern const size_t network_n_variables;

/*
 * Brings the network up: device, files, trust.  Needs root.  Returns 0, or -errno with one line in
 * why (cut to why_size bytes).
 */
int network_configure(const struct network_settings *s, char *why, size_t why_size);

/* Its parts. */

/*
 * The device's MTU, addresses of both families and default routes; then it is up.  Addresses work
 * at once: there is nobody else on the LAN for whom to look.  -ENODEV: there is no such device.
 */
int network_device_up(uint32_t mtu);

/*
 * Files in NETWORK_DIRECTORY, bind-mounted over those of the image: resolv.conf, hosts, and the
 * bundles of CAs that the image has.  A mount that cannot be made is said on the console and passed
 * over; -errno where NETWORK_DIRECTORY cannot be filled.
 */
int network_files_make(const struct network_settings *s);

#endif
