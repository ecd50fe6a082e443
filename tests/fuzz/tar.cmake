# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(tar SOURCES fuzz_tar.c LIBS gondolin_tar)
