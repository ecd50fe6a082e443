# SPDX-License-Identifier: Apache-2.0
"""The same programs with vfs_mount run by an ordinary user, in namespaces of its own."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import mounted

USER = 4242
TESTS = ["test_programs.OverHost", "test_programs.OverMemory", "test_random.RandomOperations"]


@unittest.skipUnless(mounted.can_mount(), "needs root and /dev/fuse")
class AsUser(unittest.TestCase):
    def test_all(self):
        if shutil.which("unshare") is None or shutil.which("setpriv") is None:
            self.skipTest("unshare and setpriv (util-linux) are not installed")
        with mounted.Directory() as place:
            os.chmod(place, 0o777)
            # A device node that this user may open; the machine's own stays as it is.
            device = f"{place}/fuse"
            st = os.stat("/dev/fuse")
            os.mknod(device, 0o020666, st.st_rdev)
            os.chmod(device, 0o666)
            # The program may lie where that user cannot look.
            program = shutil.copy(mounted.PROGRAM, place)
            tests = shutil.copytree(os.path.dirname(os.path.abspath(__file__)), f"{place}/tests")
            environment = dict(os.environ, VFS_MOUNT=program, VFS_FUSE_DEVICE=device,
                               TMPDIR=place, HOME=place)
            result = subprocess.run(
                ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                 "unshare", "--user", "--map-root-user", "--mount",
                 shutil.which("python3", path="/usr/bin:/bin") or sys.executable,
                 "-m", "unittest", *TESTS],
                cwd=tests, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=600)
            text = result.stdout.decode()
            if "unshare: " in text:
                self.skipTest(text.strip())
            self.assertEqual(result.returncode, 0, text)
            self.assertIn("OK", text)


if __name__ == "__main__":
    unittest.main()
