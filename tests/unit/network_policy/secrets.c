/* SPDX-License-Identifier: Apache-2.0 */
/* Values of secrets: where they come from, and which are none. */
#include <CUnit/Basic.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/network_secrets.h"
#include "tests/unit/network_policy/network_test.h"

static char error[CONFIG_ERROR_SIZE];

/* Reads the secrets of a configuration; the configuration lives on in *c. */
static int
read_all(struct config **c, struct network_secrets *s, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(
	    config_parse(c, "t.conf", text, strlen(text), error, sizeof(error)), 0);
	return network_secrets_read(s, *c, error, sizeof(error));
}

/* One secret of $VALUE. */
static int
read_variable(const char *value)
{
	static const char text[] = "image = a\n"
				   "network {\nsecret T { hosts = {a.example} env = VALUE }\n}";
	struct network_secrets s;
	struct config *c;
	int rc;

	CU_ASSERT_EQUAL(setenv("VALUE", value, 1), 0);
	rc = read_all(&c, &s, text);
	if (rc == 0) {
		CU_ASSERT_EQUAL(s.v[0].length, strlen(value));
		CU_ASSERT_EQUAL(memcmp(s.v[0].value, value, strlen(value)), 0);
		CU_ASSERT(placeholder_is_valid(s.v[0].placeholder, PLACEHOLDER_LENGTH));
	} else {
		CU_ASSERT_EQUAL(strncmp(error, "t.conf:3: network: secret \"T\": ", 31), 0);
		CU_ASSERT_PTR_NULL(strstr(error, "hunter"));
	}
	network_secrets_clear(&s);
	network_secrets_clear(&s);
	config_free(c);
	return rc;
}

static void
test_variables(void)
{
	static char longest[NETWORK_SECRET_MAX + 2];

	memset(longest, 'x', NETWORK_SECRET_MAX);
	CU_ASSERT_EQUAL(read_variable(longest), 0);
	longest[NETWORK_SECRET_MAX] = 'x';
	CU_ASSERT_EQUAL(read_variable(longest), -EINVAL);
	CU_ASSERT_EQUAL(read_variable("12345678"), 0);
	CU_ASSERT_EQUAL(read_variable("two words"), 0);
	CU_ASSERT_EQUAL(read_variable("r\xc3\xa4um auf"), 0);
	CU_ASSERT_EQUAL(read_variable(""), -EINVAL);
	CU_ASSERT_EQUAL(read_variable("hunter2"), -EINVAL);
	CU_ASSERT_EQUAL(read_variable("hunter2 hunter2\n"), -EINVAL);
	CU_ASSERT_EQUAL(read_variable("hunter2\thunter2"), -EINVAL);
	CU_ASSERT_EQUAL(read_variable(" hunter2hunter2"), -EINVAL);
	CU_ASSERT_EQUAL(read_variable("hunter2hunter2 "), -EINVAL);
}

static void
test_missing(void)
{
	static const char text[] =
	    "image = a network { secret T { hosts = {a.example} env = NOT_THERE } }";
	struct network_secrets s;
	struct config *c;

	unsetenv("NOT_THERE");
	CU_ASSERT_EQUAL(read_all(&c, &s, text), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "NOT_THERE is not set"));
	network_secrets_clear(&s);
	config_free(c);
}

/* One secret of a file with that content; returns its length, or -errno. */
static int
read_file_of(const char *content, size_t n)
{
	char path[] = "/tmp/gondolin-secret-XXXXXX", text[256];
	struct network_secrets s;
	struct config *c;
	int fd = mkstemp(path), rc;

	CU_ASSERT_FATAL(fd >= 0 && write(fd, content, n) == (ssize_t)n);
	close(fd);
	snprintf(text, sizeof(text),
	    "image = a network { secret T { hosts = {a.example} file = '%s' } }", path);
	rc = read_all(&c, &s, text);
	if (rc == 0)
		rc = (int)s.v[0].length;
	unlink(path);
	network_secrets_clear(&s);
	config_free(c);
	return rc;
}

static void
test_files(void)
{
	static char large[2 * NETWORK_SECRET_MAX];

	memset(large, 'x', sizeof(large));
	CU_ASSERT_EQUAL(read_file_of("0123456789", 10), 10);
	CU_ASSERT_EQUAL(read_file_of("0123456789\n", 11), 10);
	CU_ASSERT_EQUAL(read_file_of("0123456789\r\n", 12), 10);
	CU_ASSERT_EQUAL(read_file_of("0123456789\n\n", 12), -EINVAL);
	CU_ASSERT_EQUAL(read_file_of("01234567\0009", 10), -EINVAL);
	CU_ASSERT_EQUAL(read_file_of("", 0), -EINVAL);
	CU_ASSERT_EQUAL(read_file_of("\n", 1), -EINVAL);
	CU_ASSERT_EQUAL(read_file_of(large, sizeof(large)), -EINVAL);
	large[NETWORK_SECRET_MAX] = '\r';
	large[NETWORK_SECRET_MAX + 1] = '\n';
	CU_ASSERT_EQUAL(read_file_of(large, NETWORK_SECRET_MAX + 2), (int)NETWORK_SECRET_MAX);
}

static void
test_several(void)
{
	static const char text[] = "image = a network {\n"
				   "secret T { hosts = {a.example} env = VALUE }\n"
				   "secret U { hosts = {b.example} env = VALUE } }";
	struct network_secrets s;
	struct config *c;

	CU_ASSERT_EQUAL(setenv("VALUE", "one value", 1), 0);
	CU_ASSERT_EQUAL_FATAL(read_all(&c, &s, text), 0);
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	CU_ASSERT_STRING_NOT_EQUAL(s.v[0].placeholder, s.v[1].placeholder);
	network_secret_forget(&s.v[0]);
	CU_ASSERT_PTR_NULL(s.v[0].value);
	CU_ASSERT_PTR_NOT_NULL(s.v[1].value);
	network_secrets_clear(&s);
	config_free(c);
}

void
add_secrets_suite(void)
{
	CU_pSuite s = CU_add_suite("secrets", NULL, NULL);

	CU_add_test(s, "of variables", test_variables);
	CU_add_test(s, "of a variable that is not set", test_missing);
	CU_add_test(s, "of files", test_files);
	CU_add_test(s, "several", test_several);
}
