# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(http1_server SOURCES fuzz_http1_server.c proxy_flow.c proxy_world.c LIBS gondolin_netproxy_core)
