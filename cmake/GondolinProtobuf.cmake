# SPDX-License-Identifier: Apache-2.0
# gondolin_protobuf(TARGET file.proto...): a static library of the generated message code,
# included as "<folder>/<file>.pb-c.h".
find_program(PROTOC_C NAMES protoc-c protoc REQUIRED)

function(gondolin_protobuf target)
  set(sources)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  foreach(proto ${ARGN})
    get_filename_component(base ${proto} NAME_WE)
    set(out ${CMAKE_BINARY_DIR}/proto/${folder}/${base}.pb-c)
    add_custom_command(
      OUTPUT ${out}.c ${out}.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/proto
      COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR} --c_out=${CMAKE_BINARY_DIR}/proto
              ${folder}/${proto}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
      COMMENT "protobuf-c ${folder}/${proto}"
      VERBATIM)
    list(APPEND sources ${out}.c ${out}.h)
  endforeach()
  add_library(${target} STATIC ${sources})
  # Generated code is not ours to warn about.
  target_include_directories(${target} SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/proto)
  target_compile_options(${target} PRIVATE
    -f$<IF:$<BOOL:$<TARGET_PROPERTY:POSITION_INDEPENDENT_CODE>>,PIC,PIE>
    -fno-semantic-interposition -fstack-protector-strong -O2
    $<$<BOOL:${GONDOLIN_SANITIZE}>:-fsanitize=address$<SEMICOLON>-fsanitize=fuzzer-no-link>)
  target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
endfunction()
