# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(http1 SOURCES fuzz_http1.c LIBS gondolin_netparse)
