/* SPDX-License-Identifier: Apache-2.0 */
/* The starter's side of JAIL_REPORT_NOTIFY: a notifier on which a forbidden call waits for ever. */
#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "jail/internal.h"

int
jail_notify_receive(int notify_fd, struct jail_notification *out)
{
	struct pollfd p = {.fd = notify_fd, .events = POLLIN};
	struct seccomp_notif *request;
	int error;

	/* Receiving would wait where the caller was interrupted meanwhile. */
	if (poll(&p, 1, 0) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p.revents & POLLNVAL)
		return -EBADF;
	if (!(p.revents & POLLIN))
		return p.revents & POLLHUP ? -ENOENT : 0;
	/* The kernel's structure may be longer than the header's: libseccomp asks. */
	if (seccomp_notify_alloc(&request, NULL) < 0)
		return -ENOMEM;
	error = seccomp_notify_receive(notify_fd, request);
	if (error == 0) {
		out->id = request->id;
		out->number = request->data.nr;
		memcpy(out->args, request->data.args, sizeof(out->args));
	} else {
		error = errno == ENOENT || errno == EINTR ? 0 : -errno;
	}
	seccomp_notify_free(request, NULL);
	return error < 0 ? error : out->id != 0;
}

int
jail_notify_continue(int notify_fd, uint64_t id)
{
	struct seccomp_notif_resp *response;
	int error = 0;

	if (seccomp_notify_alloc(NULL, &response) < 0)
		return -ENOMEM;
	response->id = id;
	response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (seccomp_notify_respond(notify_fd, response) != 0)
		error = -errno;
	seccomp_notify_free(NULL, response);
	return error;
}

int
jail_notified(int notify_fd, int pidfd, char *report, size_t report_size)
{
	struct jail_notification n = {0};
	int got = jail_notify_receive(notify_fd, &n);

	if (got <= 0)
		return got;
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	jail_report_format(report, report_size, n.number, n.args);
	return 1;
}
