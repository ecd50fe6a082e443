/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's certificate authority.  All leaves share one key of their own: what it proves is
 * only that netproxy is on the other side, whichever name was asked for.
 */
#include "netproxy/ca.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "netproxy/http_syntax.h"

#define SERIAL_BYTES  16
#define BACKDATED_S   (24L * 3600) /* a guest's clock may be slow */
#define VALID_S       (30L * 24 * 3600)
#define COMMON_NAME   "Gondolin sandbox CA"
#define COMMON_NAME_N 64u /* RFC 5280 appendix A: ub-common-name */
#define BUCKETS       64u

struct leaf {
	struct leaf *bucket_next;
	struct leaf *newer, *older;
	X509 *certificate;
	char name[HTTP_HOST_MAX + 1];
};

struct ca {
	EVP_PKEY *key, *leaf_key;
	X509 *certificate;
	char *pem;
	struct leaf *buckets[BUCKETS];
	struct leaf *newest, *oldest;
	unsigned n;
};

/* ---- Certificates ---- */

static bool
add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *e;
	bool done;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	done = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return done;
}

/* Set through its own type: no text of a peer goes through OpenSSL's configuration syntax. */
static bool
add_subject_name(X509 *x, const char *name)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *n = GENERAL_NAME_new();
	unsigned char address[16];
	int length = inet_pton(AF_INET, name, address) == 1    ? 4
		     : inet_pton(AF_INET6, name, address) == 1 ? 16
							       : 0;
	ASN1_STRING *s = length > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	bool done;

	if (names == NULL || n == NULL || s == NULL ||
	    ASN1_STRING_set(s, length > 0 ? (const void *)address : name,
		length > 0 ? length : (int)strlen(name)) != 1) {
		ASN1_STRING_free(s);
		GENERAL_NAME_free(n);
		sk_GENERAL_NAME_free(names);
		return false;
	}
	GENERAL_NAME_set0_value(n, length > 0 ? GEN_IPADD : GEN_DNS, s);
	if (sk_GENERAL_NAME_push(names, n) == 0) {
		GENERAL_NAME_free(n);
		sk_GENERAL_NAME_free(names);
		return false;
	}
	/* Critical where the subject is empty, RFC 5280 4.2.1.6: it never is here. */
	done = X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1;
	GENERAL_NAMES_free(names);
	return done;
}

/* A certificate with all but its extensions and its signature; issuer NULL: its own. */
static X509 *
make_certificate(EVP_PKEY *key, X509 *issuer, const char *common_name)
{
	unsigned char serial[SERIAL_BYTES];
	X509 *x = X509_new();
	X509_NAME *name;
	BIGNUM *number = NULL;

	if (x == NULL || RAND_bytes(serial, sizeof(serial)) != 1)
		goto fail;
	serial[0] &= 0x7f; /* positive */
	serial[0] |= 0x40; /* and of the same length always */
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	name = X509_get_subject_name(x);
	if (number == NULL || X509_set_version(x, X509_VERSION_3) != 1 ||
	    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) == NULL ||
	    X509_gmtime_adj(X509_getm_notBefore(x), -BACKDATED_S) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), VALID_S) == NULL ||
	    X509_set_pubkey(x, key) != 1 ||
	    X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
		(const unsigned char *)common_name, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : name) != 1)
		goto fail;
	BN_free(number);
	return x;
fail:
	BN_free(number);
	X509_free(x);
	return NULL;
}

static X509 *
make_root(EVP_PKEY *key)
{
	X509 *x = make_certificate(key, NULL, COMMON_NAME);

	if (x != NULL && add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add_extension(x, x, NID_subject_key_identifier, "hash") &&
	    X509_sign(x, key, EVP_sha256()) != 0)
		return x;
	X509_free(x);
	return NULL;
}

static X509 *
make_leaf(struct ca *ca, const char *name)
{
	/* Clients read the alternative name; the common name is for people, and short. */
	const char *common = strlen(name) <= COMMON_NAME_N ? name : "sandbox";
	X509 *x = make_certificate(ca->leaf_key, ca->certificate, common);

	if (x != NULL &&
	    add_extension(x, ca->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(x, ca->certificate, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(x, ca->certificate, NID_ext_key_usage, "serverAuth") &&
	    add_extension(x, ca->certificate, NID_authority_key_identifier, "keyid:always") &&
	    add_subject_name(x, name) && X509_sign(x, ca->key, EVP_sha256()) != 0)
		return x;
	X509_free(x);
	return NULL;
}

/* ---- The cache ---- */

static struct leaf **
bucket_of(struct ca *ca, const char *name)
{
	unsigned h = 5381;

	/* The guest may steer names into one bucket: CA_LEAVES_MAX comparisons at most. */
	for (; *name != '\0'; name++)
		h = h * 33 + (unsigned char)*name;
	return &ca->buckets[h % BUCKETS];
}

static void
unlink_leaf(struct ca *ca, struct leaf *l)
{
	if (l->newer != NULL)
		l->newer->older = l->older;
	else
		ca->newest = l->older;
	if (l->older != NULL)
		l->older->newer = l->newer;
	else
		ca->oldest = l->newer;
}

static void
put_newest(struct ca *ca, struct leaf *l)
{
	l->newer = NULL;
	l->older = ca->newest;
	if (ca->newest != NULL)
		ca->newest->newer = l;
	else
		ca->oldest = l;
	ca->newest = l;
}

static void
drop_oldest(struct ca *ca)
{
	struct leaf *l = ca->oldest, **p = bucket_of(ca, l->name);

	while (*p != NULL && *p != l)
		p = &(*p)->bucket_next;
	*p = l->bucket_next;
	unlink_leaf(ca, l);
	X509_free(l->certificate);
	free(l);
	ca->n--;
}

static struct leaf *
add_leaf(struct ca *ca, const char *name)
{
	struct leaf *l = calloc(1, sizeof(*l)), **bucket = bucket_of(ca, name);
	size_t n = strlen(name);

	if (l == NULL || n > HTTP_HOST_MAX)
		goto fail;
	memcpy(l->name, name, n + 1);
	l->certificate = make_leaf(ca, name);
	if (l->certificate == NULL)
		goto fail;
	if (ca->n == CA_LEAVES_MAX)
		drop_oldest(ca);
	l->bucket_next = *bucket;
	*bucket = l;
	put_newest(ca, l);
	ca->n++;
	return l;
fail:
	free(l);
	return NULL;
}

int
ca_use(struct ca *ca, SSL *ssl, const char *name)
{
	struct leaf *l = *bucket_of(ca, name);

	while (l != NULL && strcmp(l->name, name) != 0)
		l = l->bucket_next;
	if (l == NULL) {
		l = add_leaf(ca, name);
		if (l == NULL)
			return -EIO;
	} else {
		unlink_leaf(ca, l);
		put_newest(ca, l);
	}
	if (SSL_use_certificate(ssl, l->certificate) != 1 ||
	    SSL_use_PrivateKey(ssl, ca->leaf_key) != 1)
		return -EIO;
	return 0;
}

/* ---- The authority ---- */

static char *
to_pem(X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text = NULL, *copy = NULL;
	long n;

	if (b != NULL && PEM_write_bio_X509(b, x) == 1) {
		n = BIO_get_mem_data(b, &text);
		if (n > 0 && n < (long)CA_PEM_MAX)
			copy = strndup(text, (size_t)n);
	}
	BIO_free(b);
	return copy;
}

int
ca_new(struct ca **out)
{
	struct ca *ca = calloc(1, sizeof(*ca));

	*out = NULL;
	if (ca == NULL)
		return -EIO;
	ca->key = EVP_EC_gen("P-256");
	ca->leaf_key = EVP_EC_gen("P-256");
	if (ca->key != NULL && ca->leaf_key != NULL)
		ca->certificate = make_root(ca->key);
	if (ca->certificate != NULL)
		ca->pem = to_pem(ca->certificate);
	if (ca->pem == NULL) {
		ca_free(ca);
		return -EIO;
	}
	*out = ca;
	return 0;
}

void
ca_free(struct ca *ca)
{
	if (ca == NULL)
		return;
	while (ca->n > 0)
		drop_oldest(ca);
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->leaf_key);
	EVP_PKEY_free(ca->key);
	free(ca->pem);
	free(ca);
}

const char *
ca_pem(const struct ca *ca)
{
	return ca->pem;
}
