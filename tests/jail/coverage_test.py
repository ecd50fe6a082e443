# SPDX-License-Identifier: Apache-2.0
"""Watches a test with jail_collect and asks jail_coverage what it left unused."""
import os
import subprocess
import sys
import tempfile
import unittest

COLLECT, COVERAGE, SPAWN_TEST = sys.argv[1:4]


class Coverage(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.log = os.path.join(self.folder.name, "log")

    def unused(self):
        done = subprocess.run([COVERAGE, "--profile", "probe", self.log], text=True, capture_output=True)
        lines = done.stdout.splitlines()
        self.assertEqual([line for line in lines if ": used by no test" not in line],
                         ["probe getcpu: not here: no host (the coverage's test)"])
        return done.returncode, [line.split(": used")[0] for line in lines if ": used by no test" in line]

    def test_rows_that_the_test_used_are_not_listed(self):
        subprocess.run([COLLECT, self.log, SPAWN_TEST, "user"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.assertEqual(self.unused(), (1, ["probe mmap arg2 & 0x4 == 0x0"]))

    def test_calls_outside_a_jail_do_not_count(self):
        subprocess.run([COLLECT, self.log, "true"], check=True)
        code, rows = self.unused()
        self.assertEqual((code, len(rows)), (1, 4))

    def test_the_commands_exit_code_is_kept(self):
        self.assertEqual(subprocess.run([COLLECT, self.log, "sh", "-c", "exit 7"]).returncode, 7)
        self.assertEqual(subprocess.run([COLLECT, self.log, "sh", "-c", "kill -9 $$"]).returncode, 137)

    def test_all_rows_used(self):
        with open(self.log, "w") as log:
            log.write("probe read\nprobe write\nprobe exit_group\nprobe mmap arg2 & 0x4 == 0x0\n")
        self.assertEqual(self.unused(), (0, []))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
