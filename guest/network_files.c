/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that make a guest's programs use the network: names and trust.
 *
 * The image's own files are covered by bind mounts and never written, so that a read-only root
 * works alike and nothing of one sandbox is left in a disk that is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/init.h"
#include "guest/network.h"
#include "ipc/file.h"

#define COPY_MAX (16u << 20) /* bytes of a file of the image */

const char *const network_variables[] = {
    "SSL_CERT_FILE=" NETWORK_BUNDLE,
    "CURL_CA_BUNDLE=" NETWORK_BUNDLE,
    "REQUESTS_CA_BUNDLE=" NETWORK_BUNDLE,
    "GIT_SSL_CAINFO=" NETWORK_BUNDLE,
    "NODE_EXTRA_CA_CERTS=" NETWORK_CA,
};
const size_t network_n_variables = sizeof(network_variables) / sizeof(network_variables[0]);

static const char resolv_conf[] = "nameserver " NETWORK_GATEWAY4 "\n";
static const char hosts[] = "127.0.0.1\tlocalhost\n"
			    "127.0.1.1\tgondolin\n"
			    "::1\tlocalhost ip6-localhost ip6-loopback\n";

/* Where systems keep the CAs that programs trust, in one file. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",                  /* LibreSSL */
};

/* A file of the image, to the start of ours.  One that is none, or too large, counts as empty. */
static int
copy_from(int to, const char *path)
{
	/* A pipe or a device of the image must not make us wait. */
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;
	int rc = 0;

	if (from < 0)
		return 0;
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > COPY_MAX)
		goto out;
	while ((n = sendfile(to, from, NULL, COPY_MAX)) > 0)
		;
	if (n < 0)
		rc = -errno;
	else if (st.st_size > 0)
		rc = file_write_all(to, "\n", 1);
out:
	close(from);
	return rc;
}

/* Makes `path`: what the image's file `base` has (NULL: nothing), then the bytes. */
static int
make_file(const char *path, const char *base, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644), rc = 0;

	if (fd < 0)
		return -errno;
	if (base != NULL)
		rc = copy_from(fd, base);
	if (rc == 0)
		rc = file_write_all(fd, bytes, n);
	close(fd);
	return rc;
}

/* A link of the image into a directory that only a running system would have. */
static void
make_link_directory(const char *path)
{
	char target[PATH_MAX], full[PATH_MAX + 8], *slash;
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n <= 0)
		return;
	target[n] = '\0';
	snprintf(full, sizeof(full), "%s%s", target[0] == '/' ? "" : "/etc/", target);
	slash = strrchr(full, '/');
	*slash = '\0';
	(void)mounts_make_directories(full);
}

/* What has to be there for a mount to cover it. */
static int
make_target(const char *path)
{
	int fd;

	if (access(path, F_OK) == 0)
		return 0;
	make_link_directory(path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void
cover(const char *target, const char *source)
{
	int rc = make_target(target);

	if (rc < 0)
		init_error(-rc, "cannot make %s", target);
	else if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		init_error(errno, "cannot mount %s on %s", source, target);
}

static bool
is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int
make_trust(const struct network_settings *s)
{
	const char *base = NULL;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(bundles) / sizeof(bundles[0]) && base == NULL; i++)
		if (access(bundles[i], R_OK) == 0)
			base = bundles[i];
	rc = make_file(NETWORK_CA, NULL, s->ca, s->n_ca);
	if (rc == 0)
		rc = make_file(NETWORK_BUNDLE, base, s->ca, s->n_ca);
	/* Of two names of one file the second is covered with the first. */
	for (i = 0; i < sizeof(bundles) / sizeof(bundles[0]) && rc == 0; i++)
		if (access(bundles[i], F_OK) == 0 && !is_same_file(bundles[i], NETWORK_BUNDLE))
			cover(bundles[i], NETWORK_BUNDLE);
	return rc;
}

int
network_files_make(const struct network_settings *s)
{
	int rc = mounts_make_directories(NETWORK_DIRECTORY);

	if (rc == 0)
		rc = make_file(
		    NETWORK_DIRECTORY "/resolv.conf", NULL, resolv_conf, sizeof(resolv_conf) - 1);
	if (rc == 0)
		rc = make_file(NETWORK_DIRECTORY "/hosts", "/etc/hosts", hosts, sizeof(hosts) - 1);
	if (rc < 0)
		return rc;
	cover("/etc/resolv.conf", NETWORK_DIRECTORY "/resolv.conf");
	cover("/etc/hosts", NETWORK_DIRECTORY "/hosts");
	return make_trust(s);
}
