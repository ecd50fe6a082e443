# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(dns SOURCES fuzz_dns.c LIBS gondolin_netparse)
