/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file tree must do to be served: the contract between the FUSE server and its providers.
 *
 * A provider serves one tree (a host directory, memory, a copy-on-write pair).  A layer is a
 * provider that stands on another one and changes its answers (read-only, hidden names, nested
 * mounts).  Both are the same table of functions, so they stack in any order.
 *
 * Who may call.  One thread at a time for one stack of providers.  No function waits for a peer;
 * each may wait for the host's disk.
 *
 * Results.  Functions return 0 (or a count) or -errno; the errno goes to the guest as it is.  A
 * function that fails has changed nothing, except where it says otherwise.
 *
 * Names.  `name` is one component: 1 to 255 bytes, no '/', no NUL, never "." or "..".  The server
 * has checked that; any other bytes may occur.  Paths never reach a provider.
 *
 * Nodes.  A node is one file, whatever its names; a provider returns the same node for the same
 * file while anybody holds a reference to it.  (Copy on write has one for each name of a lower
 * file, all with the same inode number.)  A node that a function returns comes with one
 * reference for the caller (vfs_node_put gives it back); a node argument stays the caller's.
 * A node is only ever passed to the provider it came from, or to a layer above that one.
 *
 * Permission.  The guest's kernel checks permission against the attributes that it was given
 * (default_permissions).  Providers enforce only what the mount's policy says and what their own
 * host lets them do.
 */
#ifndef GONDOLIN_VFSD_PROVIDER_H
#define GONDOLIN_VFSD_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define VFS_NAME_MAX   255u
#define VFS_TARGET_MAX 4095u  /* bytes of a symbolic link's target */
#define VFS_XATTR_MAX  65536u /* bytes of a value, and of a list of names */

struct vfs_provider;

/* The head of every provider's own node; see "Nodes" above. */
struct vfs_node {
	struct vfs_provider *provider; /* whose it is: the lowest one that made it */
	uint32_t refs;
	uint32_t index; /* the server's: place in its table, 0 = the guest does not know it */
};

/* The head of every provider's own open file or directory. */
struct vfs_handle {
	struct vfs_provider *provider;
	struct vfs_node *node; /* holds a reference */
	bool directory;
	bool writable;
};

/* Attributes as the guest sees them. */
struct vfs_attr {
	uint64_t ino; /* never 0; the same while the node is known */
	uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	struct timespec atime, mtime, ctime;
	uint32_t mode; /* type and permission, as in stat(2) */
	uint32_t nlink;
	uint32_t uid, gid;
	uint32_t rdev; /* the kernel's 32-bit encoding; 0 unless a device */
	uint32_t blksize;
};

/* A node and its attributes. */
struct vfs_entry {
	struct vfs_node *node;
	struct vfs_attr attr;
};

/* What setattr changes. */
enum vfs_set {
	VFS_SET_MODE = 1 << 0,
	VFS_SET_UID = 1 << 1,
	VFS_SET_GID = 1 << 2,
	VFS_SET_SIZE = 1 << 3,
	VFS_SET_ATIME = 1 << 4, /* tv_nsec may be UTIME_NOW */
	VFS_SET_MTIME = 1 << 5,
	VFS_SET_KILL_PRIVILEGE = 1 << 6, /* not of directories: setuid goes, setgid where the group
					  * may execute */
};

struct vfs_change {
	unsigned set; /* bits of enum vfs_set */
	uint32_t mode;
	uint32_t uid, gid;
	uint64_t size; /* at most INT64_MAX */
	struct timespec atime, mtime;
};

/* What make, create and tmpfile make. */
struct vfs_make {
	uint32_t mode; /* type and permission, the caller's umask applied already */
	uint32_t uid, gid;
	uint32_t rdev;
	const char *target; /* of a symbolic link, NUL-terminated, 1 to VFS_TARGET_MAX bytes */
};

struct vfs_statfs {
	uint64_t blocks, bfree, bavail; /* of frsize bytes */
	uint64_t files, ffree;
	uint32_t bsize, frsize, namelen;
};

/* One name of a directory. */
struct vfs_dirent {
	const char *name; /* not NUL-terminated */
	size_t length;
	uint64_t ino;
	uint32_t type;   /* S_IF* bits of the mode, 0 = unknown */
	uint64_t cookie; /* the offset at which the reading goes on behind this entry; never 0 */
	struct vfs_entry entry; /* filled only where readdir was asked to; node may be NULL */
};

/*
 * Takes one entry.  Returns true when it took it (with the reference to entry.node), false when it
 * has no room: the provider gives the reference back itself, stops, and will give this entry again.
 */
typedef bool (*vfs_emit)(void *ctx, const struct vfs_dirent *d);

#define VFS_WRITE_APPEND         (1u << 0) /* at the end of the file, wherever that is by now */
#define VFS_WRITE_KILL_PRIVILEGE (1u << 1) /* as VFS_SET_KILL_PRIVILEGE */

/*
 * The functions.  All are present in every provider.  `p` is the provider (or layer) that is
 * called.
 */
struct vfs_provider_ops {
	const char *name; /* "host", "memory", ... */

	/* Ends the provider; no node and no handle of it is left, and a layer ends what is below.
	 */
	void (*free)(struct vfs_provider *p);

	/* The root directory; the reference stays the provider's. */
	struct vfs_node *(*root)(struct vfs_provider *p);

	/* Called by vfs_node_put when the last reference is gone (on node->provider). */
	void (*node_free)(struct vfs_provider *p, struct vfs_node *node);

	/*
	 * Finds a name.  -ENOENT, -ENOTDIR; -ESTALE where the directory is no longer what it was
	 * (the guest's kernel then looks its path up again).
	 */
	int (*lookup)(
	    struct vfs_provider *p, struct vfs_node *dir, const char *name, struct vfs_entry *out);

	/*
	 * Attributes.  h is an open handle of the node, or NULL.  An unlinked node that is open can
	 * be asked with and without its handle.
	 */
	int (*getattr)(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
	    struct vfs_attr *out);

	/*
	 * Changes attributes and returns the new ones.  On failure earlier parts (in the order
	 * owner, mode, size, times) may have taken effect.  An owner or a mode that the provider's
	 * store cannot hold is remembered for the guest (owner.h), never refused.
	 */
	int (*setattr)(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle *h,
	    const struct vfs_change *change, struct vfs_attr *out);

	/* The target's bytes, without NUL.  Returns their count, at most size. */
	ssize_t (*readlink)(
	    struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);

	/*
	 * Makes a directory, symbolic link, regular file, fifo or socket.  Devices are -EPERM.
	 * -EEXIST where the name exists, whatever it is.
	 */
	int (*make)(struct vfs_provider *p, struct vfs_node *dir, const char *name,
	    const struct vfs_make *make, struct vfs_entry *out);

	/*
	 * Opens a regular file, and makes it where it does not exist.  flags: O_ACCMODE, O_EXCL,
	 * O_TRUNC as in open(2).  *h is the caller's (close).
	 */
	int (*create)(struct vfs_provider *p, struct vfs_node *dir, const char *name,
	    const struct vfs_make *make, int flags, struct vfs_entry *out, struct vfs_handle **h);

	/* The same without a name (O_TMPFILE).  -EOPNOTSUPP where the store cannot. */
	int (*tmpfile)(struct vfs_provider *p, struct vfs_node *dir, const struct vfs_make *make,
	    int flags, struct vfs_entry *out, struct vfs_handle **h);

	/* Another name for a file that is no directory.  out->node is the same node. */
	int (*link)(struct vfs_provider *p, struct vfs_node *node, struct vfs_node *dir,
	    const char *name, struct vfs_entry *out);

	/* directory: rmdir(2), else unlink(2). */
	int (*unlink)(
	    struct vfs_provider *p, struct vfs_node *dir, const char *name, bool directory);

	/* rename(2); flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE, else -EINVAL.  Nodes move. */
	int (*rename)(struct vfs_provider *p, struct vfs_node *from, const char *old,
	    struct vfs_node *to, const char *new, unsigned flags);

	/*
	 * Opens a regular file.  flags: O_ACCMODE and O_TRUNC.  *unchanged tells whether its
	 * content is known to be what it was at the open before, so that the guest may keep what it
	 * has cached.
	 */
	int (*open)(struct vfs_provider *p, struct vfs_node *node, int flags, struct vfs_handle **h,
	    bool *unchanged);

	/* Ends a handle of open, create, tmpfile or opendir. */
	void (*close)(struct vfs_provider *p, struct vfs_handle *h);

	/* offset + size never passes INT64_MAX.  A read is short only at the end of the file. */
	ssize_t (*read)(struct vfs_provider *p, struct vfs_handle *h, void *buffer, size_t size,
	    uint64_t offset);
	ssize_t (*write)(struct vfs_provider *p, struct vfs_handle *h, const void *bytes,
	    size_t size, uint64_t offset, unsigned flags);

	/* copy_file_range(2) between two handles of this provider; -EXDEV where it cannot. */
	ssize_t (*copy)(struct vfs_provider *p, struct vfs_handle *in, uint64_t in_offset,
	    struct vfs_handle *out, uint64_t out_offset, size_t size);

	/* fallocate(2), with its modes; -EOPNOTSUPP for those that it does not know. */
	int (*allocate)(struct vfs_provider *p, struct vfs_handle *h, int mode, uint64_t offset,
	    uint64_t length);

	/* lseek(2) with SEEK_DATA or SEEK_HOLE.  Returns the offset. */
	int64_t (*seek)(struct vfs_provider *p, struct vfs_handle *h, uint64_t offset, int whence);

	/*
	 * flock(2) on an open file, without waiting: LOCK_SH, LOCK_EX or LOCK_UN.  -EWOULDBLOCK
	 * where another one holds it.  Only called where `shares_locks` is set.
	 */
	int (*flock)(struct vfs_provider *p, struct vfs_handle *h, int operation);

	/* fsync(2) or fdatasync(2), for a directory's handle too. */
	int (*sync)(struct vfs_provider *p, struct vfs_handle *h, bool data_only);

	/* Opens a directory for reading. */
	int (*opendir)(struct vfs_provider *p, struct vfs_node *node, struct vfs_handle **h);

	/*
	 * Gives the entries behind `cookie` (0 = from the start) to emit until that has no room or
	 * there are no more, "." and ".." among them.  with_entries: each entry but those two is
	 * looked up as well (entry.node is NULL where that failed).  A cookie stays good while the
	 * handle is open; an entry that is neither made nor removed meanwhile is given exactly
	 * once.
	 */
	int (*readdir)(struct vfs_provider *p, struct vfs_handle *h, uint64_t cookie,
	    bool with_entries, vfs_emit emit, void *ctx);

	int (*statfs)(struct vfs_provider *p, struct vfs_node *node, struct vfs_statfs *out);

	/*
	 * Extended attributes.  Names are NUL-terminated and begin with "user."; the server answers
	 * for all others.  size 0 asks for the length; -ERANGE where it does not fit.  list gives
	 * the names, each with its NUL, "user." ones only.
	 */
	ssize_t (*getxattr)(struct vfs_provider *p, struct vfs_node *node, const char *name,
	    void *buffer, size_t size);
	ssize_t (*listxattr)(
	    struct vfs_provider *p, struct vfs_node *node, char *buffer, size_t size);
	int (*setxattr)(struct vfs_provider *p, struct vfs_node *node, const char *name,
	    const void *value, size_t size, int flags);
	int (*removexattr)(struct vfs_provider *p, struct vfs_node *node, const char *name);

	/*
	 * Where a node was seen last: its directory (borrowed, NULL for the root and for a node
	 * without a name) and its name there.  For records and for layers that judge paths.
	 */
	struct vfs_node *(*where)(struct vfs_provider *p, struct vfs_node *node, const char **name);

	/*
	 * Stands for the file: the same for all its nodes, where names of one file have nodes of
	 * their own, and another file's never while one of them is known and nothing was changed.
	 */
	const void *(*identity)(struct vfs_provider *p, const struct vfs_node *node);
};

/* The head of every provider. */
struct vfs_provider {
	const struct vfs_provider_ops *ops;
	/*
	 * True where nobody but the guest changes the tree: the guest's kernel may cache names,
	 * attributes and written data for as long as it likes.
	 */
	bool exclusive;
	/* True where programs on the host can hold locks on the same files; else flock(2) is the
	 * guest kernel's own business. */
	bool shares_locks;
};

static inline void
vfs_node_ref(struct vfs_node *node)
{
	node->refs++;
}

/* Gives a reference back.  NULL is allowed. */
static inline void
vfs_node_put(struct vfs_node *node)
{
	if (node != NULL && --node->refs == 0)
		node->provider->ops->node_free(node->provider, node);
}

/* `identity` of providers that have one node for each file. */
static inline const void *
vfs_node_itself(struct vfs_provider *p, const struct vfs_node *node)
{
	(void)p;
	return node;
}

/* The two names that every directory lists and nobody makes. */
static inline bool
vfs_is_dots(const char *name, size_t length)
{
	return name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
}

/*
 * True where a directory lists just that name.  A file system that folds letters, or has short
 * names beside the long ones, finds a file by other names as well.  False where it cannot be
 * listed.
 */
bool vfs_lists(struct vfs_provider *p, struct vfs_node *dir, const char *name);

/*
 * Writes the path of a node from the mount's root ("a/b", "" for the root), for records.  A node
 * without a name gives "?".  Cut at the front where it does not fit.  p is the provider that the
 * server calls.
 */
void vfs_node_path(
    struct vfs_provider *p, struct vfs_node *node, const char *name, char *out, size_t size);

#endif
