# SPDX-License-Identifier: Apache-2.0
set(vfs_pair ${CMAKE_CURRENT_SOURCE_DIR}/vfs_pair.c ${CMAKE_SOURCE_DIR}/tests/unit/vfs/guest.c)
gondolin_fuzz(fuse_request SOURCES fuzz_fuse_request.c ${vfs_pair} LIBS gondolin_vfs)
gondolin_fuzz(provider_host SOURCES fuzz_provider_host.c ${vfs_pair} LIBS gondolin_vfs)
gondolin_fuzz(provider_cow SOURCES fuzz_provider_cow.c ${vfs_pair} LIBS gondolin_vfs)
gondolin_fuzz(provider_memory SOURCES fuzz_provider_memory.c ${vfs_pair} LIBS gondolin_vfs)
