# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(net_frame SOURCES fuzz_net_frame.c LIBS gondolin_netstack)
