# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(client_hello SOURCES fuzz_client_hello.c LIBS gondolin_netparse)
