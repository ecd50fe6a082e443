/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the grammar.  sandbox.conf(5) explains each key; a row here belongs there too. */
#include "supervisor/config_grammar.h"

#include <string.h>

#include "ipc/mount_frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Rows: one value; a list of structs or strings; a list of names that add up to bits. */
#define ONE(key, type, field, reader, argument)                     \
	{                                                           \
		.name = (key), .read = (reader), .arg = (argument), \
		.offset = offsetof(type, field),                    \
	}
#define LIST(key, type, field, of, reader, argument)                                  \
	{                                                                             \
		.name = (key), .read = (reader), .arg = (argument),                   \
		.offset = offsetof(type, field), .list = true, .element = sizeof(of), \
	}
#define BITS(key, type, field, reader, argument)                    \
	{                                                           \
		.name = (key), .read = (reader), .arg = (argument), \
		.offset = offsetof(type, field), .list = true,      \
	}

#define ANY_SIZE (double)(UINT64_C(1) << 50)

static const struct config_range any_size = {1, ANY_SIZE, "1K to 1024T"};
static const struct config_range any_count = {1, 4e9, "a number from 1 to 4000000000"};
static const struct config_range seconds = {1, 86400, "seconds from 1 to 86400"};
static const struct config_range port = {1, 65535, "a port from 1 to 65535"};

/* ---- vm ---- */

static const struct config_range cpus = {1, CONFIG_CPUS_MAX, "a number from 1 to 64"};
static const struct config_range guest_memory = {
    (double)CONFIG_MEMORY_MIN, (double)CONFIG_MEMORY_MAX, "\"64M\" to \"1T\""};
static const struct config_names accels = {{"auto", "kvm", "tcg"}, "auto, kvm or tcg"};
static const struct config_names rootfs = {
    {"cow", "readonly", "memory"}, "cow, readonly or memory"};
static const struct config_names starts = {{"auto", "cold", "warm"}, "auto, cold or warm"};

static const struct config_names mount_ways = {
    {"auto", "virtiofs", "relay"}, "auto, virtiofs or relay"};

#define VM(key, field, reader, argument) ONE(key, struct config_vm, field, reader, argument)
static const struct config_key_spec vm_keys[] = {
    VM("cpus", cpus, config_read_unsigned, &cpus),
    VM("memory", memory, config_read_size, &guest_memory),
    VM("accel", accel, config_read_enum, &accels),
    VM("rootfs", rootfs, config_read_enum, &rootfs),
    VM("start", start, config_read_enum, &starts),
    VM("mounts", mounts, config_read_enum, &mount_ways),
    VM("boot-timeout", boot_timeout, config_read_unsigned, &seconds),
};
static const struct config_vm vm_defaults = {.cpus = 1, .memory = UINT64_C(512) << 20};

static const char *
check_vm(struct config_reader *r, void *section)
{
	const struct config_vm *vm = section;

	(void)r;
	return vm->memory % (UINT64_C(1) << 20) != 0 ? "memory is not in whole megabytes" : NULL;
}

/* ---- network ---- */

static const struct config_host_rule allow = {CONFIG_HOST_SCHEME | CONFIG_HOST_ANY |
						  CONFIG_HOST_WILD | CONFIG_HOST_ADDRESS |
						  CONFIG_HOST_PORT,
    "\"host.example\", \"*.example\", \"*\" or \"https://host.example:8443\""};
static const struct config_host_rule internal = {
    CONFIG_HOST_WILD | CONFIG_HOST_ADDRESS, "\"host.example\" or \"*.example\""};
static const struct config_host_rule secret_hosts = {
    CONFIG_HOST_WILD | CONFIG_HOST_ADDRESS | CONFIG_HOST_PORT,
    "\"host.example\", \"host.example:8443\" or \"*.example\""};
static const struct config_endpoint_rule tcp_name = {
    true, 1, "\"NAME:PORT\", such as \"db.example:5432\""};
static const struct config_endpoint_rule tcp_target = {
    true, 1, "\"HOST:PORT\", such as \"127.0.0.1:5432\""};
static const struct config_names dns = {
    {"synthetic", "trusted", "open"}, "synthetic, trusted or open"};
static const struct config_names secret_in = {
    {"header", "query", "body"}, "a list of header, query and body"};

#define SECRET(key, field, reader) ONE(key, struct config_secret, field, reader, NULL)
static const struct config_key_spec secret_keys[] = {
    LIST("hosts", struct config_secret, hosts, struct config_host, config_read_host, &secret_hosts),
    SECRET("env", env, config_read_env_name),
    SECRET("file", file, config_read_path),
    BITS("in", struct config_secret, in, config_read_mask, &secret_in),
    SECRET("http", plain_http, config_read_bool),
};
static const struct config_secret secret_defaults = {.in = CONFIG_SECRET_HEADER};

static const char *
check_secret(struct config_reader *r, void *section)
{
	const struct config_secret *s = section;

	(void)r;
	if (s->hosts.n == 0)
		return "no hosts; say which may receive it: hosts = {\"host.example\"}";
	if ((s->env == NULL) == (s->file == NULL))
		return "give one source of its value: env = \"NAME\" or file = \"path\"";
	return NULL;
}

static const struct config_key_spec tcp_keys[] = {
    ONE("to", struct config_tcp, to, config_read_endpoint, &tcp_target),
};

static const char *
check_tcp(struct config_reader *r, void *section)
{
	const struct config_tcp *t = section;

	(void)r;
	return t->to.host == NULL ? "no target; add to = \"HOST:PORT\"" : NULL;
}

#define BUDGET(key, field, reader, argument) ONE(key, struct config_budget, field, reader, argument)
static const struct config_key_spec budget_keys[] = {
    BUDGET("connections", connections, config_read_unsigned, &any_count),
    BUDGET("requests", requests, config_read_unsigned, &any_count),
    BUDGET("bytes-in", bytes_in, config_read_size, &any_size),
    BUDGET("bytes-out", bytes_out, config_read_size, &any_size),
};

#define TIMEOUT(key, field) ONE(key, struct config_timeouts, field, config_read_unsigned, &seconds)
static const struct config_key_spec timeout_keys[] = {
    TIMEOUT("connect", connect),
    TIMEOUT("handshake", handshake),
    TIMEOUT("request", request),
    TIMEOUT("response", response),
    TIMEOUT("idle", idle),
};
/* A cold client in an emulated guest takes its time over the first handshake: 16 s were seen. */
static const struct config_timeouts timeout_defaults = {
    .connect = 10, .handshake = 30, .request = 30, .response = 300, .idle = 300};

#define NETWORK(key, field, reader, argument) \
	ONE(key, struct config_network, field, reader, argument)
static const struct config_key_spec network_keys[] = {
    LIST("allow", struct config_network, allow, struct config_host, config_read_host, &allow),
    LIST("allow-internal", struct config_network, allow_internal, struct config_host,
	config_read_host, &internal),
    NETWORK("dns", dns, config_read_enum, &dns),
    LIST("dns-trusted-server", struct config_network, dns_trusted_server, char *,
	config_read_server, NULL),
    NETWORK("websockets", websockets, config_read_bool, NULL),
    NETWORK("proxy", proxy, config_read_proxy, NULL),
    NETWORK("ca-bundle", ca_bundle, config_read_path, NULL),
    NETWORK("hosts-file", hosts_file, config_read_path, NULL),
};
static const struct config_network network_defaults = {.websockets = true};

static const struct config_section_spec network_sections[] = {
    {
	.name = "secret",
	.presence = CONFIG_MANY,
	.offset = offsetof(struct config_network, secrets),
	.count_offset = offsetof(struct config_network, n_secrets),
	.size = sizeof(struct config_secret),
	.defaults = &secret_defaults,
	.line_offset = offsetof(struct config_secret, line),
	.title = config_read_env_name,
	.title_offset = offsetof(struct config_secret, name),
	.keys = secret_keys,
	.n_keys = COUNT(secret_keys),
	.check = check_secret,
    },
    {
	.name = "tcp",
	.presence = CONFIG_MANY,
	.offset = offsetof(struct config_network, tcp),
	.count_offset = offsetof(struct config_network, n_tcp),
	.size = sizeof(struct config_tcp),
	.line_offset = offsetof(struct config_tcp, line),
	.title = config_read_endpoint,
	.title_arg = &tcp_name,
	.title_offset = offsetof(struct config_tcp, from),
	.keys = tcp_keys,
	.n_keys = COUNT(tcp_keys),
	.check = check_tcp,
    },
    {
	.name = "budget",
	.presence = CONFIG_INSIDE,
	.offset = offsetof(struct config_network, budget),
	.size = sizeof(struct config_budget),
	.line_offset = CONFIG_NO_FIELD,
	.keys = budget_keys,
	.n_keys = COUNT(budget_keys),
    },
    {
	.name = "host-budget",
	.presence = CONFIG_INSIDE,
	.offset = offsetof(struct config_network, host_budget),
	.size = sizeof(struct config_budget),
	.line_offset = CONFIG_NO_FIELD,
	.keys = budget_keys,
	.n_keys = COUNT(budget_keys),
    },
    {
	.name = "timeouts",
	.presence = CONFIG_INSIDE,
	.offset = offsetof(struct config_network, timeouts),
	.size = sizeof(struct config_timeouts),
	.defaults = &timeout_defaults,
	.line_offset = CONFIG_NO_FIELD,
	.keys = timeout_keys,
	.n_keys = COUNT(timeout_keys),
    },
};

/*
 * A title that two sections of an array have, or NULL.  libConfuse refuses that in one text, and
 * does not see what a second text adds to a first one.
 */
static const char *
repeated_title(const void *sections, size_t n, size_t size, size_t title_offset)
{
	const char *a, *b;
	size_t i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++) {
			memcpy(&a, (const char *)sections + i * size + title_offset, sizeof(a));
			memcpy(&b, (const char *)sections + j * size + title_offset, sizeof(b));
			if (strcmp(a, b) == 0)
				return a;
		}
	return NULL;
}

static const char *
check_network(struct config_reader *r, void *section)
{
	const struct config_network *n = section;
	const char *title;
	size_t i, j;

	if (n->dns_trusted_server.n > 0 && n->dns != CONFIG_DNS_TRUSTED)
		return "dns-trusted-server needs dns = trusted";
	if (n->dns_trusted_server.n > 8)
		return "dns-trusted-server has too many values; use at most 8";
	for (i = 0; i < n->n_tcp; i++)
		for (j = 0; j < i; j++)
			if (n->tcp[i].from.port == n->tcp[j].from.port &&
			    strcmp(n->tcp[i].from.host, n->tcp[j].from.host) == 0) {
				r->line = n->tcp[i].line;
				return config_why(r, "tcp \"%s:%u\" twice; first on line %u",
				    n->tcp[i].from.host, n->tcp[i].from.port, n->tcp[j].line);
			}
	title = repeated_title(
	    n->secrets, n->n_secrets, sizeof(*n->secrets), offsetof(struct config_secret, name));
	return title != NULL ? config_why(r, "secret \"%s\" is given twice", title) : NULL;
}

/* ---- mount ---- */

/* Told from the modes that can be written, because the default depends on the kind of mount. */
#define MODE_UNSAID ((enum config_mount_mode)3)

static const struct config_names modes = {{"ro", "rw", "cow"}, "ro, rw or cow"};
static const struct config_names hide_modes = {{"deny", "scratch"}, "deny or scratch"};
static const struct config_names owners = {{"squash", "keep"}, "squash or keep"};

#define MOUNT(key, field, reader, argument) ONE(key, struct config_mount, field, reader, argument)
static const struct config_key_spec mount_keys[] = {
    MOUNT("host", host, config_read_path, NULL),
    MOUNT("memory", memory, config_read_size, &any_size),
    MOUNT("mode", mode, config_read_enum, &modes),
    LIST("hide", struct config_mount, hide, char *, config_read_pattern, NULL),
    MOUNT("hide-mode", hide_mode, config_read_enum, &hide_modes),
    MOUNT("owner", owner, config_read_enum, &owners),
    MOUNT("user", user, config_read_user, NULL),
    MOUNT("trace", trace, config_read_bool, NULL),
    MOUNT("max-bytes", max_bytes, config_read_size, &any_size),
    MOUNT("max-inodes", max_inodes, config_read_count, &any_count),
    MOUNT("max-open", max_open, config_read_unsigned, &any_count),
    MOUNT("max-requests", max_requests, config_read_unsigned, &any_count),
};
static const struct config_mount mount_defaults = {
    .mode = MODE_UNSAID, .max_open = 4096, .max_requests = 256};

/* Where the guest cannot boot with a mount; below the first two nothing can be made. */
static bool
is_kernels(const char *path)
{
	return strcmp(path, "/dev") == 0 || strcmp(path, "/proc") == 0 ||
	       strcmp(path, "/sys") == 0 || strncmp(path, "/proc/", 6) == 0 ||
	       strncmp(path, "/sys/", 5) == 0;
}

static const char *
check_mount(struct config_reader *r, void *section)
{
	struct config_mount *m = section;

	(void)r;
	if (strcmp(m->path, "/") == 0)
		return "the root is the image's; use a directory below it";
	if (is_kernels(m->path))
		return "that is the guest's kernel's; use another directory";
	if ((m->host == NULL) == (m->memory == 0))
		return "give one source: host = \"directory\" or memory = \"256M\"";
	if (m->memory != 0 && m->mode != MODE_UNSAID && m->mode != CONFIG_MOUNT_RW)
		return "a mount in memory is rw; leave mode out";
	if (m->memory != 0 && (m->hide.n > 0 || m->user != NULL || m->max_bytes != 0))
		return "hide, user and max-bytes are for a mount with host";
	if (m->mode == MODE_UNSAID)
		m->mode = m->memory != 0 ? CONFIG_MOUNT_RW : CONFIG_MOUNT_RO;
	return NULL;
}

/* ---- ingress, ssh, limits ---- */

static const struct config_endpoint_rule listen_rule = {
    false, 0, "\"ADDRESS:PORT\", such as \"127.0.0.1:8080\" or \"[::1]:0\" (0 = any free port)"};

static const struct config_key_spec route_keys[] = {
    ONE("port", struct config_route, port, config_read_port, &port),
};

static const char *
check_route(struct config_reader *r, void *section)
{
	const struct config_route *route = section;

	(void)r;
	return route->port == 0 ? "no port; add port = 8000 (on the guest's loopback)" : NULL;
}

static const struct config_key_spec ingress_keys[] = {
    ONE("listen", struct config_ingress, listen, config_read_endpoint, &listen_rule),
};

static const struct config_section_spec ingress_sections[] = {{
    .name = "route",
    .presence = CONFIG_MANY,
    .offset = offsetof(struct config_ingress, routes),
    .count_offset = offsetof(struct config_ingress, n_routes),
    .size = sizeof(struct config_route),
    .line_offset = offsetof(struct config_route, line),
    .title = config_read_directory,
    .title_offset = offsetof(struct config_route, prefix),
    .keys = route_keys,
    .n_keys = COUNT(route_keys),
    .check = check_route,
}};

static const char *
check_ingress(struct config_reader *r, void *section)
{
	struct config_ingress *i = section;
	const char *title = repeated_title(
	    i->routes, i->n_routes, sizeof(*i->routes), offsetof(struct config_route, prefix));

	if (title != NULL)
		return config_why(r, "route \"%s\" is given twice", title);
	if (i->listen.host == NULL)
		i->listen.host = config_strndup(r->config, "127.0.0.1", 9);
	return i->n_routes == 0 ? "no route; add route \"/\" { port = 8000 }" : NULL;
}

static const struct config_host_rule ssh_hosts = {
    CONFIG_HOST_WILD | CONFIG_HOST_ADDRESS | CONFIG_HOST_PORT,
    "\"host.example\", \"host.example:2222\" or \"*.example\""};
static const struct config_key_spec ssh_keys[] = {
    LIST("allow", struct config_ssh, allow, struct config_host, config_read_host, &ssh_hosts),
    ONE("known-hosts", struct config_ssh, known_hosts, config_read_path, NULL),
    ONE("agent", struct config_ssh, agent, config_read_bool, NULL),
    LIST("keys", struct config_ssh, keys, char *, config_read_path, NULL),
};

static const struct config_range cores = {0.01, 1024, "cores from 0.01 to 1024, such as 2.0"};
static const struct config_range pids = {16, 4194304, "a number from 16 to 4194304"};

#define LIMIT(key, field, reader, argument) ONE(key, struct config_limits, field, reader, argument)
static const struct config_key_spec limit_keys[] = {
    LIMIT("memory", memory, config_read_size, &guest_memory),
    LIMIT("cpu", cpu, config_read_double, &cores),
    LIMIT("pids", pids, config_read_unsigned, &pids),
    LIMIT("required", required, config_read_bool, NULL),
};

/* ---- the file ---- */

static const struct config_range timeout = {
    0, CONFIG_TIMEOUT_MAX, "seconds from 0 (none) to 4000000"};

#define TOP(key, field, reader, argument) ONE(key, struct config, field, reader, argument)
static const struct config_key_spec top_keys[] = {
    TOP("image", image, config_read_text, NULL),
    LIST("command", struct config, command, char *, config_read_word, NULL),
    TOP("timeout", timeout, config_read_unsigned, &timeout),
    TOP("user", user, config_read_user, NULL),
    TOP("cwd", cwd, config_read_directory, NULL),
    LIST("env", struct config, env, char *, config_read_env, NULL),
    TOP("tty", tty, config_read_bool, NULL),
    TOP("id", id, config_read_id, NULL),
    TOP("label", label, config_read_label, NULL),
    TOP("hooks", hooks, config_read_path, NULL),
    TOP("audit", audit, config_read_path, NULL),
    TOP("uid-range", uids, config_read_uids, NULL),
};

static const struct config_section_spec top_sections[] = {
    {
	.name = "vm",
	.presence = CONFIG_INSIDE,
	.offset = offsetof(struct config, vm),
	.size = sizeof(struct config_vm),
	.defaults = &vm_defaults,
	.line_offset = CONFIG_NO_FIELD,
	.keys = vm_keys,
	.n_keys = COUNT(vm_keys),
	.check = check_vm,
    },
    {
	.name = "network",
	.presence = CONFIG_OPTIONAL,
	.offset = offsetof(struct config, network),
	.size = sizeof(struct config_network),
	.defaults = &network_defaults,
	.line_offset = offsetof(struct config_network, line),
	.keys = network_keys,
	.n_keys = COUNT(network_keys),
	.sections = network_sections,
	.n_sections = COUNT(network_sections),
	.check = check_network,
    },
    {
	.name = "mount",
	.presence = CONFIG_MANY,
	.offset = offsetof(struct config, mounts),
	.count_offset = offsetof(struct config, n_mounts),
	.size = sizeof(struct config_mount),
	.defaults = &mount_defaults,
	.line_offset = offsetof(struct config_mount, line),
	.title = config_read_directory,
	.title_offset = offsetof(struct config_mount, path),
	.keys = mount_keys,
	.n_keys = COUNT(mount_keys),
	.check = check_mount,
    },
    {
	.name = "ingress",
	.presence = CONFIG_OPTIONAL,
	.offset = offsetof(struct config, ingress),
	.size = sizeof(struct config_ingress),
	.line_offset = offsetof(struct config_ingress, line),
	.keys = ingress_keys,
	.n_keys = COUNT(ingress_keys),
	.sections = ingress_sections,
	.n_sections = COUNT(ingress_sections),
	.check = check_ingress,
    },
    {
	.name = "ssh",
	.presence = CONFIG_OPTIONAL,
	.offset = offsetof(struct config, ssh),
	.size = sizeof(struct config_ssh),
	.line_offset = offsetof(struct config_ssh, line),
	.keys = ssh_keys,
	.n_keys = COUNT(ssh_keys),
    },
    {
	.name = "limits",
	.presence = CONFIG_INSIDE,
	.offset = offsetof(struct config, limits),
	.size = sizeof(struct config_limits),
	.line_offset = offsetof(struct config_limits, line),
	.keys = limit_keys,
	.n_keys = COUNT(limit_keys),
    },
};

/* What the agent's frame can carry beside the rest of the request. */
#define WORDS_BYTES_MAX 61440u

static size_t
bytes_of(const struct config_list *l)
{
	size_t i, sum = 0;

	for (i = 0; i < l->n; i++)
		sum += strlen(l->v[i]) + 4;
	return sum;
}

static bool
same_variable(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

static const char *
check_top(struct config_reader *r, void *section)
{
	struct config *c = section;
	const char *title;
	size_t i, j;

	r->line = config_line(c, "command");
	if (r->line != 0 && c->command.n == 0)
		return "command is empty; name a program, or leave the key out";
	if (bytes_of(&c->command) + bytes_of(&c->env) > WORDS_BYTES_MAX)
		return config_why(r, "command and env are over %u bytes together", WORDS_BYTES_MAX);
	r->line = config_line(c, "env");
	for (i = 0; i < c->env.n; i++)
		for (j = 0; j < i; j++)
			if (same_variable(c->env.v[i], c->env.v[j]))
				return config_why(r, "env: %.*s is set twice",
				    (int)strcspn(c->env.v[i], "="), c->env.v[i]);
	r->line = 0;
	title = repeated_title(
	    c->mounts, c->n_mounts, sizeof(*c->mounts), offsetof(struct config_mount, path));
	if (title != NULL)
		return config_why(r, "mount \"%s\" is given twice", title);
	r->line = config_line(c, "vm.mounts");
	if (c->vm.mounts == CONFIG_MOUNTS_VIRTIOFS && c->n_mounts > MOUNT_DEVICES_MAX)
		return config_why(r,
		    "mounts = virtiofs has room for %u mounts, and there are %zu; "
		    "use auto or relay",
		    MOUNT_DEVICES_MAX, c->n_mounts);
	r->line = 0;
	if (c->image == NULL)
		return "image is missing; add image = \"a tag, a build id or a directory\"";
	if (c->user == NULL)
		c->user = config_strndup(c, "root", 4);
	return NULL;
}

static const struct config top_defaults = {.uids = {1879048192, 1879113727}};

const struct config_section_spec config_grammar = {
    .name = "",
    .size = sizeof(struct config),
    .defaults = &top_defaults,
    .line_offset = CONFIG_NO_FIELD,
    .keys = top_keys,
    .n_keys = COUNT(top_keys),
    .sections = top_sections,
    .n_sections = COUNT(top_sections),
    .check = check_top,
};
