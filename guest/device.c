/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for block devices and virtio-serial ports. */
#include "guest/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORTS_DIRECTORY "/sys/class/virtio-ports"

/* Below this the kernel's burst of a boot could be lost, which only costs a wake-up that repeats.
 */
#define EVENT_BUFFER (256 * 1024)

int
device_events_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int size = EVENT_BUFFER, fd, error;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int
milliseconds_left(const struct timespec *end)
{
	struct timespec now;
	long long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (end->tv_sec - now.tv_sec) * 1000LL + (end->tv_nsec - now.tv_nsec) / 1000000;
	return ms > 0 ? (int)ms : 0;
}

/* What the events say does not matter: each is a reason to look. */
static void
drain(int events)
{
	char buffer[8192];

	while (recv(events, buffer, sizeof(buffer), 0) >= 0 || errno == ENOBUFS)
		;
}

int
device_wait(int events, bool (*present)(void *ctx), void *ctx)
{
	struct pollfd p = {.fd = events, .events = POLLIN};
	struct timespec end;
	int n;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += DEVICE_WAIT_MS / 1000;
	while (!present(ctx)) {
		n = poll(&p, 1, milliseconds_left(&end));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		drain(events);
	}
	return 0;
}

bool
device_path_present(void *ctx)
{
	return access(ctx, F_OK) == 0;
}

struct port_search {
	const char *name;
	char path[300]; /* /dev/vportNpM */
};

static bool
port_has_name(const char *port, const char *name)
{
	char path[300], text[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), PORTS_DIRECTORY "/%s/name", port);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

static bool
port_present(void *ctx)
{
	struct port_search *s = ctx;
	struct dirent *d;
	bool found = false;
	DIR *dir = opendir(PORTS_DIRECTORY);

	if (dir == NULL)
		return false;
	while (!found && (d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || !port_has_name(d->d_name, s->name))
			continue;
		snprintf(s->path, sizeof(s->path), "/dev/%s", d->d_name);
		found = access(s->path, F_OK) == 0;
	}
	closedir(dir);
	return found;
}

/*
 * The driver says EPOLLHUP and reads end of file until the device has told it that the host end is
 * open.  Edge-triggered, because a level would report the hang-up without pause.
 */
static int
wait_connected(int port)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	int epoll, n, rc = 0;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		return -errno;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, port, &e) < 0) {
		rc = -errno;
		goto out;
	}
	do {
		n = epoll_wait(epoll, &e, 1, DEVICE_WAIT_MS);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		if (n == 0)
			rc = -ETIMEDOUT;
	} while (rc == 0 && (n < 0 || (e.events & EPOLLHUP) != 0));
out:
	close(epoll);
	return rc;
}

int
device_port_open(int events, const char *name)
{
	struct port_search s = {.name = name};
	int port, rc;

	rc = device_wait(events, port_present, &s);
	if (rc < 0)
		return rc;
	port = open(s.path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (port < 0)
		return -errno;
	rc = wait_connected(port);
	if (rc < 0) {
		close(port);
		return rc;
	}
	return port;
}
