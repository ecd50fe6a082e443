# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(egress_message SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_egress_message.c LIBS gondolin_egress_process)
