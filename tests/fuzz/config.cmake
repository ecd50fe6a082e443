# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(config SOURCES fuzz_config.c LIBS gondolin_config)
