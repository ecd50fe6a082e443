/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether KVM runs a kernel on this host, as an attempt found it: $XDG_CACHE_HOME/gondolin/kvm
 * (root: /var/cache/gondolin/kvm; GONDOLIN_CACHE_DIR overrides).  The file belongs to the user whom
 * it concerns.
 */
#ifndef GONDOLIN_SUPERVISOR_KVM_VERDICT_H
#define GONDOLIN_SUPERVISOR_KVM_VERDICT_H

enum kvm_verdict { KVM_UNKNOWN, KVM_WORKS, KVM_USELESS };

/*
 * The verdict for this kernel and this QEMU binary; KVM_UNKNOWN where there is none for just them,
 * or it cannot be read.
 */
enum kvm_verdict kvm_verdict_read(const char *qemu);

/* Remembers it.  A verdict that cannot be kept is found anew next time. */
void kvm_verdict_write(const char *qemu, enum kvm_verdict verdict);

#endif
