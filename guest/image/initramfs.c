/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first root: gondolin-guest, and the kernel modules that it loads before anything else.
 *
 * Which module needs which is read from the modules themselves (.modinfo), since modules.dep is
 * made by depmod when a kernel is installed, and this one never is.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/image/build.h"
#include "guest/image/cpio.h"

#define MODULE_MAX  (64u << 20) /* bytes of one module */
#define MODULES_MAX 128u        /* in one initramfs */
#define BUILTIN_MAX (4u << 20)  /* bytes of modules.builtin */
#define GUEST_MAX   (64u << 20) /* bytes of gondolin-guest */

/*
 * What every image has.  A module that is built into the kernel is not looked for.  `when`: the
 * words of its line in modules.list (guest/init.h).
 */
static const struct {
	const char *name;
	bool required;
	const char *when;
} wanted[] = {
    {"virtio_mmio", true, ""},                        /* the machine's only bus */
    {"virtio_blk", true, ""},                         /* the root device */
    {"ext4", true, ""},                               /* and its file system */
    {"crc32c_generic", false, ""},                    /* ext4 asks for it by an alias */
    {"virtio_console", true, ""},                     /* the agent's port */
    {"virtio_net", true, "virtio:1"},                 /* egress */
    {"virtio_rng", false, "late"},                    /* entropy that is the host's */
    {"fuse", true, "fs-fuse char-major-10-229 fuse"}, /* mounts */
    {"virtiofs", true, "fs-virtiofs virtiofs"},       /* mounts that are devices */
    {"overlay", true, "fs-overlay overlay"},          /* containers in the guest */
    {"af_packet", false, "net-pf-17 af_packet"},      /* DHCP clients */
};

static const struct {
	const char *suffix, *program;
} compressions[] = {{".ko", NULL}, {".ko.xz", "xz"}, {".ko.zst", "zstd"}, {".ko.gz", "gzip"}};

struct module {
	char *name; /* with '_' for '-', as the kernel names it */
	char *when;
	char *bytes;
	size_t n;
};

struct modules {
	struct build *b;
	char *builtin;
	struct module order[MODULES_MAX]; /* each after those that it needs */
	size_t n;
	const char *pending[MODULES_MAX]; /* being loaded: a circle would not end */
	size_t n_pending;
};

static uint64_t
le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | p[bytes];
	return v;
}

/* A section of an ELF64 file; NULL where it is not inside the file. */
static const uint8_t *
section(const uint8_t *elf, size_t n, unsigned index, uint64_t *name, uint64_t *size)
{
	uint64_t table = le(elf + 40, 8), width = le(elf + 58, 2), at, offset;

	if (width != 64 || index >= le(elf + 60, 2) || table > n)
		return NULL;
	at = table + (uint64_t)index * width;
	if (at > n || n - at < width)
		return NULL;
	*name = le(elf + at, 4);
	offset = le(elf + at + 24, 8);
	*size = le(elf + at + 32, 8);
	return offset > n || *size > n - offset ? NULL : elf + offset;
}

const char *
initramfs_modinfo(const uint8_t *bytes, size_t n, const char *key)
{
	uint64_t name, size, names_size, ignored;
	const uint8_t *names, *p;

	if (n < 64 || memcmp(bytes, "\177ELF\2\1", 6) != 0)
		return NULL;
	names = section(bytes, n, (unsigned)le(bytes + 62, 2), &ignored, &names_size);
	if (names == NULL || names_size == 0 || names[names_size - 1] != 0)
		return NULL;
	for (unsigned i = 0; i < le(bytes + 60, 2); i++) {
		p = section(bytes, n, i, &name, &size);
		if (p == NULL || name >= names_size || size == 0 || p[size - 1] != 0 ||
		    strcmp((const char *)names + name, ".modinfo") != 0)
			continue;
		for (const uint8_t *end = p + size; p < end; p += strlen((const char *)p) + 1)
			if (strncmp((const char *)p, key, strlen(key)) == 0)
				return (const char *)p + strlen(key);
	}
	return NULL;
}

static void
underscores(char *name)
{
	for (; *name != '\0'; name++)
		if (*name == '-')
			*name = '_';
}

/* The module's name in a path, or NULL where it is no module; *program decompresses it. */
static char *
module_name(const char *path, const char **program)
{
	const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
	size_t n = strlen(file);

	for (size_t i = 0; i < sizeof(compressions) / sizeof(compressions[0]); i++) {
		size_t k = strlen(compressions[i].suffix);

		if (n > k && strcmp(file + n - k, compressions[i].suffix) == 0) {
			char *name = image_format("%.*s", (int)(n - k), file);

			underscores(name);
			*program = compressions[i].program;
			return name;
		}
	}
	return NULL;
}

/* The file of a module; the caller frees.  NULL where there is none. */
static char *
find_module(const struct build *b, const char *name, const char **program)
{
	char *root = image_format("%s", b->modules), *found = NULL;
	char *const roots[] = {root, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *e;

	while (tree != NULL && found == NULL && (e = fts_read(tree)) != NULL) {
		const char *how;
		char *is = e->fts_info == FTS_F ? module_name(e->fts_path, &how) : NULL;

		if (is != NULL && strcmp(is, name) == 0) {
			found = image_format("%s", e->fts_path);
			*program = how;
		}
		free(is);
	}
	if (tree != NULL)
		fts_close(tree);
	free(root);
	return found;
}

/* True where modules.builtin ("kernel/fs/ext4/ext4.ko", one a line) has it. */
static bool
is_builtin(const struct modules *m, const char *name)
{
	bool found = false;

	for (const char *line = m->builtin; line != NULL && *line != '\0' && !found;) {
		size_t n = strcspn(line, "\n");
		char *path = image_format("%.*s", (int)n, line);
		const char *program;
		char *is = module_name(path, &program);

		found = is != NULL && strcmp(is, name) == 0;
		free(is);
		free(path);
		line += n + (line[n] == '\n');
	}
	return found;
}

static int
read_module(struct build *b, const char *path, const char *program, struct module *out)
{
	struct program_words w = {.n = 0};
	char *plain;
	int fd, result;

	if (program == NULL)
		return image_get_file(AT_FDCWD, path, MODULE_MAX, &out->bytes, &out->n);
	plain = image_format("%s/module", b->work);
	fd = open(plain, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	result = fd == -1 ? -errno : 0;
	program_add(&w, program, "-dc", "--", path);
	if (result == 0)
		result = program_run(
		    &b->runner, &w, "unpacking kernel modules", fd, b->error, b->error_size);
	if (fd != -1)
		close(fd);
	if (result == 0)
		result = image_get_file(AT_FDCWD, plain, MODULE_MAX, &out->bytes, &out->n);
	program_words_clear(&w);
	free(plain);
	return result;
}

static int add_module(struct modules *m, const char *name, bool required, const char *when);

/* Adds what the module needs: .modinfo's "depends=a,b". */
static int
add_dependencies(struct modules *m, const struct module *module, const char *when)
{
	const char *next = initramfs_modinfo((const uint8_t *)module->bytes, module->n, "depends=");
	int result = 0;

	if (next == NULL)
		return log_fail(m->b->error, m->b->error_size, -EINVAL,
		    "the kernel module %s cannot be read", module->name);
	while (*next != '\0' && result == 0) {
		size_t n = strcspn(next, ",");
		char *name = image_format("%.*s", (int)n, next);

		underscores(name);
		result = add_module(m, name, true, when);
		free(name);
		next += n + (next[n] == ',');
	}
	return result;
}

static bool
is_pending(const struct modules *m, const char *name)
{
	for (size_t i = 0; i < m->n_pending; i++)
		if (strcmp(m->pending[i], name) == 0)
			return true;
	return false;
}

static struct module *
find_added(struct modules *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->order[i].name, name) == 0)
			return &m->order[i];
	return NULL;
}

/* One more reason to load a module that is there already, and what it needs. */
static int
add_reason(struct modules *m, struct module *module, const char *when)
{
	char *longer;

	/* Those without a reason come first: no later one changes that. */
	if (module->when[0] == '\0' || strcmp(module->when, when) == 0)
		return 0;
	longer = image_format("%s %s", module->when, when);
	free(module->when);
	module->when = longer;
	return add_dependencies(m, module, when);
}

static int
add_module(struct modules *m, const char *name, bool required, const char *when)
{
	struct module module = {.n = 0}, *added = find_added(m, name);
	const char *program;
	char *path;
	int result;

	if (added != NULL)
		return add_reason(m, added, when);
	if (is_pending(m, name) || is_builtin(m, name))
		return 0;
	path = find_module(m->b, name, &program);
	if (path == NULL && !required)
		return 0;
	if (path == NULL || m->n == MODULES_MAX || m->n_pending == MODULES_MAX) {
		free(path);
		return log_fail(m->b->error, m->b->error_size, -ENOENT,
		    "the kernel %s has no module %s", m->b->manifest.kernel_release, name);
	}
	m->pending[m->n_pending++] = name;
	module.name = image_format("%s", name);
	module.when = image_format("%s", when);
	result = read_module(m->b, path, program, &module);
	if (result == 0)
		result = add_dependencies(m, &module, when);
	m->n_pending--;
	free(path);
	if (result == 0 && m->n < MODULES_MAX) {
		m->order[m->n++] = module;
		return 0;
	}
	free(module.name);
	free(module.when);
	free(module.bytes);
	return result < 0 ? result : -E2BIG;
}

static int
add_wanted(struct modules *m)
{
	const size_t n_wanted = sizeof(wanted) / sizeof(wanted[0]);
	char *path = image_format("%s/modules.builtin", m->b->modules);
	size_t n, i = 0;
	int result = image_get_file(AT_FDCWD, path, BUILTIN_MAX, &m->builtin, &n);

	free(path);
	for (; i < n_wanted && wanted[i].when[0] == '\0' && result == 0; i++)
		result = add_module(m, wanted[i].name, wanted[i].required, "");
	for (size_t k = 0; m->b->recipe.modules[k] != NULL && result == 0; k++) {
		char *name = image_format("%s", m->b->recipe.modules[k]);

		underscores(name);
		result = add_module(m, name, true, "");
		free(name);
	}
	for (; i < n_wanted && result == 0; i++)
		result = add_module(m, wanted[i].name, wanted[i].required, wanted[i].when);
	return result;
}

int
initramfs_read_guest(struct build *b, char **bytes, size_t *n)
{
	char *path = b->options->guest != NULL ? image_format("%s", b->options->guest)
					       : recipe_beside_program("gondolin-guest",
						     GONDOLIN_LIBEXEC_DIR "/gondolin-guest");
	int result = image_get_file(AT_FDCWD, path, GUEST_MAX, bytes, n);

	if (result < 0)
		log_fail(b->error, b->error_size, result,
		    "%s: %s; it belongs beside this program, or give --guest", path,
		    strerror(-result));
	else if (*n < 64 || memcmp(*bytes, "\177ELF\2\1", 6) != 0)
		result = log_fail(b->error, b->error_size, -EINVAL,
		    "%s is no ELF program: give a gondolin-guest", path);
	free(path);
	return result;
}

static int
write_archive(const struct modules *m, int fd, const char *guest, size_t n_guest)
{
	static const char *const directories[] = {"dev", "modules", "newroot", "proc", "sys"};
	struct cpio_writer c;
	char *list = image_format("%s", "");

	cpio_begin(&c, fd);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		cpio_directory(&c, directories[i], 0755);
	cpio_file(&c, "init", 0755, guest, n_guest);
	for (size_t i = 0; i < m->n; i++) {
		char *name = image_format("modules/%s.ko", m->order[i].name);
		char *longer = image_format("%s%s%s%s\n", list, name,
		    m->order[i].when[0] != '\0' ? " " : "", m->order[i].when);

		cpio_file(&c, name, 0644, m->order[i].bytes, m->order[i].n);
		free(list);
		list = longer;
		free(name);
	}
	cpio_file(&c, "modules.list", 0644, list, strlen(list));
	free(list);
	return cpio_end(&c);
}

int
initramfs_write(struct build *b)
{
	struct modules *m = calloc(1, sizeof(*m));
	char *guest = NULL;
	size_t n_guest = 0;
	int result, fd = -1;

	if (m == NULL)
		abort();
	m->b = b;
	image_step(&b->options->progress, "writing the initramfs", 0, 0);
	result = initramfs_read_guest(b, &guest, &n_guest);
	if (result == 0)
		result = add_wanted(m);
	if (result == 0) {
		/* Not compressed: unpacking costs an emulated guest more than reading. */
		fd = openat(b->staging.fd, b->manifest.parts[IMAGE_INITRAMFS].file,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		result = fd == -1 ? -errno : write_archive(m, fd, guest, n_guest);
	}
	if (fd != -1 && close(fd) < 0 && result == 0)
		result = -errno;
	for (size_t i = 0; i < m->n; i++) {
		free(m->order[i].name);
		free(m->order[i].when);
		free(m->order[i].bytes);
	}
	free(m->builtin);
	free(m);
	free(guest);
	return result;
}
