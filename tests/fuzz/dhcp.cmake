# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(dhcp SOURCES fuzz_dhcp.c LIBS gondolin_netstack)
