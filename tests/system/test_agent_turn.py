# SPDX-License-Identifier: Apache-2.0
"""The main job on real input: examples/agent-turn.conf works on this very source tree."""
import hashlib
import io
import os
import re
import subprocess
import tarfile
import unittest

import harness
from harness import Case, run, setUpModule, tearDownModule  # noqa: F401


def source_tree():
    """What `git archive HEAD` would send; the files themselves, where this is no clone."""
    git = subprocess.run(["git", "-c", "safe.directory=*", "-C", harness.SOURCE, "archive", "--format=tar", "HEAD"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if git.returncode == 0:
        return git.stdout
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(harness.SOURCE, ".", filter=lambda m: None if re.match(r"\./(build|\.git)(/|$)", m.name) else m)
    return out.getvalue()


def digest(archive):
    """The files' number and the digest that the turn makes of them."""
    lines = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile():
                name = "./" + os.path.normpath(member.name)
                lines.append((name, f"{hashlib.sha256(tar.extractfile(member).read()).hexdigest()}  {name}\n"))
    text = "".join(line for _, line in sorted(lines))
    return len(lines), hashlib.sha256(text.encode()).hexdigest()


class AgentTurn(Case):
    def turn(self, archive):
        with open(os.path.join(harness.SOURCE, "examples", "agent-turn.conf"), encoding="utf-8") as f:
            path = harness.write_config(f.read())
        return run("gondolin-supervisor", "--config", path, input=archive)

    def test_source_tree(self):
        archive = source_tree()
        files, want = digest(archive)
        r = self.turn(archive)
        self.assertEqual((r.code, harness.settled(r.err)), (0, b""), r)
        out = r.out.decode()
        self.assertIn(f"files: {files}\n", out)
        self.assertIn(f"digest of the tree:\n{want}  -\n", out)

    def test_broken_tree(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            text = b"one\n<<<<<<< ours\ntwo\n"
            member = tarfile.TarInfo("tree/file.c")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
        r = self.turn(out.getvalue())
        self.assertEqual((r.code, harness.settled(r.err)), (1, b"merge conflicts are left\n"), r)
        self.assertIn(b"./tree/file.c:2:<<<<<<< ours\n", r.out)

    def test_nothing_comes_in(self):
        r = self.turn(b"")
        self.assertEqual(r.code, 2, r)


if __name__ == "__main__":
    unittest.main()
