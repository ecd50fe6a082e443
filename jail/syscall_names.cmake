# SPDX-License-Identifier: Apache-2.0
# Writes OUT: one designated initialiser "[number] = name," for each system call of the target.
execute_process(
  COMMAND ${COMPILER} -E -dM -include asm/unistd.h -x c /dev/null
  OUTPUT_VARIABLE macros COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "#define __NR_[a-z0-9_]+ [0-9]+\n" rows "${macros}")
set(text "/* Generated from asm/unistd.h. */\n")
foreach(row ${rows})
  # __NR_syscalls and the architecture's ranges are no calls.
  if(row MATCHES "#define __NR_(syscalls|arch_specific_syscall) ")
    continue()
  endif()
  string(REGEX REPLACE "#define __NR_([a-z0-9_]+) ([0-9]+)\n" "[\\2] = \"\\1\",\n" row "${row}")
  string(APPEND text "${row}")
endforeach()
file(WRITE ${OUT} "${text}")
