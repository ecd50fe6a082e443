# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(websocket SOURCES fuzz_websocket.c LIBS gondolin_netparse)
