# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(json SOURCES fuzz_json.c LIBS gondolin_wire)
