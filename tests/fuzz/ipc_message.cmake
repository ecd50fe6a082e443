# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(ipc_message SOURCES fuzz_ipc_message.c LIBS gondolin_wire)
