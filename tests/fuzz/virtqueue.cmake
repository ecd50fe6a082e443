# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(virtqueue SOURCES fuzz_virtqueue.c ${CMAKE_SOURCE_DIR}/tests/unit/vfsd/machine.c LIBS gondolin_vfs)
gondolin_fuzz(vhost_user SOURCES fuzz_vhost_user.c ${CMAKE_SOURCE_DIR}/tests/unit/vfsd/machine.c LIBS gondolin_vfs)
