/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of one file system, from inside a guest: one line "name<TAB>value" for each row. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_SIZE (64u << 20)
#define BLOCK     (1u << 20)
#define SMALL     4096u
#define RANDOM    2000u
#define FILES     1000u

static char block[BLOCK];

static void
check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
row(const char *name, double count, double began)
{
	printf("%s\t%.1f\n", name, count / (now() - began));
	fflush(stdout);
}

/* The guest's caches; the host's stay warm for all that are compared. */
static void
drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	check(fd >= 0 && write(fd, "3", 1) == 1, "drop_caches");
	close(fd);
}

static off_t
random_offset(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (off_t)(*seed >> 8) % (FILE_SIZE / SMALL) * (off_t)SMALL;
}

static void
sequential(const char *path)
{
	double began = now();
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	size_t i;

	check(fd >= 0, path);
	memset(block, 'x', sizeof(block));
	for (i = 0; i < FILE_SIZE / BLOCK; i++)
		check(write(fd, block, BLOCK) == (ssize_t)BLOCK, "write");
	check(fsync(fd) == 0, "fsync");
	row("sequential write MB/s", FILE_SIZE / 1e6, began);
	close(fd);
	drop_caches();
	began = now();
	fd = open(path, O_RDONLY);
	while (read(fd, block, BLOCK) > 0)
		;
	row("sequential read MB/s", FILE_SIZE / 1e6, began);
	close(fd);
}

static void
scattered(const char *path)
{
	uint32_t seed = 1, i;
	double began;
	int fd;

	drop_caches();
	fd = open(path, O_RDWR);
	check(fd >= 0, path);
	check(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0, "fadvise");
	began = now();
	for (i = 0; i < RANDOM; i++)
		check(pread(fd, block, SMALL, random_offset(&seed)) == (ssize_t)SMALL, "pread");
	row("4 KiB random read /s", RANDOM, began);
	began = now();
	for (i = 0; i < RANDOM; i++)
		check(pwrite(fd, block, SMALL, random_offset(&seed)) == (ssize_t)SMALL, "pwrite");
	check(fsync(fd) == 0, "fsync");
	row("4 KiB random write /s", RANDOM, began);
	close(fd);
}

static void
list(void)
{
	DIR *d = opendir(".");
	struct dirent *e;
	struct stat st;

	check(d != NULL, "opendir");
	while ((e = readdir(d)) != NULL)
		check(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, e->d_name);
	closedir(d);
}

static void
many(const char *path)
{
	struct stat st;
	char name[16];
	double began;
	size_t i;
	int fd;

	check(mkdir(path, 0755) == 0 && chdir(path) == 0, path);
	began = now();
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		check(fd >= 0, name);
		close(fd);
	}
	row("create /s", FILES, began);
	drop_caches();
	began = now();
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		check(stat(name, &st) == 0, name);
	}
	row("stat (cold) /s", FILES, began);
	drop_caches();
	began = now();
	list();
	row("list and stat (cold) /s", FILES, began);
	began = now();
	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		check(unlink(name) == 0, name);
	}
	row("unlink /s", FILES, began);
	check(chdir("..") == 0 && rmdir(path) == 0, path);
}

int
main(int argc, char **argv)
{
	check(argc == 2 && chdir(argv[1]) == 0, "a directory");
	sequential("big");
	scattered("big");
	check(unlink("big") == 0, "unlink");
	many("many");
	return 0;
}
