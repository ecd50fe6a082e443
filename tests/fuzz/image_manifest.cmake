# SPDX-License-Identifier: Apache-2.0
gondolin_fuzz(image_manifest SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_image_manifest.c LIBS gondolin_image)
