# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(agent_reader SOURCES fuzz_agent_reader.c LIBS gondolin_wire)
