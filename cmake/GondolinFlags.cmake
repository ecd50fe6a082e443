# SPDX-License-Identifier: Apache-2.0
# The one place where compiler and linker flags live: link `gondolin_flags` and nothing else.
option(GONDOLIN_SANITIZE "Build with AddressSanitizer, UBSan and libFuzzer (clang)" OFF)
option(GONDOLIN_WERROR "Treat warnings as errors" ON)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)

add_library(gondolin_flags INTERFACE)
target_compile_definitions(gondolin_flags INTERFACE _GNU_SOURCE GONDOLIN_VERSION="${PROJECT_VERSION}")
target_include_directories(gondolin_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(gondolin_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes
  -Wcast-qual -Wvla -Wundef
  -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
  # What goes into the shared library is PIC, all else PIE.
  -f$<IF:$<BOOL:$<TARGET_PROPERTY:POSITION_INDEPENDENT_CODE>>,PIC,PIE>
  -fno-semantic-interposition -fno-strict-aliasing)
if(GONDOLIN_WERROR)
  target_compile_options(gondolin_flags INTERFACE -Werror)
endif()

# clang before 16 wants a second switch before it accepts zero; pattern is its supported spelling.
if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 16)
  target_compile_options(gondolin_flags INTERFACE -ftrivial-auto-var-init=pattern)
else()
  target_compile_options(gondolin_flags INTERFACE -ftrivial-auto-var-init=zero)
endif()

if(GONDOLIN_SANITIZE)
  target_compile_options(gondolin_flags INTERFACE
    -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
  target_link_options(gondolin_flags INTERFACE -fsanitize=address,undefined)
else()
  # _FORTIFY_SOURCE needs an optimising build; clang 14 knows level 2 only and ignores 3's extra.
  target_compile_options(gondolin_flags INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=3>)
endif()

# Hardened linking for every program but the guest's, which is static.
add_library(gondolin_program INTERFACE)
target_link_libraries(gondolin_program INTERFACE gondolin_flags)
target_link_options(gondolin_program INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)

# Asserts are for our own bugs and stay on in release.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()
