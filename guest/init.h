/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process 1 of the guest.
 *
 * It starts as /init of an initramfs that holds
 *	/init		 this program
 *	/modules.list	 one path of a kernel module a line, in load order, relative to /
 *	/modules/x.ko	 the modules, not compressed
 *	/proc /sys /dev /newroot	 empty directories
 * makes the root file system of /dev/vda the guest's root, starts the agent and from then on only
 * reaps, until the agent ends; then it ends the guest.
 *
 * The kernel's command line says `gondolin.rootfs=ro` or `gondolin.rootfs=rw` (the default).  With
 * ro the only writable places are the tmpfs on /run, /tmp and /dev/shm.
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

/* Everything that process 1 does; it does not return. */
void init_main(void) __attribute__((noreturn));

/* Writes "gondolin-guest: ..." to the console and returns -error for the caller to pass on. */
int init_error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- The steps, in order.  Each returns 0, or -errno after it has said why. ---- */

/* /proc, /sys and /dev; from here on stdio is the console. */
int mounts_early(void);

/* Loads what path lists.  A module that is missing or fails is said and passed over. */
int modules_load(const char *list);

/* Finds gondolin.rootfs in a kernel command line. */
int init_parse_command_line(const char *text, bool *read_only);

/* Mounts the root device on /newroot, moves there and deletes the initramfs's content. */
int mounts_switch_root(int events, bool read_only);

/* /run, /tmp, /dev/pts, /dev/shm and the links of /dev. */
int mounts_late(void);

/* Host name, loopback, limits. */
int init_identity(void);

/* ---- The end ---- */

/* Reaps every child until `agent` has ended; returns its wait status. */
int init_reap_until(pid_t agent);

/*
 * SIGTERM to every process, SIGKILL to what is left after grace_ms, file systems made clean.
 * Callable only in process 1 of a pid namespace.
 */
void shutdown_processes(uint32_t grace_ms);

/* Makes the file systems clean and powers off; does not return. */
void shutdown_machine(void) __attribute__((noreturn));

#endif
