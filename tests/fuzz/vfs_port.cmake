# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(vfs_port SOURCES fuzz_vfs_port.c LIBS gondolin_vfsd_core)
