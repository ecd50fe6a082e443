/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a CA bundle. */
#include "egress/trust.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <unistd.h>

/* Where distributions keep it. */
static const char *const places[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

struct x509_store_st *
trust_read(const char *path, char *error, size_t error_size)
{
	X509_STORE *store = X509_STORE_new();
	size_t i;

	for (i = 0; path == NULL && i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], R_OK) == 0)
			path = places[i];
	if (path == NULL)
		snprintf(error, error_size, "no CA bundle: install ca-certificates");
	else if (store == NULL || X509_STORE_load_file(store, path) != 1)
		snprintf(error, error_size, "%s: no PEM certificates can be read there", path);
	else
		return store;
	ERR_clear_error();
	X509_STORE_free(store);
	return NULL;
}
