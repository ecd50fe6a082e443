# SPDX-License-Identifier: Apache-2.0
"""The suite as `cmake --install` puts it: it finds all of its own programs there."""
import os
import shutil
import subprocess
import unittest

import harness
from harness import BASE, Case, setUpModule, tearDownModule  # noqa: F401


class Installed(Case):
    def test_every_helper_is_found(self):
        prefix = os.path.join(harness.STAGE, "prefix")
        self.addCleanup(shutil.rmtree, prefix)
        subprocess.run(["cmake", "--install", harness.BUILD, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["chmod", "-R", "a+rX", prefix], check=True)
        path = harness.write_config(BASE + 'network { }\nmount "/scratch" { memory = "1M" }\n')
        program = os.path.join(prefix, "bin", "gondolin")
        p = subprocess.Popen([program, "exec", "--config", path, "--", "ls", "/sys/class/net"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=harness.environment(),
                             cwd=os.path.join(harness.STAGE, "tmp"), **harness.identity())
        out, err = p.communicate(timeout=harness.DEADLINE)
        self.assertEqual((p.returncode, out.split()), (0, [b"eth0", b"lo"]), err)


if __name__ == "__main__":
    unittest.main()
