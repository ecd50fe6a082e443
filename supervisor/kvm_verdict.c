/* SPDX-License-Identifier: Apache-2.0 */
/* One line in a file: "<kernel release> <size and time of the QEMU binary> <verdict>". */
#include "supervisor/kvm_verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LINE_SIZE 256
#define PATH_SIZE 4096

static const char *const words[] = {
    [KVM_UNKNOWN] = "unknown", [KVM_WORKS] = "works", [KVM_USELESS] = "useless"};

/* The folder that holds the file; it is made where make is set. */
static bool
find_folder(char *folder, bool make)
{
	static const struct {
		const char *variable, *below;
	} places[] = {{"GONDOLIN_CACHE_DIR", ""}, {"XDG_CACHE_HOME", "/gondolin"},
	    {"HOME", "/.cache/gondolin"}};
	const char *value;
	char *p;
	size_t i;

	folder[0] = '\0';
	for (i = 0; i < sizeof(places) / sizeof(places[0]) && folder[0] == '\0'; i++) {
		if (i == 1 && geteuid() == 0) {
			snprintf(folder, PATH_SIZE, "/var/cache/gondolin");
			break;
		}
		value = getenv(places[i].variable);
		if (value != NULL && value[0] == '/' &&
		    snprintf(folder, PATH_SIZE, "%s%s", value, places[i].below) >= PATH_SIZE)
			folder[0] = '\0';
	}
	if (folder[0] == '\0')
		return false;
	for (p = folder + 1; make && (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(folder, 0700);
		*p = '/';
	}
	return !make || mkdir(folder, 0700) == 0 || errno == EEXIST;
}

static bool
verdict_line(const char *qemu, enum kvm_verdict verdict, char line[LINE_SIZE])
{
	struct utsname u;
	struct stat st;

	if (uname(&u) < 0 || stat(qemu, &st) < 0)
		return false;
	return snprintf(line, LINE_SIZE, "%s %lld-%lld %s\n", u.release, (long long)st.st_size,
		   (long long)st.st_mtime, words[verdict]) < LINE_SIZE;
}

enum kvm_verdict
kvm_verdict_read(const char *qemu)
{
	char path[PATH_SIZE + 8], folder[PATH_SIZE], found[LINE_SIZE], line[LINE_SIZE];
	enum kvm_verdict v;
	ssize_t n;
	int fd;

	if (!find_folder(folder, false))
		return KVM_UNKNOWN;
	snprintf(path, sizeof(path), "%s/kvm", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return KVM_UNKNOWN;
	n = read(fd, found, sizeof(found) - 1);
	close(fd);
	found[n > 0 ? n : 0] = '\0';
	for (v = KVM_WORKS; v <= KVM_USELESS; v++)
		if (verdict_line(qemu, v, line) && strcmp(line, found) == 0)
			return v;
	return KVM_UNKNOWN;
}

void
kvm_verdict_write(const char *qemu, enum kvm_verdict verdict)
{
	char path[PATH_SIZE + 8], folder[PATH_SIZE], line[LINE_SIZE];
	int fd;

	if (!find_folder(folder, true) || !verdict_line(qemu, verdict, line))
		return;
	snprintf(path, sizeof(path), "%s/kvm", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	if (write(fd, line, strlen(line)) < 0)
		(void)unlink(path);
	close(fd);
}
