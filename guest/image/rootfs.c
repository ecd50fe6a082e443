/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system: a tree, then ext4 made of it by mke2fs -d.
 *
 * Without root the tree's owners are kept by a user namespace: for busybox the caller is root there
 * and owns all; for Debian, files of other users belong to the caller's subordinate ids.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/image/build.h"

#define STATUS_MAX  (64u << 20) /* bytes of dpkg's status */
#define LIST_MAX    (1u << 20)  /* bytes of busybox --list-full */
#define FILE_MAX    (64u << 20) /* bytes of one of the recipe's files */
#define SOURCES_MAX (1u << 20)  /* bytes of one apt source file */

/* Any will do, and a fixed one makes the same tree give the same image. */
#define ROOTFS_UUID "67006f6e-646f-4c69-8e00-000000000001"

/* What of the host's apt settings reaches the tree's apt while it is made. */
static const char *const apt_settings[] = {"Acquire::http::", "Acquire::https::", "Acquire::Check-",
    "Acquire::Retries", "Acquire::ForceIPv"};

static int
run(struct build *b, struct program_words *w, const char *step, int out_fd)
{
	int result = program_run(&b->runner, w, step, out_fd, b->error, b->error_size);

	program_words_clear(w);
	return result;
}

int
rootfs_check(struct build *b)
{
	static const char *const common[] = {
	    "apt-cache", "apt-get", "dpkg-deb", "mke2fs", "unshare", NULL};
	static const char *const debian[] = {"mmdebstrap", "tar", NULL};
	const char *const *lists[] = {common, b->recipe.base == RECIPE_DEBIAN ? debian : NULL};
	char *guest = NULL;
	size_t n;
	int result = initramfs_read_guest(b, &guest, &n);

	free(guest);
	if (result < 0)
		return result;
	for (size_t i = 0; i < b->recipe.n_files; i++)
		if (access(b->recipe.files[i].source, R_OK) < 0) {
			result = -errno;
			return log_fail(b->error, b->error_size, result, "%s: %s",
			    b->recipe.files[i].source, strerror(-result));
		}
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; lists[k] != NULL && lists[k][i] != NULL; i++)
			if (!program_exists(lists[k][i]))
				return program_missing(lists[k][i], b->error, b->error_size);
	return program_as_root_check(b->subordinate, b->error, b->error_size);
}

/* ---- busybox ---- */

static const struct {
	const char *path;
	unsigned mode;
} mini_directories[] = {
    {"bin", 0755},
    {"dev", 0755},
    {"etc", 0755},
    {"etc/udhcpc", 0755},
    {"home", 0755},
    {"mnt", 0755},
    {"opt", 0755},
    {"proc", 0755},
    {"root", 0700},
    {"run", 0755},
    {"sbin", 0755},
    {"srv", 0755},
    {"sys", 0755},
    {"tmp", 01777},
    {"usr", 0755},
    {"usr/bin", 0755},
    {"usr/local", 0755},
    {"usr/local/bin", 0755},
    {"usr/sbin", 0755},
    {"var", 0755},
    {"var/log", 0755},
    {"var/tmp", 01777},
};

/* For who wants to ask the LAN: the guest's own start does not. */
static const char udhcpc_script[] =
    "#!/bin/sh\n"
    "case $1 in\n"
    "deconfig)\n"
    "\tip -4 addr flush dev \"$interface\"\n"
    "\tip link set \"$interface\" up\n"
    "\t;;\n"
    "bound | renew)\n"
    "\t[ -z \"$mtu\" ] || ip link set \"$interface\" mtu \"$mtu\"\n"
    "\tip -4 addr flush dev \"$interface\"\n"
    "\tip addr add \"$ip/$mask\" dev \"$interface\"\n"
    "\tfor r in $router; do ip route replace default via \"$r\" dev \"$interface\"; done\n"
    "\tfor d in $dns; do echo \"nameserver $d\"; done >/etc/resolv.conf\n"
    "\t;;\n"
    "esac\n";

static const struct {
	const char *path, *text;
	unsigned mode;
} mini_files[] = {
    {"etc/passwd",
	"root:x:0:0:root:/root:/bin/sh\n"
	"daemon:x:1:1:daemon:/:/bin/false\n"
	"user:x:1000:1000:user:/home/user:/bin/sh\n"
	"nobody:x:65534:65534:nobody:/:/bin/false\n",
	0644},
    {"etc/group", "root:x:0:\ndaemon:x:1:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n", 0644},
    {"etc/shells", "/bin/sh\n", 0644},
    {"etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n", 0644},
    {"etc/resolv.conf", "", 0644}, /* the guest mounts its own over it */
    {"etc/udhcpc/default.script", udhcpc_script, 0755},
    {"etc/profile",
	"export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
	"export HOME=\"${HOME:-/root}\"\n"
	"PS1='\\u@\\h:\\w\\$ '\n",
	0644},
    {"etc/os-release",
	"ID=gondolin-mini\nNAME=\"Gondolin mini\"\nPRETTY_NAME=\"Gondolin mini (busybox)\"\n",
	0644},
};

/* True where each link's place is a plain one below bin, sbin, usr/bin or usr/sbin. */
static bool
applet_ok(const char *path)
{
	static const char *const places[] = {"bin/", "sbin/", "usr/bin/", "usr/sbin/"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t n = strlen(places[i]);

		if (strncmp(path, places[i], n) == 0 && path[n] != '\0' && path[n] != '.' &&
		    strchr(path + n, '/') == NULL)
			return true;
	}
	return false;
}

/* Links each applet that `busybox --list-full` prints. */
static int
link_applets(struct build *b, int tree)
{
	struct program_words w = {.n = 0};
	char *path = image_format("%s/applets", b->work), *list = NULL, *save = NULL;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int result = fd == -1 ? -errno : 0;
	size_t n;

	program_word(&w, "%s/bin/busybox", b->tree);
	program_add(&w, "--list-full");
	if (result == 0)
		result = run(b, &w, "linking busybox's applets", fd);
	if (fd != -1)
		close(fd);
	if (result == 0)
		result = image_get_file(AT_FDCWD, path, LIST_MAX, &list, &n);
	for (char *line = result == 0 ? strtok_r(list, "\n", &save) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		if (applet_ok(line) && strcmp(line, "bin/busybox") != 0 &&
		    symlinkat("/bin/busybox", tree, line) < 0 && errno != EEXIST) {
			result = -errno;
			break;
		}
	free(list);
	free(path);
	return result;
}

static int
copy_busybox(struct build *b, int tree)
{
	static const char *const places[] = {"bin/busybox", "usr/bin/busybox"};
	char *unpacked = image_format("%s/busybox", b->work), *bytes = NULL;
	size_t n = 0;
	int result = mkdir(unpacked, 0700) < 0 ? -errno : 0;

	if (result == 0)
		result = kernel_unpack_package(b, "busybox-static", unpacked);
	for (size_t i = 0; i < 2 && result == 0 && bytes == NULL; i++) {
		char *path = image_format("%s/%s", unpacked, places[i]);

		if (image_get_file(AT_FDCWD, path, FILE_MAX, &bytes, &n) < 0)
			bytes = NULL;
		free(path);
	}
	if (result == 0 && bytes == NULL)
		result = log_fail(
		    b->error, b->error_size, -ENOENT, "the package busybox-static has no busybox");
	if (result == 0)
		result = image_put_file(tree, "bin/busybox", bytes, n, 0755);
	free(bytes);
	free(unpacked);
	return result;
}

static int
make_busybox_tree(struct build *b)
{
	int tree = open(b->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;

	if (tree == -1)
		return -errno;
	for (size_t i = 0; i < sizeof(mini_directories) / sizeof(mini_directories[0]); i++)
		if (mkdirat(tree, mini_directories[i].path, 0700) < 0 ||
		    fchmodat(tree, mini_directories[i].path, mini_directories[i].mode, 0) < 0) {
			result = -errno;
			goto out;
		}
	for (size_t i = 0; i < sizeof(mini_files) / sizeof(mini_files[0]) && result == 0; i++)
		result = image_put_file(tree, mini_files[i].path, mini_files[i].text,
		    strlen(mini_files[i].text), mini_files[i].mode);
	if (result == 0)
		result = copy_busybox(b, tree);
	if (result == 0)
		result = link_applets(b, tree);
out:
	close(tree);
	return result;
}

/* ---- Debian ---- */

/* The value of a key in os-release(5), or NULL; the caller frees. */
static char *
os_release(const char *key)
{
	FILE *f = fopen("/etc/os-release", "re");
	char line[256], *value = NULL;
	size_t n = strlen(key);

	while (f != NULL && value == NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, n) == 0 && line[n] == '=') {
			char *text = line + n + 1;

			text += strspn(text, "\"'");
			text[strcspn(text, "\"'\n")] = '\0';
			value = image_format("%s", text);
		}
	if (f != NULL)
		fclose(f);
	return value;
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n > k && strcmp(s + n - k, end) == 0;
}

/* Names the machine's own apt sources, as mmdebstrap's mirrors; *n counts them. */
static void
add_sources(struct program_words *w, size_t *n)
{
	static const char list[] = "/etc/apt/sources.list", parts[] = "/etc/apt/sources.list.d";
	struct dirent **names;
	struct stat st;
	int count = scandir(parts, &names, NULL, alphasort);

	*n = 0;
	if (stat(list, &st) == 0 && st.st_size > 0) {
		program_add(w, list);
		(*n)++;
	}
	for (int i = 0; i < count; i++) {
		if (ends_with(names[i]->d_name, ".list") ||
		    ends_with(names[i]->d_name, ".sources")) {
			program_word(w, "%s/%s", parts, names[i]->d_name);
			(*n)++;
		}
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

/* Proxies and the like: mmdebstrap's apt does not read the host's settings by itself. */
static int
add_apt_settings(struct build *b, struct program_words *w)
{
	struct program_words dump = {.n = 0};
	char *path = image_format("%s/apt-config", b->work), *text = NULL, *save = NULL;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int result = fd == -1 ? -errno : 0;
	size_t n;

	program_add(&dump, "apt-config", "dump");
	if (result == 0)
		result = run(b, &dump, NULL, fd);
	if (fd != -1)
		close(fd);
	if (result == 0)
		result = image_get_file(AT_FDCWD, path, SOURCES_MAX, &text, &n);
	for (char *line = result == 0 ? strtok_r(text, "\n", &save) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < sizeof(apt_settings) / sizeof(apt_settings[0]); i++)
			if (strncasecmp(line, apt_settings[i], strlen(apt_settings[i])) == 0 &&
			    !ends_with(line, " \"\";"))
				program_word(w, "--aptopt=%s", line);
	free(text);
	free(path);
	return result;
}

static int
run_mmdebstrap(struct build *b, const char *tar)
{
	struct program_words w = {.n = 0};
	char *suite = os_release("VERSION_CODENAME"), *include = image_format("%s", "");
	size_t sources;
	int result;

	for (size_t i = 0; b->recipe.packages[i] != NULL; i++) {
		char *longer =
		    image_format("%s%s%s", include, i > 0 ? "," : "", b->recipe.packages[i]);

		free(include);
		include = longer;
	}
	program_add(&w, "mmdebstrap", "--variant=minbase", "--mode=unshare", "--format=tar");
	if (include[0] != '\0')
		program_word(&w, "--include=%s", include);
	free(include);
	result = add_apt_settings(b, &w);
	if (result == 0 && suite == NULL)
		result = log_fail(b->error, b->error_size, -ENOENT,
		    "/etc/os-release has no VERSION_CODENAME: the base debian needs a Debian host");
	if (result == 0) {
		program_add(&w, suite, tar);
		add_sources(&w, &sources);
		if (sources == 0)
			result = log_fail(b->error, b->error_size, -ENOENT,
			    "no apt sources in /etc/apt: this machine cannot install packages");
	}
	free(suite);
	if (result == 0)
		return run(b, &w, "making the root file system", -1);
	program_words_clear(&w);
	return result;
}

/*
 * The build's apt settings (a proxy's password may be in them) must not reach the guest, and nor
 * must sources with a password in their address ("://user:password@").
 */
static int
remove_secrets(struct build *b)
{
	static const char script[] =
	    "cd \"$1/etc/apt\" && rm -f apt.conf.d/99mmdebstrap && "
	    "for f in sources.list sources.list.d/*; do "
	    "[ ! -f \"$f\" ] || ! grep -q '://[^/ ]*@' \"$f\" || rm -f \"$f\"; done";
	struct program_words w = {.n = 0};

	program_as_root(&w, true, false);
	program_add(&w, "sh", "-c", script, "sh", b->tree);
	return run(b, &w, NULL, -1);
}

/* What the guest covers with files of its own has to be there where its root is read-only. */
static int
add_mount_points(struct build *b)
{
	static const char script[] = "cd \"$1/etc\" && for f in resolv.conf hosts; do "
				     "[ -e \"$f\" ] || [ -L \"$f\" ] || : >\"$f\" || exit 1; done";
	struct program_words w = {.n = 0};

	program_as_root(&w, true, false);
	program_add(&w, "sh", "-c", script, "sh", b->tree);
	return run(b, &w, NULL, -1);
}

/* Every package that dpkg says is installed, for the manifest. */
static int
note_packages(struct build *b)
{
	char *path = image_format("%s/var/lib/dpkg/status", b->tree), *text = NULL, *save = NULL;
	const char *name = NULL;
	size_t n;
	int result = image_get_file(AT_FDCWD, path, STATUS_MAX, &text, &n);

	for (char *line = result == 0 ? strtok_r(text, "\n", &save) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "Package: ", 9) == 0)
			name = line + 9;
		else if (strncmp(line, "Version: ", 9) == 0 && name != NULL)
			build_add_package(b, name, line + 9);
	}
	free(text);
	free(path);
	return result;
}

static int
make_debian_tree(struct build *b)
{
	struct program_words w = {.n = 0};
	char *tar = image_format("%s/root.tar", b->work);
	int result = run_mmdebstrap(b, tar);

	if (result == 0) {
		program_as_root(&w, true, false);
		/* Device nodes cannot be made in a user namespace, and the guest has devtmpfs. */
		program_add(
		    &w, "tar", "-xpf", tar, "--numeric-owner", "--exclude=./dev/*", "-C", b->tree);
		result = run(b, &w, "unpacking the root file system", -1);
	}
	if (result == 0)
		result = remove_secrets(b);
	if (result == 0)
		result = add_mount_points(b);
	if (result == 0)
		result = note_packages(b);
	(void)unlink(tar);
	free(tar);
	return result;
}

/* ---- Both ---- */

/* Writes one of the recipe's files from inside the tree, where its links lead nowhere else. */
static int
add_file(struct build *b, const struct recipe_file *f)
{
	static const char script[] = "mkdir -p \"${1%/*}/\" && cat >\"$1\" && chmod \"$2\" \"$1\"";
	struct program_words w = {.n = 0};
	struct program_runner runner = b->runner;
	int in = open(f->source, O_RDONLY | O_CLOEXEC), result;

	if (in == -1) {
		result = -errno;
		return log_fail(
		    b->error, b->error_size, result, "%s: %s", f->source, strerror(-result));
	}
	runner.stdin_fd = in;
	program_as_root(&w, b->subordinate, false);
	program_add(&w, "chroot", b->tree, "/bin/sh", "-c", script, "sh", f->target);
	program_word(&w, "%04o", f->mode);
	result = program_run(&runner, &w, "adding the recipe's files", -1, b->error, b->error_size);
	program_words_clear(&w);
	close(in);
	return result;
}

/* Runs one of the recipe's commands in the tree, as root there. */
static int
run_command(struct build *b, const char *command)
{
	static const char script[] =
	    "mount --rbind /dev \"$1/dev\" && { mount -t proc proc \"$1/proc\" || :; } && "
	    "HOME=/root exec chroot \"$1\" /bin/sh -ec \"$2\"";
	struct program_words w = {.n = 0};

	program_as_root(&w, b->subordinate, true);
	program_add(&w, "sh", "-c", script, "sh", b->tree, command);
	return run(b, &w, "running the recipe's commands", -1);
}

int
rootfs_make_tree(struct build *b)
{
	int result;

	if (mkdir(b->tree, 0755) < 0 || chmod(b->tree, 0755) < 0)
		return -errno;
	result = b->recipe.base == RECIPE_BUSYBOX ? make_busybox_tree(b) : make_debian_tree(b);
	for (size_t i = 0; i < b->recipe.n_files && result == 0; i++)
		result = add_file(b, &b->recipe.files[i]);
	for (size_t i = 0; b->recipe.run[i] != NULL && result == 0; i++)
		result = run_command(b, b->recipe.run[i]);
	return result;
}

/*
 * No journal and no checksums: the image is read-only or its writes go to an overlay that lives as
 * long as the sandbox, so both would only cost the guest.  The inode tables of a new sparse file
 * are zero already; saying so keeps the guest's kernel from zeroing them in the background.
 */
int
rootfs_write(struct build *b)
{
	const struct image_part *part = &b->manifest.parts[IMAGE_ROOTFS];
	uint64_t size = b->options->size != 0 ? b->options->size : b->recipe.size;
	struct program_words w = {.n = 0};
	char *path = image_format("%s/%s", b->staging.path, part->file), *reason;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int result = fd == -1 || ftruncate(fd, (off_t)(size / 4096 * 4096)) < 0 ? -errno : 0;

	if (fd != -1)
		close(fd);
	program_as_root(&w, b->subordinate, false);
	program_add(
	    &w, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "8192");
	program_add(&w, "-m", "0", "-L", "gondolin", "-U", ROOTFS_UUID, "-d", b->tree, "-O",
	    "^has_journal,^metadata_csum,^metadata_csum_seed,^orphan_file", "-E");
	program_word(&w, "root_owner=0:0,nodiscard,hash_seed=%s,%s", ROOTFS_UUID,
	    "lazy_itable_init=0,assume_storage_prezeroed=1");
	program_add(&w, path);
	if (result == 0)
		result = run(b, &w, "making the file system", -1);
	else
		program_words_clear(&w);
	if (result == -ECHILD && strstr(b->error, "Could not allocate") != NULL) {
		reason = image_format("%s", b->error);
		log_fail(b->error, b->error_size, -ENOSPC,
		    "the tree does not fit: give a larger --size (%s)", reason);
		free(reason);
		result = -ENOSPC;
	}
	free(path);
	return result;
}
