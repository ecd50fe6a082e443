/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options, and how words become values. */
#include "client/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/options_write.h"

#define HELP_COLUMN 30

#define TEXT(meta)  .argument = ARGUMENT_REQUIRED, .metavar = (meta)
#define AS(s, k)    .section = SECTION_##s, .key = (k)
#define UPSTREAM(t) .commands = FOR_NEW, .argument = ARGUMENT_OPTIONAL, .refused = (t)

const struct option option_table[OPT_COUNT] = {
    [OPT_SESSION] = {"session", 's', FOR_EXEC, TEXT("ID"),
	.help = "run the command in a running sandbox"},
    [OPT_CWD] = {"cwd", 0, FOR_COMMAND, TEXT("PATH"), .help = "working directory in the guest"},
    [OPT_ENV] = {"env", 'e', FOR_COMMAND, TEXT("NAME[=VALUE]"), .list = true,
	.help = "set a variable (without VALUE: as it is here)"},
    [OPT_USER] = {"user", 'u', FOR_COMMAND, TEXT("NAME"), AS(TOP, "user"),
	.help = "user or uid in the guest"},
    [OPT_TIMEOUT] = {"timeout", 0, FOR_COMMAND, TEXT("SECONDS"),
	.help = "end the command after that time (exit code 124); 0 = never"},
    [OPT_TTY] = {"tty", 't', FOR_COMMAND, .help = "give the command a terminal"},
    [OPT_NO_TTY] = {"no-tty", 'T', FOR_COMMAND, .help = "give it none"},

    [OPT_CONFIG] = {"config", 0, FOR_NETWORK, TEXT("FILE"),
	.help = "start from this sandbox.conf; other options add to it"},
    [OPT_IMAGE] = {"image", 0, FOR_NEW, TEXT("IMAGE"), AS(TOP, "image"),
	.help = "tag, build id or directory of the image"},
    [OPT_ID] = {"id", 0, FOR_NEW, TEXT("ID"), AS(TOP, "id"),
	.help = "name the sandbox ([a-z0-9-], at most 32)"},
    [OPT_LABEL] = {"label", 0, FOR_NEW, TEXT("TEXT"), AS(TOP, "label"),
	.help = "a note that `gondolin list` shows"},
    [OPT_AUDIT] = {"audit", 0, FOR_NEW, TEXT("FILE"), AS(TOP, "audit"),
	.help = "append what happens to this audit log"},
    [OPT_HOOKS] = {"hooks", 0, FOR_NEW, TEXT("FILE"), AS(TOP, "hooks"), .help = "policy script"},
    [OPT_CONSOLE] = {"console", 0, FOR_NEW, .help = "show the guest's console on stderr"},

    [OPT_CPUS] = {"cpus", 0, FOR_NEW, TEXT("N"), AS(VM, "cpus"), .help = "processors"},
    [OPT_MEMORY] = {"memory", 0, FOR_NEW, TEXT("SIZE"), AS(VM, "memory"),
	.help = "memory, as 512M or 2G"},
    [OPT_ACCEL] = {"accel", 0, FOR_NEW, TEXT("MODE"), AS(VM, "accel"), .help = "kvm, tcg or auto"},
    [OPT_ROOTFS] = {"rootfs", 0, FOR_NEW, TEXT("MODE"), AS(VM, "rootfs"),
	.help = "readonly, memory or cow"},
    [OPT_START] = {"start", 0, FOR_NEW, TEXT("MODE"), AS(VM, "start"),
	.help = "warm, cold or auto"},
    [OPT_VMM] = {"vmm", 0, FOR_NEW, TEXT("NAME"), AS(TOP, NULL), .write = write_vmm,
	.help = "qemu, the only one there is"},

    [OPT_MOUNT_HOSTFS] = {"mount-hostfs", 0, FOR_NEW, TEXT("HOST:GUEST[:ro]"), AS(TOP, "mount"),
	.list = true, .write = write_mount_host, .help = "mount a host directory in the guest"},
    [OPT_MOUNT_MEMFS] = {"mount-memfs", 0, FOR_NEW, TEXT("GUEST[:SIZE]"), AS(TOP, "mount"),
	.list = true, .write = write_mount_memory,
	.help = "mount an empty directory in memory (256M)"},

    [OPT_ALLOW_HOST] = {"allow-host", 0, FOR_NETWORK, TEXT("HOST"), AS(NETWORK, "allow"),
	.list = true, .help = "let the guest reach this host by http and https; *.name allowed"},
    [OPT_ALLOW_INTERNAL] = {"allow-internal", 0, FOR_NETWORK, TEXT("HOST"),
	AS(NETWORK, "allow-internal"), .list = true,
	.help = "let this name lead to a private address"},
    [OPT_DNS] = {"dns", 0, FOR_NETWORK, TEXT("MODE"), AS(NETWORK, "dns"),
	.help = "synthetic, trusted or open"},
    [OPT_DNS_TRUSTED_SERVER] = {"dns-trusted-server", 0, FOR_NETWORK, TEXT("ADDRESS"),
	AS(NETWORK, "dns-trusted-server"), .list = true, .help = "server for --dns trusted"},
    [OPT_DNS_MAPPING] = {"dns-synthetic-host-mapping", 0, FOR_NETWORK, TEXT("MODE"), AS(TOP, NULL),
	.write = write_dns_mapping, .help = "per-host, the only one there is"},
    [OPT_DISABLE_WEBSOCKETS] = {"disable-websockets", 0, FOR_NETWORK, AS(NETWORK, "websockets"),
	.fixed = "false", .help = "refuse WebSocket upgrades"},
    [OPT_HOST_SECRET] = {"host-secret", 0, FOR_NETWORK, TEXT("NAME@HOST[,HOST...][=VALUE]"),
	AS(NETWORK, "secret"), .list = true, .write = write_secret,
	.help = "a secret that leaves for these hosts only; without VALUE: $NAME here"},
    [OPT_TCP_MAP] = {"tcp-map", 0, FOR_NETWORK, TEXT("NAME[:PORT]=HOST:PORT"), AS(NETWORK, "tcp"),
	.list = true, .write = write_tcp, .help = "forward a name in the guest to an address"},

    [OPT_LISTEN] = {"listen", 0, FOR_NEW, .argument = ARGUMENT_OPTIONAL, .metavar = "HOST:PORT",
	AS(INGRESS, "listen"), .fixed = "127.0.0.1:0",
	.help = "accept http on the host for services in the guest"},
    [OPT_ROUTE] = {"route", 0, FOR_NEW, TEXT("/PREFIX=PORT"), AS(INGRESS, "route"), .list = true,
	.write = write_route, .help = "the guest's port for paths that begin like this"},

    [OPT_SSH_ALLOW_HOST] = {"ssh-allow-host", 0, FOR_NEW, TEXT("HOST[:PORT]"), AS(SSH, "allow"),
	.list = true, .help = "let the guest run commands on this host by ssh"},
    [OPT_SSH_AGENT] = {"ssh-agent", 0, FOR_NEW, .argument = ARGUMENT_OPTIONAL, .metavar = "SOCKET",
	AS(SSH, "agent"), .fixed = "true", .write = write_ssh_agent,
	.help = "authenticate with the host's ssh agent"},
    [OPT_SSH_KNOWN_HOSTS] = {"ssh-known-hosts", 0, FOR_NEW, TEXT("FILE"), AS(SSH, "known-hosts"),
	.help = "keys of the hosts"},

    [OPT_ROOTFS_SIZE] = {"rootfs-size", 0,
	UPSTREAM("not supported; build an image of that size with `gondolin build --size`")},
    [OPT_RESUME] = {"resume", 0, UPSTREAM("snapshots are not supported yet")},
    [OPT_SSH_CREDENTIAL] = {"ssh-credential", 0,
	UPSTREAM("not supported; name the key in a configuration: ssh { keys = {\"...\"} }")},
    [OPT_SSH] = {"ssh", 0,
	UPSTREAM("ssh into the guest is not supported yet; use `gondolin attach`")},
    [OPT_SSH_USER] = {"ssh-user", 0, UPSTREAM("ssh into the guest is not supported yet")},
    [OPT_SSH_PORT] = {"ssh-port", 0, UPSTREAM("ssh into the guest is not supported yet")},
    [OPT_SSH_LISTEN] = {"ssh-listen", 0, UPSTREAM("ssh into the guest is not supported yet")},

    [OPT_ALL] = {"all", 'a', FOR_LIST, .help = "accepted; sandboxes that are gone leave nothing"},
    [OPT_JSON] = {"json", 0, FOR_LIST | FOR_AUDIT | FOR_POLICY | FOR_DIFF, .help = "print JSON"},
    [OPT_VERIFY_LOG] = {"verify-log", 0, FOR_AUDIT, TEXT("FILE"),
	.help = "check an audit log's chain instead"},
    [OPT_PATCH] = {"patch", 'p', FOR_DIFF, .help = "show the lines that changed in small texts"},
    [OPT_CHANGE] = {"change", 0, FOR_APPLY, TEXT("CHANGE"),
	.help = "apply just this change; without: one that gondolin diff showed"},
    [OPT_FORCE] = {"force", 0, FOR_APPLY, .help = "overwrite what changed on this host meanwhile"},
    [OPT_HELP] = {"help", 'h', FOR_ALL, .help = "show this"},
};

/* ---- Words to values ---- */

static int
fail(struct options *o, const struct option *row, const char *why)
{
	snprintf(o->error, sizeof(o->error), "--%s%s%s: %s", row->name,
	    row->metavar != NULL ? " " : "", row->metavar != NULL ? row->metavar : "", why);
	return -EINVAL;
}

static void
add(struct option_values *given, const char *value)
{
	const char **v = reallocarray(given->v, given->n + 1, sizeof(*v));

	if (v == NULL)
		abort();
	given->v = v;
	v[given->n++] = value;
}

static int
find_long(const char *word, size_t length, unsigned command)
{
	int i;

	for (i = 0; i < OPT_COUNT; i++)
		if ((option_table[i].commands & command) != 0 &&
		    strlen(option_table[i].name) == length &&
		    strncmp(option_table[i].name, word, length) == 0)
			return i;
	return -1;
}

static int
find_letter(char letter, unsigned command)
{
	int i;

	for (i = 0; i < OPT_COUNT; i++)
		if ((option_table[i].commands & command) != 0 && option_table[i].letter == letter)
			return i;
	return -1;
}

/* One option at **words; advances it past what was used. */
static int
parse_one(struct options *o, unsigned command, char ***words)
{
	const char *word = **words, *value = NULL, *equals;
	const struct option *row;
	int id;

	(*words)++;
	if (word[1] == '-') {
		equals = strchr(word, '=');
		id = find_long(word + 2,
		    equals != NULL ? (size_t)(equals - word - 2) : strlen(word + 2), command);
		value = equals != NULL ? equals + 1 : NULL;
	} else {
		id = word[2] == '\0' ? find_letter(word[1], command) : -1;
	}
	if (id < 0) {
		snprintf(o->error, sizeof(o->error),
		    "%.128s: no such option here (--help shows them; -- ends them)", word);
		return -EINVAL;
	}
	row = &option_table[id];
	if (row->refused != NULL)
		return fail(o, row, row->refused);
	if (row->argument == ARGUMENT_NONE && value != NULL)
		return fail(o, row, "takes no value");
	if (row->argument == ARGUMENT_REQUIRED && value == NULL) {
		if (**words == NULL)
			return fail(o, row, "the value is missing");
		value = *(*words)++;
	}
	if (value == NULL)
		value = row->fixed != NULL ? row->fixed : "";
	add(&o->given[id], value);
	return 0;
}

int
options_parse(struct options *o, unsigned command, char **words)
{
	char **word = words;
	size_t n = 0;
	int rc;

	memset(o, 0, sizeof(*o));
	while (*word != NULL && strcmp(*word, "--") != 0) {
		if ((*word)[0] == '-' && (*word)[1] != '\0') {
			rc = parse_one(o, command, &word);
			if (rc < 0)
				return rc;
		} else if ((command & FOR_COMMAND) != 0) {
			break; /* the words of a guest's command are not ours to look at */
		} else {
			words[n++] = *word++;
		}
	}
	word += *word != NULL && strcmp(*word, "--") == 0;
	/* Those before "--" join those behind it. */
	o->rest = word - n;
	memmove(o->rest, words, n * sizeof(*words));
	while (o->rest[o->n_rest] != NULL)
		o->n_rest++;
	return 0;
}

void
options_clear(struct options *o)
{
	int i;

	for (i = 0; i < OPT_COUNT; i++)
		free(o->given[i].v);
	memset(o, 0, sizeof(*o));
}

bool
options_has(const struct options *o, enum option_id id)
{
	return o->given[id].n > 0;
}

const char *
options_last(const struct options *o, enum option_id id)
{
	const struct option_values *given = &o->given[id];

	return given->n > 0 ? given->v[given->n - 1] : NULL;
}

bool
options_shape_sandbox(const struct options *o, const char **name)
{
	int i;

	for (i = 0; i < OPT_COUNT; i++)
		/* What a running sandbox's commands take as well shapes no sandbox. */
		if (option_table[i].section != SECTION_NONE &&
		    (option_table[i].commands & ~(unsigned)FOR_NETWORK) == 0 && o->given[i].n > 0) {
			*name = option_table[i].name;
			return true;
		}
	return false;
}

int
options_timeout(struct options *o, unsigned *timeout_ms, bool *no_timeout)
{
	const char *value = options_last(o, OPT_TIMEOUT);
	unsigned long seconds;
	char *end;

	*timeout_ms = 0;
	*no_timeout = false;
	if (value == NULL)
		return 0;
	errno = 0;
	seconds = strtoul(value, &end, 10);
	if (errno != 0 || *end != '\0' || value[0] < '0' || value[0] > '9' ||
	    seconds > OPTIONS_TIMEOUT_MAX)
		return fail(o, &option_table[OPT_TIMEOUT],
		    "takes whole seconds from 0 (no limit) to 4000000");
	*timeout_ms = (unsigned)seconds * 1000;
	*no_timeout = seconds == 0;
	return 0;
}

void
options_help(FILE *out, unsigned command)
{
	const struct option *row;
	char left[80];
	int i, n;

	for (i = 0; i < OPT_COUNT; i++) {
		row = &option_table[i];
		if ((row->commands & command) == 0 || row->refused != NULL)
			continue;
		n = snprintf(left, sizeof(left), "--%s", row->name);
		if (row->letter != 0)
			n += snprintf(left + n, sizeof(left) - (size_t)n, ", -%c", row->letter);
		if (row->metavar != NULL)
			n += snprintf(left + n, sizeof(left) - (size_t)n,
			    row->argument == ARGUMENT_OPTIONAL ? "[=%s]" : " %s", row->metavar);
		if (n < HELP_COLUMN)
			fprintf(out, "  %-*s%s\n", HELP_COLUMN, left, row->help);
		else
			fprintf(out, "  %s\n  %*s%s\n", left, HELP_COLUMN, "", row->help);
	}
}
