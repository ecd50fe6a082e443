/* SPDX-License-Identifier: Apache-2.0 */
/* policy check: asks the judge of egress what it would say, with the configuration alone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/policy_url.h"
#include "egress/request.h"
#include "ipc/json.h"
#include "ipc/log.h"
#include "supervisor/network_policy.h"

#define IMAGE "mini" /* a configuration has to name one; none is looked for */

struct check {
	struct config *config;
	struct network_policy policy;
	struct policy_url url;
	const char *word; /* the URL as given */
	/* The verdict. */
	const struct policy_pattern *pattern, *internal; /* NULL: none */
	const struct config_tcp *tcp;                    /* instead of pattern */
	struct refusal refusal;
	bool allowed;
};

/* ---- Judging ---- */

static struct span
span_of(const char *s)
{
	return (struct span){s, strlen(s)};
}

static void
judge_tcp(struct check *c)
{
	const struct config_network *n = c->config->network;
	size_t i;

	for (i = 0; i < n->n_tcp; i++)
		if (strcmp(n->tcp[i].from.host, c->url.host) == 0 &&
		    n->tcp[i].from.port == c->url.port) {
			c->tcp = &n->tcp[i];
			c->allowed = true;
			return;
		}
	refuse(&c->refusal, CAUSE_DENIED, "not-mapped", "no tcp section maps %s:%u", c->url.host,
	    c->url.port);
}

/* An address is judged like one that a name led to. */
static void
judge_address(struct check *c)
{
	static const struct address_locals none = {.known = true};
	struct address a;
	const char *why;

	if (!address_parse(c->url.host, &a))
		return;
	why = address_refusal(&none, &a, c->internal != NULL);
	if (why == NULL)
		return;
	c->allowed = false;
	refuse(&c->refusal, CAUSE_DENIED, "internal-address",
	    "%s (%s), and allow-internal does not name it", c->url.host, why);
}

/* A request as a client in the guest would make it: all names are the URL's. */
static void
judge_request(struct check *c)
{
	const struct request_rules rules = {
	    .allow = &c->policy.allow,
	    .websockets = c->config->network->websockets,
	};
	struct request q = {
	    .https = c->url.kind == POLICY_URL_HTTPS,
	    .host = span_of(c->url.host),
	    .port = c->url.port,
	    .destination = span_of(c->url.host),
	    .destination_port = c->url.port,
	    .method = span_of("GET"),
	    .path = span_of(c->url.path),
	    .upgrade = c->url.websocket,
	    .end = true,
	    .body = span_of(""),
	};

	q.sni = span_of(
	    q.https && policy_host_kind(c->url.host, strlen(c->url.host)) == POLICY_HOST_NAME
		? c->url.host
		: "");
	c->pattern = request_judge(&rules, &q, &c->refusal);
	c->allowed = c->pattern != NULL;
	c->internal = policy_names(&c->policy.internal, c->url.host);
	if (c->allowed)
		judge_address(c);
}

static void
judge(struct check *c)
{
	c->pattern = c->internal = NULL;
	c->tcp = NULL;
	c->allowed = false;
	if (c->config->network == NULL)
		refuse(&c->refusal, CAUSE_DENIED, "no-network",
		    "no network section, so the guest has no network");
	else if (c->url.kind == POLICY_URL_TCP)
		judge_tcp(c);
	else
		judge_request(c);
}

/* Whether secret i may be put into this request. */
static bool
may_carry(const struct check *c, size_t i)
{
	const struct config_secret *s = &c->config->network->secrets[i];
	const bool https = c->url.kind == POLICY_URL_HTTPS;
	const struct policy *hosts = &c->policy.secret_hosts[i];

	if (!c->allowed || c->tcp != NULL || (!https && !s->plain_http))
		return false;
	return policy_match(hosts, https ? POLICY_HTTPS : POLICY_HTTP, c->url.host, c->url.port) !=
	       NULL;
}

/* ---- Saying ---- */

static void
print_place(const struct check *c, const char *key, const char *text, unsigned line)
{
	printf("%s \"%s\"", key, text);
	if (line > 0)
		printf(" (%s:%u)", c->config->name, line);
	else
		printf(" (command line)");
}

static void
print_text(const struct check *c)
{
	size_t i;

	printf("%s %s: ", c->allowed ? "allowed" : "refused", c->word);
	if (!c->allowed) {
		printf("%s: %s\n", c->refusal.rule, c->refusal.text);
		return;
	}
	if (c->tcp != NULL) {
		printf("tcp, to %s:%u\n", c->tcp->to.host, c->tcp->to.port);
		return;
	}
	print_place(c, "allow", c->pattern->text, c->pattern->line);
	if (c->internal != NULL) {
		printf(", also at a private address: ");
		print_place(c, "allow-internal", c->internal->text, c->internal->line);
	}
	for (i = 0; i < c->policy.n_secrets; i++)
		if (may_carry(c, i))
			printf(", with secret %s", c->config->network->secrets[i].name);
	putchar('\n');
}

static void
put_pattern(struct json_writer *w, const char *name, const struct policy_pattern *p)
{
	if (p == NULL)
		return;
	json_key(w, name);
	json_open(w, '{');
	json_member_string(w, "pattern", p->text);
	if (p->line > 0)
		json_member_integer(w, "line", p->line);
	json_close(w, '}');
}

static void
put_json(const struct check *c, struct json_writer *w)
{
	size_t i;

	json_open(w, '{');
	json_member_string(w, "url", c->word);
	json_member_bool(w, "allowed", c->allowed);
	if (!c->allowed) {
		json_member_string(w, "rule", c->refusal.rule);
		json_member_string(w, "reason", c->refusal.text);
	} else {
		json_member_string(w, "host", c->url.host);
		json_member_integer(w, "port", c->url.port);
		put_pattern(w, "allow", c->pattern);
		put_pattern(w, "allow_internal", c->internal);
		if (c->tcp != NULL) {
			json_member_string(w, "to", c->tcp->to.host);
			json_member_integer(w, "to_port", c->tcp->to.port);
		}
		json_key(w, "secrets");
		json_open(w, '[');
		for (i = 0; i < c->policy.n_secrets; i++)
			if (may_carry(c, i))
				json_put_string(w, c->config->network->secrets[i].name);
		json_close(w, ']');
	}
	json_close(w, '}');
}

/* ---- The command ---- */

/* --config and what the options add to it.  Returns 0, or -errno with a line in error. */
static int
load(struct check *c, struct options *o, char *error, size_t size)
{
	const char *path = options_last(o, OPT_CONFIG);
	char *text = options_config(o, path == NULL ? IMAGE : NULL);
	int rc = 0;

	if (text == NULL) {
		snprintf(error, size, "%s", o->error);
		return -EINVAL;
	}
	if (path != NULL)
		rc = config_load(&c->config, path, error, size);
	if (rc == 0)
		rc = config_add(&c->config, CONFIG_OPTIONS_NAME, text, strlen(text), error, size);
	free(text);
	if (rc == 0 && c->config->network != NULL)
		rc = network_policy_build(&c->policy, c->config, error, size);
	return rc;
}

/* Returns the exit code. */
static int
check_all(const struct command *command, struct check *c, char **urls, bool json)
{
	struct json_writer w;
	const char *why;
	int code = 0;

	json_writer_init(&w);
	json_open(&w, '[');
	for (; *urls != NULL && code != EXIT_USAGE; urls++) {
		c->word = *urls;
		why = policy_url_parse(&c->url, *urls);
		if (why != NULL) {
			code = command_misused(command, "%.200s: %s", *urls, why);
			break;
		}
		judge(c);
		if (!c->allowed)
			code = EXIT_FAILED;
		if (json)
			put_json(c, &w);
		else
			print_text(c);
	}
	json_close(&w, ']');
	if (json && code != EXIT_USAGE)
		printf("%s\n", w.text);
	json_writer_clear(&w);
	return code;
}

int
command_policy(const struct command *command, char **words)
{
	char error[CONFIG_ERROR_SIZE];
	struct check c = {.config = NULL};
	struct options o;
	int code;

	if (words[0] != NULL && strcmp(words[0], "check") == 0)
		words++;
	else if (words[0] == NULL || words[0][0] != '-')
		return command_misused(command, "takes the word check, and URLs");
	if (command_options(command, &o, words, &code))
		return code;
	if (o.n_rest == 0) {
		code = command_misused(command, "a URL is missing, as in: https://host.example/");
	} else if (load(&c, &o, error, sizeof(error)) < 0) {
		log_line("gondolin: %s", error);
		code = EXIT_USAGE;
	} else {
		code = check_all(command, &c, o.rest, options_has(&o, OPT_JSON));
	}
	options_clear(&o);
	network_policy_clear(&c.policy);
	config_free(c.config);
	return code;
}
