/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's certificate authority: a P-256 key made when the sandbox starts, held in memory
 * only, and certificates for the names that the guest asks for, made on demand and kept, a bounded
 * number of them, least recently used out first.
 */
#ifndef GONDOLIN_NETPROXY_CA_H
#define GONDOLIN_NETPROXY_CA_H

#include <openssl/ssl.h>
#include <stddef.h>

#define CA_LEAVES_MAX 256u
#define CA_PEM_MAX    4096u

struct ca;

/* Makes the key and the certificate.  Returns 0 or -EIO (no randomness, no memory). */
int ca_new(struct ca **out);
void ca_free(struct ca *ca);

/* The certificate in PEM, terminated; the ca's. */
const char *ca_pem(const struct ca *ca);

/*
 * Gives a connection the certificate for a canonical name or address.  Returns 0, or -EIO where
 * none can be made.
 */
int ca_use(struct ca *ca, SSL *ssl, const char *name);

#endif
