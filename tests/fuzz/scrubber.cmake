# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(scrubber SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_scrubber.c
  ${CMAKE_CURRENT_SOURCE_DIR}/scrub_oracle.c LIBS gondolin_egress_core)
