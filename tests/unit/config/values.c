/* SPDX-License-Identifier: Apache-2.0 */
/* What a right configuration becomes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/config/config_test.h"

static const char whole[] = "# one untrusted agent turn\n"
			    "image   = \"debian\"   # tag, build id or directory\n"
			    "command = {\"/bin/sh\", \"-lc\", \"cd /workspace && make test\"}\n"
			    "timeout = 600\n"
			    "user    = \"root\"\n"
			    "cwd     = \"/workspace\"\n"
			    "env     = {\"CI=1\"}\n"
			    "vm {\n"
			    "  cpus = 2   memory = \"1G\"\n"
			    "  accel  = auto   /* kvm | tcg | auto */\n"
			    "  rootfs = cow\n"
			    "  start  = auto   boot-timeout = 120\n"
			    "}\n"
			    "network {\n"
			    "  allow = {\"api.github.com\", \"*.example.org\",\n"
			    "           \"https://mirror.example.net:8443\"}\n"
			    "  allow-internal = {\"litellm.corp.example\"}\n"
			    "  dns = synthetic\n"
			    "  websockets = true\n"
			    "  secret GITHUB_TOKEN { hosts = {\"api.github.com\"} "
			    "env = \"GITHUB_TOKEN\" }\n"
			    "  tcp \"pg.internal:5432\" { to = \"127.0.0.1:5432\" }\n"
			    "}\n"
			    "mount \"/workspace\" { host = \".\" hide = {\".env\", \".npmrc\"} "
			    "mode = rw }\n"
			    "mount \"/scratch\"   { memory = \"256M\" }\n"
			    "ingress { listen = \"127.0.0.1:0\" route \"/\" { port = 8000 } }\n"
			    "ssh     { allow = {\"github.com\"} "
			    "known-hosts = \"~/.ssh/known_hosts\" agent = true }\n"
			    "hooks   = \"policy.js\"\n"
			    "limits  { memory = \"1536M\" cpu = 2.0 pids = 256 }\n"
			    "audit   = \"turn.jsonl\"\n";

static void
whole_file_top(void)
{
	struct config *c;

	setenv("HOME", "/home/u", 1);
	c = parse(whole);
	CU_ASSERT_STRING_EQUAL(c->image, "debian");
	CU_ASSERT_EQUAL(c->command.n, 3);
	CU_ASSERT_STRING_EQUAL(c->command.v[2], "cd /workspace && make test");
	CU_ASSERT_PTR_NULL(c->command.v[3]);
	CU_ASSERT_EQUAL(c->timeout, 600);
	CU_ASSERT_STRING_EQUAL(c->cwd, "/workspace");
	CU_ASSERT_STRING_EQUAL(c->env.v[0], "CI=1");
	CU_ASSERT_EQUAL(c->vm.cpus, 2);
	CU_ASSERT_EQUAL(c->vm.memory, UINT64_C(1) << 30);
	CU_ASSERT_EQUAL(c->vm.rootfs, CONFIG_ROOTFS_COW);
	CU_ASSERT_EQUAL(c->vm.boot_timeout, 120);
	CU_ASSERT_EQUAL(c->limits.line, 28);
	CU_ASSERT_EQUAL(c->limits.memory, UINT64_C(1536) << 20);
	CU_ASSERT_DOUBLE_EQUAL(c->limits.cpu, 2.0, 1e-9);
	CU_ASSERT_EQUAL(c->limits.pids, 256);
	CU_ASSERT_FALSE(c->limits.required);
	CU_ASSERT_STRING_EQUAL(c->hooks, "policy.js");
	CU_ASSERT_STRING_EQUAL(c->audit, "turn.jsonl");
	config_free(c);
}

static void
whole_file_sections(void)
{
	struct config *c = parse(whole);
	const struct config_network *n = c->network;

	CU_ASSERT_PTR_NOT_NULL_FATAL(n);
	CU_ASSERT_EQUAL(n->line, 14);
	CU_ASSERT_EQUAL(n->allow.n, 3);
	CU_ASSERT_STRING_EQUAL(n->allow.v[1].host, "*.example.org");
	CU_ASSERT_STRING_EQUAL(n->allow.v[2].scheme, "https");
	CU_ASSERT_STRING_EQUAL(n->allow.v[2].host, "mirror.example.net");
	CU_ASSERT_EQUAL(n->allow.v[2].port, 8443);
	CU_ASSERT_EQUAL(n->allow.v[2].line, 16);
	CU_ASSERT_EQUAL(n->n_secrets, 1);
	CU_ASSERT_STRING_EQUAL(n->secrets[0].name, "GITHUB_TOKEN");
	CU_ASSERT_EQUAL(n->secrets[0].in, CONFIG_SECRET_HEADER);
	CU_ASSERT_EQUAL(n->secrets[0].line, 20);
	CU_ASSERT_EQUAL(n->n_tcp, 1);
	CU_ASSERT_STRING_EQUAL(n->tcp[0].from.host, "pg.internal");
	CU_ASSERT_EQUAL(n->tcp[0].to.port, 5432);
	CU_ASSERT_EQUAL(n->timeouts.idle, 300);
	CU_ASSERT_EQUAL(c->n_mounts, 2);
	CU_ASSERT_EQUAL(c->mounts[0].mode, CONFIG_MOUNT_RW);
	CU_ASSERT_EQUAL(c->mounts[0].hide.n, 2);
	CU_ASSERT_EQUAL(c->mounts[1].memory, UINT64_C(256) << 20);
	CU_ASSERT_EQUAL(c->mounts[1].mode, CONFIG_MOUNT_RW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->mounts[1].hide.v);
	CU_ASSERT_EQUAL(c->ingress->routes[0].port, 8000);
	CU_ASSERT_STRING_EQUAL(c->ingress->listen.host, "127.0.0.1");
	CU_ASSERT_STRING_EQUAL(c->ssh->known_hosts, "/home/u/.ssh/known_hosts");
	CU_ASSERT_TRUE(c->ssh->agent);
	config_free(c);
}

static void
defaults(void)
{
	struct config *c = parse("image = mini");

	CU_ASSERT_EQUAL(c->command.n, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->command.v);
	CU_ASSERT_PTR_NULL(c->command.v[0]);
	CU_ASSERT_EQUAL(c->timeout, 0);
	CU_ASSERT_STRING_EQUAL(c->user, "root");
	CU_ASSERT_PTR_NULL(c->cwd);
	CU_ASSERT_PTR_NULL(c->id);
	CU_ASSERT_PTR_NULL(c->network);
	CU_ASSERT_PTR_NULL(c->ingress);
	CU_ASSERT_PTR_NULL(c->ssh);
	CU_ASSERT_EQUAL(c->n_mounts, 0);
	CU_ASSERT_EQUAL(c->vm.cpus, 1);
	CU_ASSERT_EQUAL(c->vm.memory, UINT64_C(512) << 20);
	CU_ASSERT_EQUAL(c->limits.line, 0);
	CU_ASSERT_EQUAL(c->uids.first, 1879048192);
	CU_ASSERT_EQUAL(c->uids.last, 1879113727);
	config_free(c);
	c = parse("image = mini network { timeouts { idle = 5 } budget { requests = 10 } }");
	CU_ASSERT_EQUAL(c->network->timeouts.idle, 5);
	CU_ASSERT_EQUAL(c->network->timeouts.connect, 10);
	CU_ASSERT_EQUAL(c->network->budget.requests, 10);
	CU_ASSERT_EQUAL(c->network->host_budget.requests, 0);
	CU_ASSERT_TRUE(c->network->websockets);
	config_free(c);
}

static void
other_spellings(void)
{
	struct config *c;

	setenv("SECRET_OF_THE_HOST", "leaked", 1);
	c = parse("image = 'mini'\r\ncommand = {sh, -c, \"echo ${SECRET_OF_THE_HOST}\",\r\n"
		  " 'a\\'b${SECRET_OF_THE_HOST}\\n', \"a|b\", \"\\x41\\102\\n\", }\r\n"
		  "env = \"A=${SECRET_OF_THE_HOST}\" // one value needs no braces\n"
		  "network { secret A { hosts = a.example file = \"/k\" in = {query, body} } }\n"
		  "limits { required = true cpu = 0.5 }\n");
	CU_ASSERT_STRING_EQUAL(c->command.v[2], "echo ${SECRET_OF_THE_HOST}");
	CU_ASSERT_STRING_EQUAL(c->command.v[3], "a'b${SECRET_OF_THE_HOST}\\n");
	CU_ASSERT_STRING_EQUAL(c->command.v[4], "a|b");
	CU_ASSERT_STRING_EQUAL(c->command.v[5], "AB\n");
	CU_ASSERT_EQUAL(c->command.n, 6);
	CU_ASSERT_STRING_EQUAL(c->env.v[0], "A=${SECRET_OF_THE_HOST}");
	CU_ASSERT_EQUAL(c->network->secrets[0].in, CONFIG_SECRET_QUERY | CONFIG_SECRET_BODY);
	CU_ASSERT_DOUBLE_EQUAL(c->limits.cpu, 0.5, 1e-9);
	CU_ASSERT_TRUE(c->limits.required);
	config_free(c);
}

static void
host_patterns(void)
{
	static const struct {
		const char *text, *scheme, *host;
		uint16_t port;
	} rows[] = {
	    {"*", "", "*", 0},
	    {"API.Example.ORG", "", "api.example.org", 0},
	    {"http://a.example", "http", "a.example", 0},
	    {"a.example:1", "", "a.example", 1},
	    {"https://*.a.example:443", "https", "*.a.example", 443},
	    {"192.0.2.1", "", "192.0.2.1", 0},
	    {"[2001:DB8::1]:80", "", "2001:db8::1", 80},
	    {"_dmarc.a.example", "", "_dmarc.a.example", 0},
	    {"localhost", "", "localhost", 0},
	};
	char text[256];
	struct config *c;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "image = a network { allow = \"%s\" }", rows[i].text);
		c = parse(text);
		CU_ASSERT_STRING_EQUAL(c->network->allow.v[0].text, rows[i].text);
		CU_ASSERT_STRING_EQUAL(c->network->allow.v[0].scheme, rows[i].scheme);
		CU_ASSERT_STRING_EQUAL(c->network->allow.v[0].host, rows[i].host);
		CU_ASSERT_EQUAL(c->network->allow.v[0].port, rows[i].port);
		config_free(c);
	}
}

static void
lines(void)
{
	struct config *c = parse("image = a\n/* one\n two */ vm {\n memory = \"1G\" /* x */\n"
				 " cpus =\n 3\n}\nnetwork { secret B {\n hosts = b.example\n"
				 " env = B } }\nmount '/a' { memory = 1M }\nmount '/b' {\n"
				 "memory = 1M }\n");

	CU_ASSERT_EQUAL(config_line(c, "image"), 1);
	CU_ASSERT_EQUAL(config_line(c, "vm"), 3);
	CU_ASSERT_EQUAL(config_line(c, "vm.memory"), 4);
	CU_ASSERT_EQUAL(config_line(c, "memory"), 0);
	CU_ASSERT_EQUAL(config_line(c, "vm.cpus"), 5);
	CU_ASSERT_EQUAL(config_line(c, "network.secret.hosts"), 9);
	CU_ASSERT_EQUAL(config_line(c, "network.secret"), 8);
	CU_ASSERT_EQUAL(config_line(c, "mount"), 11);
	CU_ASSERT_EQUAL(config_line(c, "audit"), 0);
	CU_ASSERT_EQUAL(config_line(c, ""), 0);
	CU_ASSERT_EQUAL(config_line(c, "."), 0);
	CU_ASSERT_EQUAL(c->mounts[1].line, 12);
	config_free(c);
}

static void
unsupported(void)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
	    {"image = a vm { start = cold }", NULL},
	    {"image = a limits { pids = 64 } audit = x", NULL},
	    {"image = a\nnetwork { }\nhooks = x",
		"t.conf:3: hooks: not supported yet; leave it out"},
	    {"image = a\nnetwork { }", NULL},
	    {"image = a mount '/a' { host = '.' }", NULL},
	    {"image = a ingress { route '/' { port = 1 } }",
		"t.conf:1: ingress: not supported yet; leave it out"},
	    {"image = a ssh { }", "t.conf:1: ssh: not supported yet; leave it out"},
	    {"image = a vm {\nstart = warm }",
		"t.conf:2: start = warm: not supported yet; leave it out"},
	};
	char error[CONFIG_ERROR_SIZE];
	struct config *c;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = parse(rows[i].text);
		error[0] = '\0';
		CU_ASSERT_EQUAL(config_unsupported(c, error, sizeof(error)),
		    rows[i].error != NULL ? -EOPNOTSUPP : 0);
		CU_ASSERT_STRING_EQUAL(error, rows[i].error != NULL ? rows[i].error : "");
		config_free(c);
	}
}

/* Any readable file will do: /dev/fd/N of a memory file, and of a pipe. */
static void
load(void)
{
	char error[CONFIG_ERROR_SIZE] = "", path[64];
	int fds[2], memory = memfd_create("config", MFD_CLOEXEC);
	struct config *c = NULL;

	CU_ASSERT_FATAL(memory >= 0 && pipe(fds) == 0);
	CU_ASSERT_EQUAL(write(memory, "image = a\n", 10), 10);
	CU_ASSERT_EQUAL(lseek(memory, 0, SEEK_SET), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", memory);
	CU_ASSERT_EQUAL(config_load(&c, path, error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(c->name, path);
	config_free(c);
	CU_ASSERT_EQUAL(write(fds[1], "image = b\n", 10), 10);
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	CU_ASSERT_EQUAL(config_load(&c, path, error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(c->image, "b");
	config_free(c);
	CU_ASSERT_EQUAL(ftruncate(memory, CONFIG_FILE_MAX + 1), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	CU_ASSERT_EQUAL(config_load(&c, path, error, sizeof(error)), -EFBIG);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_EQUAL(config_load(&c, "/nonexistent", error, sizeof(error)), -ENOENT);
	CU_ASSERT_STRING_EQUAL(error, "/nonexistent: No such file or directory");
	CU_ASSERT_EQUAL(config_load(&c, "/", error, sizeof(error)), -EISDIR);
	close(memory);
	close(fds[0]);
	config_free(NULL);
}

void
add_values_suite(void)
{
	CU_pSuite suite = CU_add_suite("values", NULL, NULL);

	CU_add_test(suite, "the design's example: keys", whole_file_top);
	CU_add_test(suite, "the design's example: sections", whole_file_sections);
	CU_add_test(suite, "defaults", defaults);
	CU_add_test(suite, "other spellings", other_spellings);
	CU_add_test(suite, "host patterns", host_patterns);
	CU_add_test(suite, "lines", lines);
	CU_add_test(suite, "unsupported", unsupported);
	CU_add_test(suite, "files", load);
}
