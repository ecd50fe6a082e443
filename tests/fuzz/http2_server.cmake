# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(http2_server SOURCES fuzz_http2_server.c proxy_flow.c proxy_world.c LIBS gondolin_netproxy_core)
