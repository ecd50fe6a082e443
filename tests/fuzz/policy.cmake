# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(policy SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_policy.c LIBS gondolin_egress_core)
