/* SPDX-License-Identifier: Apache-2.0 */
/* The replacer, cut at every place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/needles.h"
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

/* Pieces of needles, in any order and cut anywhere, come out the same as in one piece. */
static void
test_pieces(void)
{
	static const char *const pieces[] = {
	    "aab", "aaba", "%61", "%6", "%", "b", "a", "aabaab", "1"};
	struct needles set;
	struct buffer whole = {0}, cut = {0};
	char text[512];
	unsigned seed = 1;
	size_t i, k, n;

	needles_init(&set);
	needles_add(&set, "aabaab", 6, 0, "X", 1);
	needles_add(&set, "baaa", 4, 1, "YY", 2);
	needles_build(&set);
	for (i = 0; i < 2000; i++) {
		struct replacer r;

		text[0] = '\0';
		for (k = 0; k < 40; k++)
			strcat(text, pieces[(size_t)rand_r(&seed) % 9]);
		n = strlen(text);
		whole.length = cut.length = 0;
		run(&set, text, n, n, &whole);
		replacer_init(&r, &set);
		for (k = 0; k < n; k++)
			replacer_feed(&r, text + k, 1, k + 1 == n, &cut);
		replacer_clear(&r);
		CU_ASSERT_FATAL(
		    whole.length == cut.length && memcmp(whole.bytes, cut.bytes, cut.length) == 0);
		CU_ASSERT_PTR_NULL(memmem(whole.bytes, whole.length, "aabaab", 6));
		CU_ASSERT_PTR_NULL(memmem(whole.bytes, whole.length, "baaa", 4));
	}
	buffer_clear(&whole);
	buffer_clear(&cut);
	needles_clear(&set);
}

CU_TestInfo scrubber_tests[] = {
    {"every split", test_splits},
    {"pieces", test_pieces},
    CU_TEST_INFO_NULL,
};
