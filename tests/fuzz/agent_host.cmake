# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(agent_host
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_agent_host.c ${CMAKE_CURRENT_SOURCE_DIR}/vmrunner_world.c
  LIBS gondolin_vmrunner_core)
