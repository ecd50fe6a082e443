# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(changes SOURCES fuzz_changes.c LIBS gondolin_changes)
