# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(control
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_control.c ${CMAKE_CURRENT_SOURCE_DIR}/vmrunner_world.c
  LIBS gondolin_vmrunner_core)
