/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line: a microvm with the fewest devices, everything over inherited descriptors. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmrunner/qemu/qemu.h"

static void __attribute__((format(printf, 2, 3)))
add(struct qemu_command *c, const char *format, ...)
{
	size_t room = sizeof(c->text) - c->used;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(c->text + c->used, room, format, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < room && c->argc + 1 < sizeof(c->argv) / sizeof(c->argv[0]));
	c->argv[c->argc++] = c->text + c->used;
	c->argv[c->argc] = NULL;
	c->used += (size_t)n + 1;
}

static void
add_pair(struct qemu_command *c, const char *option, const char *value)
{
	add(c, "%s", option);
	add(c, "%s", value);
}

/*
 * x-option-roms=off and no PIC or PIT: nothing that a Linux guest asks for is left out, and each
 * saves start-up time.  The RTC stays, or the guest would begin in 1970 and no certificate would be
 * valid.
 */
static void
add_machine(struct qemu_command *c, const struct qemu_machine *m)
{
	add(c, "-machine");
	add(c, "microvm,x-option-roms=off,rtc=on,usb=off,graphics=off%s",
	    m->devices > 0 ? ",memory-backend=ram" : "");
	/* The firmware that starts a kernel by itself; the default is not the same everywhere. */
	add_pair(c, "-bios", "qboot.rom");
	/* The default translation buffer is a quarter of the host's memory, up to 1 GiB. */
	add_pair(c, "-accel", m->kvm ? "kvm" : "tcg,tb-size=256,thread=multi");
	/* With ERMS the kernel copies and clears with `rep movsb`, which TCG does a byte at a time.
	 */
	add_pair(c, "-cpu", m->kvm ? "host" : "max,erms=off");
	add(c, "-smp");
	add(c, "%u", m->cpus);
	add(c, "-m");
	add(c, "%lluM", (unsigned long long)(m->memory >> 20));
	if (m->devices == 0)
		return;
	/* vfsd maps it, and relies on it that it is sealed against shrinking. */
	add(c, "-object");
	add(c, "memory-backend-memfd,id=ram,size=%lluM,share=on,seal=on",
	    (unsigned long long)(m->memory >> 20));
}

/*
 * Nobody waits for anything else while a guest boots: grace periods that its processors are hurried
 * through make each module and mount some milliseconds shorter.  Memory that is cleared whenever it
 * is handed out guards a kernel against those who run on it; this one's wall is around the machine.
 *
 * Under TCG the guest reads the host's time-stamp counter, and on a busy host the kernel cannot
 * calibrate it against the PIT in time: it would hang before its first line.  So it is told.
 */
static void
add_kernel(struct qemu_command *c, const struct qemu_machine *m)
{
	char tsc[48] = "";

	if (!m->kvm && m->tsc_khz != 0)
		snprintf(tsc, sizeof(tsc), " tsc=reliable tsc_early_khz=%u", m->tsc_khz);
	add_pair(c, "-kernel", QEMU_KERNEL_PATH);
	add_pair(c, "-initrd", QEMU_INITRAMFS_PATH);
	add(c, "-append");
	add(c,
	    "console=ttyS0 reboot=t panic=-1 cryptomgr.notests=1 rcupdate.rcu_expedited=1 "
	    "init_on_alloc=0 %s gondolin.rootfs=%s%s%s%s%s",
	    m->verbose_console ? "earlyprintk=ttyS0" : "quiet loglevel=4",
	    m->writable_root ? "rw" : "ro", m->mounts ? " gondolin.mounts" : "", tsc,
	    m->cmdline[0] != '\0' ? " " : "", m->cmdline);
}

static void
add_disk(struct qemu_command *c, const struct qemu_machine *m)
{
	add(c, "-add-fd");
	add(c, "set=1,fd=%d", QEMU_FD_ROOTFS);
	add_pair(c, "-blockdev",
	    "driver=file,node-name=image-file,filename=/dev/fdset/"
	    "1,read-only=on,locking=off,aio=threads");
	add_pair(c, "-blockdev", "driver=raw,node-name=image,file=image-file,read-only=on");
	if (m->writable_root) {
		add(c, "-add-fd");
		add(c, "set=2,fd=%d", QEMU_FD_OVERLAY);
		/* Nothing outlives the sandbox: a flush need not reach the platter. */
		add_pair(c, "-blockdev",
		    "driver=file,node-name=overlay-file,filename=/dev/fdset/"
		    "2,locking=off,aio=threads,"
		    "cache.no-flush=on");
		add_pair(c, "-blockdev",
		    "driver=qcow2,node-name=root,file=overlay-file,backing=image,cache.no-flush=on,"
		    "discard=unmap");
	}
	add_pair(c, "-device",
	    m->writable_root ? "virtio-blk-device,drive=root,werror=enospc"
			     : "virtio-blk-device,drive=image");
}

static void
add_ports(struct qemu_command *c, const struct qemu_machine *m)
{
	add(c, "-chardev");
	add(c, "socket,id=console,fd=%d", QEMU_FD_CONSOLE);
	add_pair(c, "-serial", "chardev:console");
	add(c, "-chardev");
	add(c, "socket,id=qmp,fd=%d", QEMU_FD_QMP);
	add_pair(c, "-mon", "chardev=qmp,mode=control");
	/* The guest's driver makes two queues for each port that could be, at boot; port 0 is the
	 * bus's. */
	add(c, "-device");
	add(c, "virtio-serial-device,id=ports,max_ports=%d", m->mounts ? 3 : 2);
	add(c, "-chardev");
	add(c, "socket,id=agent,fd=%d", QEMU_FD_AGENT);
	add_pair(
	    c, "-device", "virtserialport,bus=ports.0,nr=1,chardev=agent,name=org.gondolin.agent");
	if (!m->mounts)
		return;
	add(c, "-chardev");
	add(c, "socket,id=vfs,fd=%d", QEMU_FD_VFS);
	add_pair(c, "-device", "virtserialport,bus=ports.0,nr=2,chardev=vfs,name=org.gondolin.vfs");
}

/*
 * A mount's requests lie in the guest's memory, where vfsd reads and answers them; QEMU says where.
 * One of 1 MiB is 256 pages and four descriptors more: the guest's kernel asks for as much as fits
 * into the queue.
 */
static void
add_devices(struct qemu_command *c, const struct qemu_machine *m)
{
	unsigned i;

	if (m->devices == 0)
		return;
	/* vhost-user knows the queues of virtio 1 alone. */
	add_pair(c, "-global", "virtio-mmio.force-legacy=false");
	for (i = 0; i < m->devices; i++) {
		add(c, "-chardev");
		add(c, "socket,id=files%u,fd=%u", i, QEMU_FD_DEVICES + i);
		add(c, "-device");
		add(c, "vhost-user-fs-device,queue-size=512,chardev=files%u,tag=" MOUNT_TAG, i, i);
	}
}

/* Frames travel as datagrams, one each, over a socket that QEMU inherits. */
static void
add_network(struct qemu_command *c, const struct qemu_machine *m)
{
	if (m->mtu == 0)
		return;
	add(c, "-netdev");
	add(c, "dgram,id=link,local.type=fd,local.str=%d", QEMU_FD_LINK);
	add(c, "-device");
	add(c, "virtio-net-device,netdev=link,host_mtu=%u", m->mtu);
}

void
qemu_command_build(struct qemu_command *c, const struct qemu_machine *m)
{
	memset(c, 0, sizeof(*c));
	add(c, "qemu-system-x86_64");
	add(c, "-nodefaults");
	add(c, "-no-user-config");
	add(c, "-no-reboot");
	add_pair(c, "-display", "none");
	add_pair(c, "-sandbox",
	    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add_machine(c, m);
	add_kernel(c, m);
	add_disk(c, m);
	add_ports(c, m);
	add_devices(c, m);
	add_network(c, m);
	add_pair(c, "-object", "rng-builtin,id=rng");
	add_pair(c, "-device", "virtio-rng-device,rng=rng");
}
