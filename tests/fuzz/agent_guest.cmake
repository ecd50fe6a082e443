# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(agent_guest SOURCES fuzz_agent_guest.c LIBS gondolin_guest)
