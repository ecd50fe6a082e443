/* SPDX-License-Identifier: Apache-2.0 */
/* Files in and out of the guest as tar streams. */
#include "guest/builtin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/tar.h"

static int
fail(const char *path, int error)
{
	char name[256];

	log_line("%s: %s", log_escape(name, sizeof(name), path, strlen(path)), strerror(error));
	return 1;
}

static int
tar_in(const char *path)
{
	struct tar_extract_options options;
	char name[NAME_MAX + 1], why[TAR_WHY_MAX];
	int input = STDIN_FILENO, dir, rc;
	const struct tar_source source = tar_source_fd(&input);

	rc = tar_open_destination(path, &dir, &options, name);
	if (rc < 0)
		return fail(path, -rc);
	rc = tar_extract(dir, &source, &options, why);
	close(dir);
	if (rc < 0)
		log_line("%s", why);
	return rc < 0 ? 1 : 0;
}

static void
warn(void *ctx, const char *line)
{
	(void)ctx;
	log_line("%s", line);
}

static int
tar_out(const char *path)
{
	const struct tar_write_options options = {.warn = warn};
	char name[NAME_MAX + 1];
	int output = STDOUT_FILENO, dir, rc;
	const struct tar_sink sink = tar_sink_fd(&output);

	rc = tar_open_source(path, &dir, name);
	if (rc == 0 && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		rc = -errno;
		close(dir);
	}
	if (rc < 0)
		return fail(path, -rc);
	rc = tar_write_tree(dir, name, name, &sink, &options);
	close(dir);
	return rc < 0 ? 1 : 0;
}

int
builtin_run(Gondolin__AgentBuiltin builtin, const char *path)
{
	static int (*const runs[])(const char *path) = {
	    [GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_IN] = tar_in,
	    [GONDOLIN__AGENT_BUILTIN__AGENT_BUILTIN_TAR_OUT] = tar_out,
	};

	return runs[builtin](path);
}
