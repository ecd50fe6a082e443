/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every part of the library needs. */
#include "client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/packet.h"

#define SEND_WAIT_MS 10000

const char *
gondolin_version(void)
{
	return GONDOLIN_VERSION;
}

int
client_fail(struct gondolin_error *error, int code, const char *format, ...)
{
	char line[GONDOLIN_MESSAGE_MAX * 2];
	va_list args;
	int n;

	if (error == NULL)
		return code;
	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(line))
		n = sizeof(line) - 1;
	error->code = code;
	error->reported = false;
	log_escape(error->message, sizeof(error->message), line, (size_t)n);
	return code;
}

int
client_fail_reported(struct gondolin_error *error, int code, const char *message)
{
	client_fail(error, code, "%s", message);
	if (error != NULL)
		error->reported = true;
	return code;
}

int
client_send(int control, const Gondolin__ClientToVmrunner *message, const int *fds, size_t n_fds)
{
	struct pollfd writable = {.fd = control, .events = POLLOUT};
	int rc;

	while ((rc = ipc_packet_send(control, &message->base, fds, n_fds)) == -EAGAIN) {
		rc = poll(&writable, 1, SEND_WAIT_MS);
		if (rc < 0 && errno != EINTR)
			return -errno;
		if (rc == 0)
			return -ETIMEDOUT;
	}
	return rc;
}

int
client_non_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

void
client_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
