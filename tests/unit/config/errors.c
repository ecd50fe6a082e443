/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused, and with which words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config/config_test.h"

struct row {
	const char *text, *error;
};

static void
refuse_all(const struct row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		refuse(rows[i].text, rows[i].error);
}
#define REFUSE_ALL(rows) refuse_all(rows, sizeof(rows) / sizeof((rows)[0]))

static void
syntax(void)
{
	static const struct row rows[] = {
	    {"image = \"a", "t.conf:1: a string that does not end"},
	    {"image = 'a\n", "t.conf:1: a string that does not end"},
	    {"image = 'a\\", "t.conf:1: a string that does not end"},
	    {"\n/* x", "t.conf:2: a comment that does not end"},
	    {"image = a\nvm { cpus = 1\n", "t.conf:2: section vm does not end; \"}\" is missing"},
	    {"image = a }", "t.conf:1: \"}\" without a section"},
	    {"image a", "t.conf:1: expected \"{\" (or \"=\" before a value), found the end of the "
			"file"},
	    {"image = ", "t.conf:1: expected a value, found the end of the file"},
	    {"image = a\n= b", "t.conf:2: expected a key (a bare word), found ="},
	    {"command = {a b}", "t.conf:1: expected \",\" or \"}\", found b"},
	    {"command = {,}", "t.conf:1: expected a value or \"}\", found ,"},
	    {"command = {{a}}", "t.conf:1: expected a value or \"}\", found {"},
	    {"\"vm|cpus\" = 3", "t.conf:1: expected a key (a bare word), found \"vm|cpus\""},
	    {"vm|cpus = 3", "t.conf:1: unexpected character |; put the value in quotes"},
	    {"command += {a}", "t.conf:1: unexpected character +; put the value in quotes"},
	    {"include(\"x\")", "t.conf:1: unexpected character (; put the value in quotes"},
	    {"image = ${HOME}", "t.conf:1: unexpected character $; put the value in quotes"},
	    {"image = a/b", "t.conf:1: unexpected character /; put the value in quotes"},
	    {"image = a\x01", "t.conf:1: a control character (0x01); write it as \\x01"},
	    {"image = a\n\xff", "t.conf:2: not UTF-8; save the file as UTF-8"},
	    {"network { budget { a { b { } } } }", "t.conf:1: a section too deep in others"},
	};

	REFUSE_ALL(rows);
}

static void
escapes(void)
{
	static const char *const bad[] = {"\\0", "\\000", "\\x00", "\\x0", "\\x", "\\xg", "\\400",
	    "\\1234", "\\9", "\\12", "\\d", "\\ ", "\\{"};
	char text[64];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "image = a\ncommand = \"x%s\"", bad[i]);
		refuse(text,
		    "t.conf:2: a bad escape in a string; use \\\\ \\\" \\n \\r \\t \\e \\$ "
		    "\\xHH or \\OOO (not 0)");
	}
	refuse("image = a command = \"\\xff\"",
	    "t.conf:1: command = \"\\xff\": not UTF-8; use UTF-8 text");
}

static void
keys(void)
{
	static const struct row rows[] = {
	    {"image = a vm { cpu = 1 }", "t.conf:1: unknown key cpu; use cpus, memory, accel, "
					 "rootfs, start, mounts or boot-timeout"},
	    {"image = a include = b",
		"t.conf:1: unknown key include; use image, command, timeout, user, cwd, env, tty, "
		"id, label, hooks, audit, uid-range, vm, network, mount, ingress, ssh or limits"},
	    {"image = a vm { } \n vm { }", "t.conf:2: vm is given twice; first on line 1"},
	    {"image = a\nimage = a", "t.conf:2: image is given twice; first on line 1"},
	    {"image = a env = {} env = {}", "t.conf:1: env is given twice; first on line 1"},
	    {"image = a vm { cpus = 1 cpus = 1 }",
		"t.conf:1: cpus is given twice; first on line 1"},
	    {"vm = 3", "t.conf:1: vm is a section; write vm { ... }"},
	    {"mount = 3", "t.conf:1: mount is a section; write mount \"...\" { ... }"},
	    {"image { }", "t.conf:1: image is no section; write image = ..."},
	    {"vm x { }", "t.conf:1: vm has no title; write vm { ... }"},
	    {"mount { }", "t.conf:1: mount needs a title; write mount \"...\" { ... }"},
	    {"network { vm { } }",
		"t.conf:1: unknown key vm; use allow, allow-internal, dns, dns-trusted-server, "
		"websockets, proxy, ca-bundle, hosts-file, secret, tcp, budget, host-budget or "
		"timeouts"},
	    {"timeout = 1", "t.conf: image is missing; add image = \"a tag, a build id or a "
			    "directory\""},
	    {"", "t.conf: image is missing; add image = \"a tag, a build id or a directory\""},
	    {"image = a mount '/a' { memory = 1M }\nmount \"/a\" { memory = 1M }",
		"t.conf:2: found duplicate title '/a'"},
	};

	REFUSE_ALL(rows);
}

static void
values(void)
{
	static const struct row rows[] = {
	    {"image = \"\"", "t.conf:1: image = \"\": empty; leave the key out instead"},
	    {"image = a\nvm { memory = \"1X\" }",
		"t.conf:2: memory = \"1X\": not a size; use a number with K, M, G or T, such as "
		"\"512M\""},
	    {"image = a vm { memory = 512 }",
		"t.conf:1: memory = \"512\": not a size; use a number with K, M, G or T, such as "
		"\"512M\""},
	    {"image = a vm { memory = 1M }",
		"t.conf:1: memory = \"1M\": out of range; use \"64M\" to \"1T\""},
	    {"image = a vm { memory = 99999999999999999999G }",
		"t.conf:1: memory = \"99999999999999999999G\": not a size; use a number with K, M, "
		"G or T, such as \"512M\""},
	    {"image = a vm { memory = 18014398509481984T }",
		"t.conf:1: memory = \"18014398509481984T\": out of range; use \"64M\" to \"1T\""},
	    {"image = a vm { memory = 65537K }", "t.conf:1: vm: memory is not in whole megabytes"},
	    {"image = a vm { cpus = 0 }",
		"t.conf:1: cpus = \"0\": out of range; use a number from 1 to 64"},
	    {"image = a vm { cpus = -1 }",
		"t.conf:1: cpus = \"-1\": not a number; use a number from 1 to 64"},
	    {"image = a vm { cpus = 010 }",
		"t.conf:1: cpus = \"010\": not a number; use a number from 1 to 64"},
	    {"image = a vm { boot-timeout = 0 }",
		"t.conf:1: boot-timeout = \"0\": out of range; use seconds from 1 to 86400"},
	    {"image = a vm { accel = hvf }",
		"t.conf:1: accel = \"hvf\": unknown value; use auto, kvm or tcg"},
	    {"image = a timeout = 4000001",
		"t.conf:1: timeout = \"4000001\": out of range; use seconds from 0 (none) to "
		"4000000"},
	    {"image = a tty = yes",
		"t.conf:1: tty = \"yes\": neither true nor false; use one of them"},
	    {"image = a limits { cpu = nan }",
		"t.conf:1: cpu = \"nan\": not a number; use cores from 0.01 to 1024, such as 2.0"},
	    {"image = a limits { cpu = 1. }",
		"t.conf:1: cpu = \"1.\": not a number; use cores from 0.01 to 1024, such as 2.0"},
	    {"image = a command = {\"\", b}",
		"t.conf:1: command = \"\": the first word is empty; use the name of a program"},
	    {"image = a\ncommand = {}",
		"t.conf:2: command is empty; name a program, or leave the key out"},
	    {"image = a env = {\"1A=b\"}",
		"t.conf:1: env = \"1A=b\": not NAME=VALUE; use a name of letters, digits and _"},
	    {"image = a env = {\"A\"}",
		"t.conf:1: env = \"A\": not NAME=VALUE; use a name of letters, digits and _"},
	    {"image = a env = {\"A=1\", \"B=1\", \"A=2\"}", "t.conf:1: env: A is set twice"},
	    {"image = a id = \"../x\"",
		"t.conf:1: id = \"../x\": not an id; use 1 to 32 of a-z, 0-9 and -, no - first"},
	    {"image = a id = \"-a\"",
		"t.conf:1: id = \"-a\": not an id; use 1 to 32 of a-z, 0-9 and -, no - first"},
	    {"image = a id = \"abcdefghijabcdefghijabcdefghijabc\"",
		"t.conf:1: id = \"abcdefghijabcdefghijabcdefghijabc\": not an id; use 1 to 32 of "
		"a-z, 0-9 and -, no - first"},
	    {"image = a user = \"a b\"",
		"t.conf:1: user = \"a b\": not a user; use a name of at most 32 bytes, or a uid"},
	    {"image = a user = 4294967295",
		"t.conf:1: user = \"4294967295\": not a uid; use a number from 0 to 4294967294, or "
		"a name"},
	    {"image = a label = \"a\\nb\"",
		"t.conf:1: label = \"a\\x0ab\": not a label; use one line of at most 128 bytes"},
	    {"image = a uid-range = \"5-1000\"", "t.conf:1: uid-range = \"5-1000\": not a range of "
						 "uids; use \"FIRST-LAST\" with 100 "
						 "or more between 65536 and 4294967293"},
	};

	REFUSE_ALL(rows);
}

static void
mounts(void)
{
#define NOT_ABSOLUTE "not an absolute path without \"//\", \".\", \"..\" or a \"/\" at its end"
	static const struct row rows[] = {
	    {"image = a mount 'a' { }", "t.conf:1: mount \"a\": " NOT_ABSOLUTE},
	    {"image = a mount '' { }", "t.conf:1: mount \"\": " NOT_ABSOLUTE},
	    {"image = a mount '/a/' { }", "t.conf:1: mount \"/a/\": " NOT_ABSOLUTE},
	    {"image = a mount '/a//b' { }", "t.conf:1: mount \"/a//b\": " NOT_ABSOLUTE},
	    {"image = a mount '/a/../b' { }", "t.conf:1: mount \"/a/../b\": " NOT_ABSOLUTE},
	    {"image = a mount '/./b' { }", "t.conf:1: mount \"/./b\": " NOT_ABSOLUTE},
	    {"image = a cwd = 'x'", "t.conf:1: cwd = \"x\": " NOT_ABSOLUTE},
	    {"image = a mount '/' { memory = 1M }",
		"t.conf:1: mount \"/\": the root is the image's; use a directory below it"},
	    {"image = a mount '/dev' { memory = 1M }",
		"t.conf:1: mount \"/dev\": that is the guest's kernel's; use another directory"},
	    {"image = a mount '/proc/a' { host = '.' }",
		"t.conf:1: mount \"/proc/a\": that is the guest's kernel's; use another directory"},
	    {"image = a\nmount '/a' {\nmode = rw }",
		"t.conf:2: mount \"/a\": give one source: host = \"directory\" or memory = "
		"\"256M\""},
	    {"image = a mount '/a' { host = '.' memory = 1M }",
		"t.conf:1: mount \"/a\": give one source: host = \"directory\" or memory = "
		"\"256M\""},
	    {"image = a mount '/a' { memory = 1M mode = ro }",
		"t.conf:1: mount \"/a\": a mount in memory is rw; leave mode out"},
	    {"image = a mount '/a' { memory = 1M hide = x }",
		"t.conf:1: mount \"/a\": hide, user and max-bytes are for a mount with host"},
	    {"image = a mount '/a' { host = '.' hide = '../x' }",
		"t.conf:1: hide = \"../x\": not a pattern; use a name or a relative path such as "
		"\".env\" or \"keys/*.pem\""},
	    {"image = a mount '/a' { host = '.' hide = '/x' }",
		"t.conf:1: hide = \"/x\": not a pattern; use a name or a relative path such as "
		"\".env\" or \"keys/*.pem\""},
	    {"image = a mount '/a' { host = '.' mode = wr }",
		"t.conf:1: mode = \"wr\": unknown value; use ro, rw or cow"},
	    {"image = a mount '/a' { host = '.' hide-mode = x }",
		"t.conf:1: hide-mode = \"x\": unknown value; use deny or scratch"},
	    {"image = a mount '/a' { host = '.' owner = x }",
		"t.conf:1: owner = \"x\": unknown value; use squash or keep"},
	};

	REFUSE_ALL(rows);
}

static void
hosts(void)
{
	static const char *const bad[] = {"", ".", "a..b", "a.", ".a", "-a.b", "a-.b", "a b", "a/b",
	    "*a.b", "a.*", "*.*", "*.", "**", "*.1.2.3.4", "http://", "ftp://a.b", "http:/a.b",
	    "http://a.b/", "u@a.b", "a.b:0", "a.b:65536", "a.b:080", "a.b:", "a.b:x", "::1", "[::1",
	    "[1.2.3.4]", "[fe80::1%eth0]", "1.2.3", "1.2.3.256", "01.2.3.4", "0x7f.1", "2130706433",
	    "a.0x7f", "\\xc3\\xbc.example", "a,b", "a.b:1:2"};
	char text[128], error[CONFIG_ERROR_SIZE];
	struct config *c;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "image = a network { allow = \"%s\" }", bad[i]);
		CU_ASSERT_EQUAL(
		    config_parse(&c, "t.conf", text, strlen(text), error, sizeof(error)), -EINVAL);
		if (c != NULL)
			fprintf(stderr, "accepted: %s\n", bad[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, ": not a host pattern"));
		config_free(c);
	}
}

static void
network(void)
{
	static const struct row rows[] = {
	    {"image = a network { allow-internal = '*' }",
		"t.conf:1: allow-internal = \"*\": not a host pattern; use \"host.example\" or "
		"\"*.example\""},
	    {"image = a network { allow = 'https://a.b/c' }",
		"t.conf:1: allow = \"https://a.b/c\": not a host pattern (a host, no path); use "
		"\"host.example\", \"*.example\", \"*\" or \"https://host.example:8443\""},
	    {"image = a network {\nsecret A { env = A } }",
		"t.conf:2: secret \"A\": no hosts; say which may receive it: hosts = "
		"{\"host.example\"}"},
	    {"image = a network { secret A { hosts = a.b } }",
		"t.conf:1: secret \"A\": give one source of its value: env = \"NAME\" or file = "
		"\"path\""},
	    {"image = a network { secret A { hosts = '*' env = A } }",
		"t.conf:1: hosts = \"*\": not a host pattern; use \"host.example\", "
		"\"host.example:8443\" or \"*.example\""},
	    {"image = a network { secret A { hosts = a.b env = A in = path } }",
		"t.conf:1: in = \"path\": unknown value; use a list of header, query and body"},
	    {"image = a network { secret '1' { hosts = a.b env = A } }",
		"t.conf:1: secret \"1\": not a variable's name; use letters, digits and _, no "
		"digit "
		"first"},
	    {"image = a network { tcp 'a.b' { to = 'c:1' } }",
		"t.conf:1: tcp \"a.b\": not an endpoint; use \"NAME:PORT\", such as "
		"\"db.example:5432\""},
	    {"image = a network { tcp 'a.b:1' { } }",
		"t.conf:1: tcp \"a.b:1\": no target; add to = \"HOST:PORT\""},
	    {"image = a network { tcp 'a.b:1' { to = 'c:1' }\ntcp 'A.B:1' { to = 'c:1' } }",
		"t.conf:2: network: tcp \"a.b:1\" twice; first on line 1"},
	    {"image = a network { dns-trusted-server = '192.0.2.1' }",
		"t.conf:1: network: dns-trusted-server needs dns = trusted"},
	    {"image = a network { dns = trusted dns-trusted-server = 'one.one' }",
		"t.conf:1: dns-trusted-server = \"one.one\": not a resolver's address; use "
		"\"192.0.2.1\", \"192.0.2.1:53\", \"2001:db8::1\" or \"[2001:db8::1]:53\""},
	    {"image = a network { proxy = 'http://u:p@a:1' }",
		"t.conf:1: proxy = \"http://u:p@a:1\": not a proxy; use \"http://HOST:PORT\""},
	    {"image = a ingress { }",
		"t.conf:1: ingress: no route; add route \"/\" { port = 8000 }"},
	    {"image = a ingress { route '/' { } }",
		"t.conf:1: route \"/\": no port; add port = 8000 (on the guest's loopback)"},
	    {"image = a ingress { listen = 'localhost:80' }",
		"t.conf:1: listen = \"localhost:80\": not an endpoint; use \"ADDRESS:PORT\", such "
		"as "
		"\"127.0.0.1:8080\" or \"[::1]:0\" (0 = any free port)"},
	    {"image = a ssh { allow = '*' }",
		"t.conf:1: allow = \"*\": not a host pattern; use \"host.example\", "
		"\"host.example:2222\" or \"*.example\""},
	};

	REFUSE_ALL(rows);
}

/* Text with a NUL, and lists and values over their caps. */
static void
sizes(void)
{
	static const char nul[] = "image = a\0b";
	char error[CONFIG_ERROR_SIZE];
	char *text = malloc(CONFIG_FILE_MAX + 1);
	struct config *c;
	size_t i, n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(config_parse(&c, "t", nul, sizeof(nul) - 1, error, sizeof(error)), -EINVAL);
	CU_ASSERT_STRING_EQUAL(error, "t:1: a control character (0x00); write it as \\x00");
	memset(text, ' ', CONFIG_FILE_MAX + 1);
	CU_ASSERT_EQUAL(
	    config_parse(&c, "t", text, CONFIG_FILE_MAX + 1, error, sizeof(error)), -EFBIG);
	CU_ASSERT_EQUAL(
	    config_parse(&c, "t", text, CONFIG_FILE_MAX, error, sizeof(error)), -EINVAL);
	n = (size_t)sprintf(text, "image = a\ncommand = {");
	for (i = 0; i <= CONFIG_WORDS_MAX; i++)
		n += (size_t)sprintf(text + n, "w,");
	sprintf(text + n, "}");
	refuse(text, "t.conf:2: command has too many values; use at most 1024");
	n = (size_t)sprintf(text, "image = a\ncommand = {");
	memset(text + n, 'w', CONFIG_VALUE_MAX + 1);
	sprintf(text + n + CONFIG_VALUE_MAX + 1, "}");
	CU_ASSERT_EQUAL(config_parse(&c, "t", text, strlen(text), error, sizeof(error)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "too long; use at most 65535 bytes"));
	text[n + 62000] = '}';
	text[n + 62001] = '\0';
	refuse(text, "t.conf:2: command and env are over 61440 bytes together");
	n = (size_t)sprintf(text, "image = a\n");
	for (i = 0; i < 65; i++)
		n += (size_t)sprintf(text + n, "mount '/%zu' { memory = 1M }\n", i);
	refuse(text, "t.conf:66: too many mount sections; use at most 64");
	n = 0;
	for (i = 0; i < 5000; i++)
		n += (size_t)sprintf(text + n, "a=a\n");
	refuse(text, "t.conf:4097: too many keys; at most 4096");
	free(text);
}

/* libConfuse's scanner keeps its state in globals: a refusal must leave none behind. */
static void
after_a_refusal(void)
{
	struct config *c;

	refuse("image = a mount '/a' { memory = 1M } mount \"/a\" { memory = \"x\" }",
	    "t.conf:1: found duplicate title '/a'");
	c = parse("image = \"second\"");
	CU_ASSERT_STRING_EQUAL(c->image, "second");
	CU_ASSERT_EQUAL(config_line(c, "image"), 1);
	config_free(c);
}

/* A machine has room for so many devices. */
static void
devices(void)
{
	char text[2048] = "image = a\nvm { mounts = virtiofs }\n";
	size_t used = strlen(text);
	struct config *c;
	int i;

	for (i = 0; i < 16; i++)
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, "mount \"/m%d\" { memory = \"1M\" }\n", i);
	c = parse(text);
	CU_ASSERT_EQUAL(config_mount_devices(c), 16);
	config_free(c);
	snprintf(text + used, sizeof(text) - used, "mount \"/n\" { memory = \"1M\" }\n");
	refuse(text,
	    "t.conf:2: mounts = virtiofs has room for 16 mounts, and there are 17; use auto "
	    "or relay");
	memcpy(strstr(text, "virtiofs"), "auto    ", strlen("virtiofs"));
	c = parse(text);
	CU_ASSERT_EQUAL(config_mount_devices(c), 0);
	config_free(c);
}

void
add_errors_suite(void)
{
	CU_pSuite suite = CU_add_suite("errors", NULL, NULL);

	CU_add_test(suite, "syntax", syntax);
	CU_add_test(suite, "escapes", escapes);
	CU_add_test(suite, "devices", devices);
	CU_add_test(suite, "keys", keys);
	CU_add_test(suite, "values", values);
	CU_add_test(suite, "mounts", mounts);
	CU_add_test(suite, "hosts", hosts);
	CU_add_test(suite, "network, ingress, ssh", network);
	CU_add_test(suite, "sizes", sizes);
	CU_add_test(suite, "after a refusal", after_a_refusal);
}
