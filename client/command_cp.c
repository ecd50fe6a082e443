/* SPDX-License-Identifier: Apache-2.0 */
/* cp: files of the guest and files of the host. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"

/* One side of the copy. */
struct place {
	char id[GONDOLIN_ID_SIZE]; /* "" = the host */
	const char *path;
};

/* ID:/PATH is the guest's; a host file of that form is written ./ID:/PATH. */
static int
parse_place(struct place *p, const char *word)
{
	size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-");

	*p = (struct place){.path = word};
	if (n == 0 || word[n] != ':' || strcmp(word, "-") == 0)
		return 0;
	if (n >= sizeof(p->id) || word[n + 1] != '/')
		return -EINVAL;
	memcpy(p->id, word, n);
	p->path = word + n + 1;
	return 0;
}

static int
copy(struct gondolin_session *session, const struct place *from, const struct place *to,
    struct gondolin_error *error)
{
	if (to->id[0] != '\0' && strcmp(from->path, "-") == 0)
		return gondolin_tar_in(session, STDIN_FILENO, to->path, error);
	if (to->id[0] != '\0')
		return gondolin_copy_in(session, from->path, to->path, error);
	if (strcmp(to->path, "-") == 0)
		return gondolin_tar_out(session, from->path, STDOUT_FILENO, error);
	return gondolin_copy_out(session, from->path, to->path, error);
}

int
command_cp(const struct command *c, char **words)
{
	struct gondolin_session *session;
	struct gondolin_error error;
	struct place from, to;
	struct options o;
	int code;

	if (command_options(c, &o, words, &code))
		return code;
	if (o.n_rest != 2)
		return command_misused(c, "takes a source and a destination");
	if (parse_place(&from, o.rest[0]) < 0 || parse_place(&to, o.rest[1]) < 0)
		return command_misused(c, "a path in the guest is ID:/PATH, absolute");
	if ((from.id[0] != '\0') == (to.id[0] != '\0'))
		return command_misused(
		    c, "one side is in a guest, as ID:/PATH, and the other one is on the host");
	code = gondolin_session_open(from.id[0] != '\0' ? from.id : to.id, &session, &error);
	if (code == 0)
		code = copy(session, &from, &to, &error);
	gondolin_session_close(session);
	return code < 0 ? command_failed(&error, EXIT_FAILED) : 0;
}
