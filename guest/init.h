/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process 1 of the guest.
 *
 * It starts as /init of an initramfs that holds
 *	/init		 this program
 *	/modules.list	 a line for each kernel module, in load order: its path relative to /, and
 *			 when to load it: nothing = at once; otherwise words, each a reason:
 *			 virtio:ID the machine has such a device, late once the agent runs, any
 *			 other when the kernel asks for a module of that name
 *	/modules/x.ko	 the modules, not compressed
 *	/proc /sys /dev /newroot	 empty directories
 * makes the root file system of /dev/vda the guest's root, starts the agent and from then on only
 * reaps, until the agent ends; then it ends the guest.
 *
 * The kernel's command line says `gondolin.rootfs=ro` or `gondolin.rootfs=rw` (the default).  With
 * ro the only writable places are the tmpfs on /run, /tmp and /dev/shm.  The word `gondolin.mounts`
 * says that vfsd's port is there: the mounts come before the agent (relay.h).
 *
 * Whatever fails is one line on the console that begins "gondolin-guest: ", and the guest powers
 * off.
 */
#ifndef GONDOLIN_GUEST_INIT_H
#define GONDOLIN_GUEST_INIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define INIT_ROOT_DEVICE  "/dev/vda"
#define INIT_GRACE_MAX_MS 60000u

/* Process 1's, at a number that the kernel's modprobe knows. */
#define INIT_INITRAMFS_FD      9
#define INIT_INITRAMFS_FD_TEXT "9"

/* Everything that process 1 does; it does not return. */
void init_main(void) __attribute__((noreturn));

/* Writes "gondolin-guest: ..." to the console and returns -error for the caller to pass on. */
int init_error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- The steps, in order.  Each returns 0, or -errno after it has said why. ---- */

/* /proc, /sys and /dev; from here on stdio is the console. */
int mounts_early(void);

/* Loads what the boot needs.  A module that is missing or fails is said and passed over. */
int modules_load(void);

/* What the kernel's command line says to init. */
struct init_options {
	bool read_only; /* gondolin.rootfs=ro */
	bool mounts;    /* gondolin.mounts */
};

int init_parse_command_line(const char *text, struct init_options *o);

/* Mounts the root device on /newroot and moves there; INIT_INITRAMFS_FD stays in the initramfs. */
int mounts_switch_root(int events, bool read_only);

/* From here on the kernel gets the modules that it asks for. */
int modules_serve(void);

/* /run, /tmp, /dev/pts, /dev/shm and the links of /dev. */
int mounts_late(void);

/* Makes the directory and those above it, where they are missing.  Returns 0 or -errno. */
int mounts_make_directories(const char *path);

/* Host name, loopback, limits. */
int init_identity(void);

/* What nobody waits for; called once the agent runs. */
void modules_load_late(void);

/* ---- As the kernel's modprobe ---- */

/* Loads what goes by that name.  Returns an exit code, or becomes the image's own modprobe. */
int modules_request(char *name);

/* True where the words of a line of modules.list, parted by spaces, have that one. */
bool modules_line_has(const char *words, const char *word);

/* ---- The end ---- */

/*
 * Reaps every child until `agent` or `relay` (0: there is none) has ended; returns which, with its
 * wait status.
 */
pid_t init_reap_until(pid_t agent, pid_t relay, int *status);

/*
 * SIGTERM to every process, SIGKILL to what is left after grace_ms, or as soon as only `relay` (0:
 * there is none) is left, which the others need for their files.  Callable only in process 1 of a
 * pid namespace.
 */
void shutdown_processes(uint32_t grace_ms, pid_t relay);

/* Makes the file systems clean and powers off; does not return. */
void shutdown_machine(void) __attribute__((noreturn));

#endif
