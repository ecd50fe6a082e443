/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that the guest shares with programs on the host: flock(2).
 *
 * Only flock is asked for (FUSE_FLOCK_LOCKS): one open file of the guest is one of the host, so the
 * host's kernel can judge.  Locks of fcntl(2) belong to a process, and the guest's processes are
 * none of the host's: the guest's kernel keeps those itself.
 *
 * A lock that has to wait is put aside and tried again; the server goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "vfsd/server_internal.h"

struct server_waiter {
	struct server_waiter *next;
	struct vfs_handle *handle;
	struct fuse_in_header request;
	int operation;
};

static int
operation_of(uint32_t type, int *operation)
{
	switch (type) {
	case F_RDLCK:
		*operation = LOCK_SH;
		return 0;
	case F_WRLCK:
		*operation = LOCK_EX;
		return 0;
	case F_UNLCK:
		*operation = LOCK_UN;
		return 0;
	default:
		return -EINVAL;
	}
}

static int
wait_for(
    struct vfs_server *s, struct vfs_handle *h, const struct fuse_in_header *request, int operation)
{
	struct server_waiter *w, **at = &s->waiters;

	if (s->n_waiters >= s->config.limits.locks)
		return -ENOLCK;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOLCK;
	w->handle = h;
	w->request = *request;
	w->operation = operation;
	while (*at != NULL)
		at = &(*at)->next;
	*at = w;
	s->n_waiters++;
	return 0;
}

bool
server_shares_locks(const struct vfs_server *s)
{
	return s->provider->shares_locks && !s->config.local_locks;
}

/* SETLK and SETLKW. */
ssize_t
server_setlk(struct vfs_server *s, const struct fuse_request *r, struct vfs_node *node)
{
	const struct fuse_lk_in *in = &r->arg.lk;
	struct vfs_handle *h = server_handle(s, in->fh, node, false);
	int operation, error;

	if (!(in->lk_flags & FUSE_LK_FLOCK) || !server_shares_locks(s))
		return -ENOSYS;
	if (h == NULL)
		return -EBADF;
	error = operation_of(in->lk.type, &operation);
	if (error != 0)
		return error;
	error = s->provider->ops->flock(s->provider, h, operation);
	if (error != -EWOULDBLOCK || r->header.opcode != FUSE_SETLKW)
		return error;
	error = wait_for(s, h, &r->header, operation);
	return error != 0 ? error : SERVER_NO_REPLY;
}

/* Takes a waiter out and answers it. */
static int
answer(struct vfs_server *s, struct server_waiter **at, int error)
{
	struct server_waiter *w = *at;
	const struct fuse_request r = {.header = w->request};

	*at = w->next;
	server_record(s, &r, w->handle->node, error);
	free(w);
	s->n_waiters--;
	return server_send_later(s, r.header.unique, error);
}

int
server_locks_interrupt(struct vfs_server *s, uint64_t unique)
{
	struct server_waiter **at;

	for (at = &s->waiters; *at != NULL; at = &(*at)->next) {
		if ((*at)->request.unique == unique)
			return answer(s, at, -EINTR);
	}
	return 0;
}

void
server_locks_release(struct vfs_server *s, const struct vfs_handle *h)
{
	struct server_waiter **at = &s->waiters;

	while (*at != NULL) {
		if ((*at)->handle == h)
			(void)answer(s, at, -EBADF);
		else
			at = &(*at)->next;
	}
}

void
server_locks_clear(struct vfs_server *s)
{
	struct server_waiter *w, *next;

	for (w = s->waiters; w != NULL; w = next) {
		next = w->next;
		free(w);
	}
	s->waiters = NULL;
	s->n_waiters = 0;
}

int
vfs_server_retry_locks(struct vfs_server *s)
{
	struct server_waiter **at = &s->waiters;
	int error, sent = 0;

	while (*at != NULL && sent == 0) {
		error = s->provider->ops->flock(s->provider, (*at)->handle, (*at)->operation);
		if (error == -EWOULDBLOCK)
			at = &(*at)->next;
		else
			sent = answer(s, at, error);
	}
	return sent;
}
