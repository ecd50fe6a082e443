/* SPDX-License-Identifier: Apache-2.0 */
/* The replacer, cut at every place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/needles.h"
#include "scrub_oracle.h"
#include "suites.h"

static void
run(const struct needles *set, const char *in, size_t a, size_t b, struct buffer *out)
{
	struct replacer r;
	size_t n = strlen(in);

	replacer_init(&r, set);
	replacer_feed(&r, in, a, false, out);
	replacer_feed(&r, in + a, b - a, false, out);
	replacer_feed(&r, in + b, n - b, true, out);
	replacer_clear(&r);
}

static void
test_splits(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"", ""},
	    {"nothing", "nothing"},
	    {"s3cret", "<1>"},
	    {"xs3cretx", "x<1>x"},
	    {"s3crets3cret", "<1><1>"},
	    {"s3s3cret", "s3<1>"},
	    {"s3cre", "s3cre"},
	    {"s3cres3cre%", "s3cres3cre%"},
	    {"%73%33cret", "<1>"},
	    {"s%33c%72et!", "<1>!"},
	    {"%2573cret", "%2573cret"},
	    {"%s3cret%", "%<1>%"},
	    {"%7s3cret", "%7<1>"},
	    {"%as3cret", "%a<1>"},
	    {"%ababcabx", "%ab<2>x"}, /* the raw reading finds what a false escape would hide */
	    {"abcab", "<2>"},
	    {"ababcab", "ab<2>"},
	    {"a%62cab", "<2>"},
	    {"p%25q", "<3>"},
	    {"p%q", "<3>"},
	    {"%%%%%p%q%%%", "%%%%%<3>%%%"},
	};
	struct needles set;
	struct buffer out = {0};
	size_t i, a, b, n;

	needles_init(&set);
	needles_add(&set, "s3cret", 6, 1, "<1>", 3);
	needles_add(&set, "abcab", 5, 2, "<2>", 3);
	needles_add(&set, "p%q", 3, 3, "<3>", 3);
	needles_build(&set);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = strlen(rows[i].in);
		for (a = 0; a <= n; a++)
			for (b = a; b <= n; b++) {
				out.length = 0;
				run(&set, rows[i].in, a, b, &out);
				if (out.length != strlen(rows[i].out) ||
				    (out.length > 0 &&
					memcmp(out.bytes, rows[i].out, out.length) != 0)) {
					fprintf(stderr, "%s at %zu, %zu: %.*s\n", rows[i].in, a, b,
					    (int)out.length, (const char *)out.bytes);
					CU_FAIL("split");
				}
			}
	}
	buffer_clear(&out);
	needles_clear(&set);
}

/* Needles within needles: the outer one where it is whole, the inner one where it is not. */
static const struct scrub_needle nested[] = {
    {"hunter2hunter2", 0, "<in>"},
    {"postgres://app:hunter2hunter2@db/prod", 1, "<out>"},
    {"hunter2hunter2-next", 2, "<next>"},
    {"prod/key", 3, "<tail>"},
    {"ababab", 4, "<ab>"},
    {"bababa", 5, "<ba>"},
};

static const struct {
	const char *in, *out;
	uint64_t tags;
} overlaps[] = {
    {"postgres://app:hunter2hunter2@db/prod", "<out>", 2},
    {"postgres://app:hunter2hunter2@db/pro", "postgres://app:<in>@db/pro", 1},
    {"postgres://app:hunter2hunter2-nexT", "postgres://app:<in>-nexT", 1},
    {"postgres://app:hunter2hunter2-next", "postgres://app:<next>", 4},
    {"postgres%3A//app:hunter2hunter%32@db/prod!", "<out>!", 2},
    {"postgres%3A//app:hunter2hunter%32@db", "postgres%3A//app:<in>@db", 1},
    {"hunter2hunter2", "<in>", 1},
    {"hunter2hunter2-next", "<next>", 4},
    {"hunter2hunter2hunter2", "<in>", 1}, /* one that overlaps itself */
    {"hunter2hunter2hunter2-next", "<in><next>", 5},
    {"postgres://app:hunter2hunter2@db/prod/key", "<out><tail>", 10},
    {"xabababababx", "x<ab><ba>x", 48},
    {"ababababababababababababababababababababa.", "<ab><ba>.", 48},
};

static void
test_overlaps(void)
{
	struct needles set;
	struct buffer out = {0};
	struct replacer r;
	size_t i, a, k, n;

	needles_init(&set);
	for (i = 0; i < sizeof(nested) / sizeof(nested[0]); i++)
		needles_add(&set, nested[i].bytes, strlen(nested[i].bytes), nested[i].tag,
		    nested[i].with, strlen(nested[i].with));
	needles_build(&set);
	for (i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
		n = strlen(overlaps[i].in);
		for (a = 1; a <= n; a++) {
			out.length = 0;
			replacer_init(&r, &set);
			for (k = 0; k < n; k += a)
				replacer_feed(
				    &r, overlaps[i].in + k, n - k < a ? n - k : a, false, &out);
			replacer_feed(&r, NULL, 0, true, &out);
			CU_ASSERT_EQUAL(r.tags, overlaps[i].tags);
			CU_ASSERT(out.length == strlen(overlaps[i].out) &&
				  memcmp(out.bytes, overlaps[i].out, out.length) == 0);
			replacer_clear(&r);
		}
	}
	buffer_clear(&out);
	needles_clear(&set);
}

/* What is certain is not held back; what is held back is no more than could be a needle. */
static void
test_held(void)
{
	struct needles set;
	struct buffer out = {0};
	struct replacer r;
	size_t i, most = 0;

	needles_init(&set);
	needles_add(&set, "secretsecret", 12, 0, "<1>", 3);
	needles_add(&set, "secretsecret2", 13, 1, "<2>", 3);
	needles_add(&set, "etsecretse", 10, 2, "<3>", 3);
	needles_build(&set);
	replacer_init(&r, &set);
	replacer_feed(&r, "xsecretsecret2", 14, false, &out);
	CU_ASSERT(out.length == 4 && memcmp(out.bytes, "x<2>", 4) == 0);
	CU_ASSERT_EQUAL(r.held.length, 0);
	for (i = 0; i < 100000; i++) {
		replacer_feed(&r, &"secr%65t"[i % 8], 1, false, &out);
		most = r.held.length > most ? r.held.length : most;
	}
	/* Twice: what is certain is dropped when it is the greater part. */
	CU_ASSERT(most <= 2 * UNESCAPE_MAX * 13);
	CU_ASSERT(r.capacity <= 64);
	replacer_clear(&r);
	buffer_clear(&out);
	needles_clear(&set);
}

/* Pieces of needles, in any order and cut anywhere, come out as the oracle says. */
static void
test_pieces(void)
{
	static const char *const pieces[] = {
	    "aab", "aaba", "%61", "%6", "%", "b", "a", "aabaab", "1"};
	static const struct scrub_needle needles[] = {
	    {"aabaab", 0, "X"}, {"baaa", 1, "YY"}, {"aab", 2, "Z"}, {"baabaaabaab", 3, "W"}};
	struct needles set;
	struct buffer want = {0}, cut = {0};
	uint64_t tags;
	char text[512];
	unsigned seed = 1;
	size_t i, k, n, step;

	needles_init(&set);
	for (i = 0; i < 4; i++)
		needles_add(&set, needles[i].bytes, strlen(needles[i].bytes), needles[i].tag,
		    needles[i].with, strlen(needles[i].with));
	needles_build(&set);
	for (i = 0; i < 4000; i++) {
		struct replacer r;

		text[0] = '\0';
		for (k = 0; k < 40; k++)
			strcat(text, pieces[(size_t)rand_r(&seed) % 9]);
		n = strlen(text);
		step = (size_t)rand_r(&seed) % n + 1;
		want.length = cut.length = 0;
		scrub_oracle(needles, 4, (const uint8_t *)text, n, &want, &tags);
		replacer_init(&r, &set);
		for (k = 0; k < n; k += step)
			replacer_feed(&r, text + k, n - k < step ? n - k : step, false, &cut);
		replacer_feed(&r, NULL, 0, true, &cut);
		CU_ASSERT_EQUAL(r.tags, tags);
		replacer_clear(&r);
		CU_ASSERT_FATAL(
		    want.length == cut.length && memcmp(want.bytes, cut.bytes, cut.length) == 0);
	}
	buffer_clear(&want);
	buffer_clear(&cut);
	needles_clear(&set);
}

CU_TestInfo scrubber_tests[] = {
    {"every split", test_splits},
    {"needles that overlap", test_overlaps},
    {"held", test_held},
    {"pieces", test_pieces},
    CU_TEST_INFO_NULL,
};
