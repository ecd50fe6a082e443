# SPDX-License-Identifier: Apache-2.0
"""gondolin diff and gondolin apply: a turn's changes are looked at, and what was looked at reaches the host."""
import json
import os
import shutil
import stat
import unittest

import harness
from harness import BASE, Case, Sandbox, run, setUpModule, tearDownModule  # noqa: F401

OURS = harness.USER if harness.MODE == "user" and os.geteuid() == 0 else os.geteuid()

TURN = r"""
set -e
cd /workspace
sed -i 's/two/zwei/' poem
chmod 755 tool
rm gone
rm -r old
mkdir -p src/deep && echo 'int main(void) { return 0; }' >src/deep/main.c
ln -s deep/main.c src/link
rm -r kind && echo now a file >kind
rm -r again && mkdir again && echo new >again/new
printf '\033[2J' >src/terminal
echo x >'two words'
chown 12:34 poem
"""

DIFF = """\
M again/ (mode 700 to 755)
D again/inside
A again/new (mode 644, 4 bytes)
D gone
D kind/
D kind/inside
A kind (mode 644, 11 bytes)
D old/
D old/deep/
D old/deep/file
M poem (14 to 15 bytes)
A src/ (mode 755)
A src/deep/ (mode 755)
A src/deep/main.c (mode 644, 29 bytes)
A src/link -> deep/main.c
A src/terminal (mode 644, 4 bytes)
M tool (mode 644 to 755)
A two words (mode 644, 2 bytes)
"""

PATCH = """\
M poem (14 to 15 bytes)
--- a/poem
+++ b/poem
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
"""


def tree(root):
    """Path to mode and content of all that is below."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            content = None
            if stat.S_ISLNK(st.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, encoding="utf-8") as f:
                    content = f.read()
            found[os.path.relpath(path, root)] = (oct(st.st_mode), st.st_uid, content)
    return found


class Changes(Case):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(harness.STAGE, "files")
        self.owner = OURS
        os.mkdir(self.root)
        for name in ("poem", "tool", "gone", "old/deep/file", "kind/inside", "again/inside", "kept"):
            path = os.path.join(self.root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.write(name, "one\ntwo\nthree\n")
        os.chmod(os.path.join(self.root, "again"), 0o700)
        self.own(self.root)

    def own(self, root):
        for folder, _, files in os.walk(root):
            os.chown(folder, self.owner, self.owner)
            for name in files:
                os.chown(os.path.join(folder, name), self.owner, self.owner)

    def tearDown(self):
        shutil.rmtree(self.root)
        super().tearDown()

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o644)
        os.chown(path, self.owner, self.owner)

    def box(self, more=""):
        return Sandbox(BASE + f'mount "/workspace" {{ host = "{self.root}"  mode = cow {more} }}\n')

    def sh(self, box, script):
        r = box.exec("sh", "-c", script)
        self.assertEqual(r.code, 0, f"{script}: {r} {box.said()}")

    def diff(self, box, *flags):
        r = run("gondolin", "diff", box.id, "/workspace", *flags)
        self.assertEqual((r.code, r.err), (0, b""), r)
        return r.out.decode()

    def apply(self, box, *flags, want=0):
        r = run("gondolin", "apply", box.id, "/workspace", *flags)
        self.assertEqual(r.code, want, r)
        return r

    def check_shown(self, box):
        before = tree(self.root)
        self.assertEqual(self.diff(box).rsplit("change ", 1)[0], "")
        self.sh(box, TURN)
        self.assert_one_line(self.apply(box, want=1).err, "nothing was applied", "gondolin diff")
        text = self.diff(box)
        self.assertEqual(text.rsplit("change ", 1)[0], DIFF)
        self.assertIn(": 8 added, 7 removed, 3 changed\n", text)
        text = self.diff(box, "-p")
        self.assertIn(PATCH, text)
        self.assertIn("src/terminal: no text", text)
        self.assertNotIn("\033", text)
        data = json.loads(self.diff(box, "--json"))
        self.assertEqual(len(data["changes"]), 18)
        self.assertEqual((data["mount"], data["host"], data["conflicts"]), ("/workspace", self.root, 0))
        row = next(c for c in data["changes"] if c["path"] == "tool")
        self.assertEqual((row["kind"], row["old_mode"], row["mode"], row["content"]), ("changed", 0o644, 0o755, False))
        self.assertEqual(tree(self.root), before)

    def check_applied(self, box):
        """What changed after the look is not applied; what was looked at is, and belongs to the mount's user."""
        self.sh(box, "echo late >/workspace/late")
        self.assert_one_line(self.apply(box, want=1).err, "nothing was applied")
        self.sh(box, "rm /workspace/late")
        self.assertIn("18 applied", self.apply(box).out.decode())
        want = {"poem": (0o100644, "one\nzwei\nthree\n"), "tool": (0o100755, "one\ntwo\nthree\n"),
                "src": (0o40755, None), "src/deep": (0o40755, None),
                "src/deep/main.c": (0o100644, "int main(void) { return 0; }\n"),
                "src/link": (0o120777, "deep/main.c"), "kind": (0o100644, "now a file\n"),
                "again": (0o40755, None), "again/new": (0o100644, "new\n"), "src/terminal": (0o100644, "\033[2J"),
                "two words": (0o100644, "x\n"), "kept": (0o100644, "one\ntwo\nthree\n")}
        self.assertEqual(tree(self.root), {k: (oct(m), self.owner, c) for k, (m, c) in want.items()})
        self.assertIn(": 0 added, 0 removed, 0 changed", self.diff(box))

    def check_second_round(self, box):
        """The guest goes on with what was applied, and by the change's id."""
        self.sh(box, "sed -i s/zwei/deux/ /workspace/poem; rm '/workspace/two words'; rm -r /workspace/src")
        data = json.loads(self.diff(box, "--json"))
        self.assertEqual(data["conflicts"], 0, data)
        self.apply(box, "--change", "0" * 64, want=1)
        self.apply(box, "--change", data["change"])
        self.assertEqual(sorted(os.listdir(self.root)), ["again", "kept", "kind", "poem", "tool"])

    def check_conflicts(self, box):
        """A file that changed on the host as well is not overwritten; nor is one that the guest never saw removed."""
        self.sh(box, "cd /workspace && echo guest >kept && rm -r again")
        self.write("kept", "host\n")
        self.write("again/later", "host\n")
        self.assertIn("M kept (5 to 6 bytes)  ! changed on this host", self.diff(box))
        before = tree(self.root)
        self.assert_one_line(self.apply(box, want=1).err, "nothing was applied", "2 files", "--force")
        self.assertEqual(tree(self.root), before)
        self.diff(box)
        self.write("kept", "host again\n")
        self.assert_one_line(self.apply(box, "--force", want=1).err, "not the one that was shown")
        self.diff(box)
        self.apply(box, "--force")
        self.assertEqual(tree(self.root)["kept"][2], "guest\n")
        self.assertNotIn("again", tree(self.root))

    def check_links(self, box):
        """A directory that became a link out of the mount is not followed."""
        outside = os.path.join(harness.STAGE, "outside")
        os.mkdir(outside)
        os.chmod(outside, 0o777)
        self.addCleanup(shutil.rmtree, outside)
        self.sh(box, "mkdir /workspace/sub && echo planted >/workspace/sub/planted")
        self.diff(box)
        os.symlink(outside, os.path.join(self.root, "sub"))
        self.apply(box, want=1)
        self.assertIn("D sub  ! changed on this host", self.diff(box))
        self.apply(box, "--force")
        self.assertEqual(os.listdir(outside), [])
        self.assertEqual(tree(self.root)["sub/planted"][2], "planted\n")

    def check_holes(self, box):
        """Files that are all hole: shown with their size, holes on the host too; too many of them are refused at once."""
        self.sh(box, "cd /workspace && truncate -s 256M hole && echo end >>hole")
        self.assertIn(f"A hole (mode 644, {(256 << 20) + 4} bytes)", self.diff(box))
        self.apply(box)
        st = os.stat(os.path.join(self.root, "hole"))
        self.assertEqual(st.st_size, (256 << 20) + 4)
        self.assertLess(st.st_blocks * 512, 1 << 20)
        os.remove(os.path.join(self.root, "hole"))
        self.sh(box, "cd /workspace && for i in $(seq 20); do truncate -s 4G hole$i; done")
        r = run("gondolin", "diff", box.id)
        self.assertEqual(r.code, 1, r)
        self.assert_one_line(r.err, "holes")
        self.sh(box, "rm /workspace/hole*")

    def check_refused(self, box):
        for words, code, said in ((("nosuchid",), 1, "nosuchid"), ((box.id, "/none"), 1, "/none"), ((), 2, "session id"),
                                  ((box.id, "/workspace", "x"), 2, "session id"), ((box.id, "--nope"), 2, "--nope")):
            r = run("gondolin", "diff", *words)
            self.assertEqual(r.code, code, r)
            self.assert_one_line(r.err, said)
        moved = self.root + ".moved"
        os.rename(self.root, moved)
        os.mkdir(self.root)
        r = run("gondolin", "diff", box.id)
        os.rmdir(self.root)
        os.rename(moved, self.root)
        self.assert_one_line(r.err, "another directory")

    def test_all_in_one_sandbox(self):
        with self.box() as box:
            box.up()
            self.check_shown(box)
            self.check_applied(box)
            self.check_second_round(box)
            self.check_conflicts(box)
            self.check_links(box)
            self.check_holes(box)
            self.check_refused(box)
            r = run("gondolin", "audit", box.id)
            self.assertEqual(r.code, 0, r)

    def test_user_of_the_mount(self):
        if harness.MODE != "root":
            self.skipTest("an ordinary user acts as nobody else")
        self.owner = harness.USER
        self.own(self.root)
        self.write("root's", "root\n")
        os.chown(os.path.join(self.root, "root's"), 0, 0)
        with self.box(f'user = "{harness.USER}"') as box:
            box.up()
            self.sh(box, "cd /workspace && echo guest >>poem && mkdir new && echo x >new/file")
            self.diff(box)
            self.apply(box)
        found = tree(self.root)
        self.assertEqual({found[n][1] for n in ("poem", "new", "new/file")}, {harness.USER})

    def test_relative_directory(self):
        """host is relative to where the sandbox was started, not to where its changes are looked at."""
        os.mkdir(os.path.join(harness.STAGE, "beside"))
        self.addCleanup(os.rmdir, os.path.join(harness.STAGE, "beside"))
        rows = [(harness.STAGE, "./files", self.root), (self.root, ".", self.root),
                (os.path.join(harness.STAGE, "beside"), "../files", os.path.join(harness.STAGE, "beside", "../files"))]
        for cwd, host, shown in rows:
            with self.subTest(host=host):
                box = Sandbox(BASE + f'mount "/workspace" {{ host = "{host}"  mode = cow }}\n', cwd=cwd)
                with box:
                    box.up()
                    self.sh(box, "echo turn >>/workspace/poem")
                    data = json.loads(self.diff(box, "--json"))
                    self.assertEqual(data["host"], shown)
                    self.apply(box)
                    with open(os.path.join(self.root, "poem"), encoding="utf-8") as f:
                        self.assertIn("turn\n", f.read())
                    self.write("poem", "one\n")

    def test_no_such_mount(self):
        with Sandbox(BASE + f'mount "/workspace" {{ host = "{self.root}" }}\n') as box:
            r = run("gondolin", "diff", box.id)
            self.assertEqual(r.code, 1, r)
            self.assert_one_line(r.err, "no mount with mode = cow")


if __name__ == "__main__":
    unittest.main()
