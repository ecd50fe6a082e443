/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate authorities that are believed. */
#ifndef GONDOLIN_EGRESS_TRUST_H
#define GONDOLIN_EGRESS_TRUST_H

#include <stddef.h>

struct x509_store_st;

/*
 * Before the jail: reads a bundle of PEM certificates (path NULL: the system's).  Returns the store
 * (X509_STORE_free), or NULL and fills error with one line.
 */
struct x509_store_st *trust_read(const char *path, char *error, size_t error_size);

#endif
