/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256: the standard's examples, and libcrypto as an oracle. */
#include "ipc/sha256.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/ipc/ipc_test.h"

/* FIPS 180-4's examples (SHA256.pdf of the NIST's collection), and the empty string. */
static void
known_answers(void)
{
	static const struct {
		const char *text, *digest;
	} rows[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_HEX_SIZE];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sha256(rows[i].text, strlen(rows[i].text), digest);
		sha256_hex(digest, hex);
		CU_ASSERT_STRING_EQUAL(hex, rows[i].digest);
	}
}

static void
every_length(void)
{
	uint8_t ours[SHA256_SIZE], theirs[EVP_MAX_MD_SIZE];
	enum { LENGTHS = 1000 };
	unsigned char *bytes;
	unsigned n;
	size_t i;

	for (i = 0; i < LENGTHS; i++) {
		/* Just as long as the text: a read past it shows. */
		bytes = malloc(i + 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
		memset(bytes, (int)(i * 7 + 1), i);
		sha256(bytes, i, ours);
		CU_ASSERT_EQUAL(EVP_Digest(bytes, i, theirs, &n, EVP_sha256(), NULL), 1);
		CU_ASSERT_EQUAL(memcmp(ours, theirs, SHA256_SIZE), 0);
		free(bytes);
	}
}

/* In parts of every size, over the block's bounds. */
static void
in_parts(void)
{
	uint8_t bytes[300], whole[SHA256_SIZE], parts[SHA256_SIZE];
	struct sha256_state state;
	size_t n, at, part;

	for (at = 0; at < sizeof(bytes); at++)
		bytes[at] = (uint8_t)(at * 11);
	sha256(bytes, sizeof(bytes), whole);
	for (n = 1; n < sizeof(bytes); n++) {
		sha256_begin(&state);
		for (at = 0; at < sizeof(bytes); at += part) {
			part = sizeof(bytes) - at < n ? sizeof(bytes) - at : n;
			sha256_add(&state, bytes + at, part);
		}
		sha256_end(&state, parts);
		CU_ASSERT_EQUAL(memcmp(whole, parts, SHA256_SIZE), 0);
	}
}

void
add_sha256_suite(void)
{
	CU_pSuite suite = CU_add_suite("sha256", NULL, NULL);

	CU_add_test(suite, "known answers", known_answers);
	CU_add_test(suite, "every length up to 1000", every_length);
	CU_add_test(suite, "in parts", in_parts);
}
