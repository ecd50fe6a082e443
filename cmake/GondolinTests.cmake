# SPDX-License-Identifier: Apache-2.0
# gondolin_unit_test(NAME SOURCES a.c... LIBS x...): one CUnit binary, one ctest entry `unit/NAME`.
# gondolin_fuzz(NAME SOURCES fuzz_x.c LIBS x...): a libFuzzer target with sanitizers on, and in every
# build a replay of corpus/NAME/* as ctest entry `fuzz/NAME`.
function(gondolin_unit_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBS" ${ARGN})
  pkg_check_modules(CUNIT REQUIRED IMPORTED_TARGET cunit)
  add_executable(unit_${name} ${T_SOURCES})
  target_link_libraries(unit_${name} PRIVATE gondolin_program ${T_LIBS} PkgConfig::CUNIT)
  add_test(NAME unit/${name} COMMAND unit_${name})
  set_tests_properties(unit/${name} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

function(gondolin_fuzz name)
  cmake_parse_arguments(F "" "" "SOURCES;LIBS" ${ARGN})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_executable(fuzz_${name} ${F_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE gondolin_program ${F_LIBS})
  if(GONDOLIN_SANITIZE)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz/${name} COMMAND fuzz_${name} -runs=0 ${corpus})
  else()
    target_sources(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME fuzz/${name} COMMAND fuzz_${name} ${corpus})
  endif()
  set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT 300 LABELS fuzz)
endfunction()
