# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(scrubber SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_scrubber.c LIBS gondolin_egress_core)
