# SPDX-License-Identifier: Apache-2.0
"""Files in and out, both directions."""
import hashlib
import os
import shutil
import stat
import subprocess
import tarfile
import unittest

import harness
from harness import OneSandbox, run, setUpModule, tearDownModule  # noqa: F401


def describe(root):
    """Everything below a directory: kind, mode and content by name."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in folders + files:
            path = os.path.join(folder, name)
            s = os.lstat(path)
            if stat.S_ISLNK(s.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(s.st_mode):
                with open(path, "rb") as f:
                    content = hashlib.sha256(f.read()).hexdigest()
            else:
                content = None
            mode = None if stat.S_ISLNK(s.st_mode) else stat.S_IMODE(s.st_mode)
            found[os.path.relpath(path, os.fsencode(root))] = (stat.S_IFMT(s.st_mode), mode, content)
    return found


class Cp(OneSandbox):
    def setUp(self):
        self.place = os.path.join(harness.STAGE, "home", self.id().rpartition(".")[2])
        os.mkdir(self.place)
        self.addCleanup(shutil.rmtree, self.place)

    def host(self, *names):
        return os.path.join(self.place, *names)

    def own(self):
        """What root made here belongs to the user who copies."""
        if harness.identity():
            subprocess.run(["chown", "-R", "-h", f"{harness.USER}:{harness.USER}", self.place], check=True)

    def cp(self, source, target):
        r = run("gondolin", "cp", source, target)
        self.assertEqual((r.code, r.out, r.err), (0, b"", b""), r)

    def refuse(self, source, target, *words):
        r = run("gondolin", "cp", source, target)
        self.assertNotEqual(r.code, 0)
        self.assert_one_line(r.err, *words)

    def guest(self, path):
        return f"{self.box.id}:{path}"

    def sh(self, script):
        r = self.box.exec("sh", "-c", script)
        self.assertEqual(r.code, 0, r)
        return r.out

    def test_tree_there_and_back(self):
        tree = self.host("tree")
        deep = os.path.join(tree, *(["a" * 60] * 6))
        os.makedirs(deep)
        for name, mode in (("plain", 0o644), ("run me", 0o755), ("näh — ß.txt", 0o600), ("-n", 0o640),
                           ("new\nline", 0o644), ("n" * 200, 0o444), ("empty", 0o644)):
            path = os.path.join(tree, name)
            with open(path, "wb") as f:
                f.write(b"" if name == "empty" else os.urandom(1000) * 300)
            os.chmod(path, mode)
        with open(os.path.join(os.fsencode(tree), b"no utf-8 \xff"), "wb") as f:
            f.write(b"x")
        with open(os.path.join(deep, "leaf"), "wb") as f:
            f.write(b"leaf\n")
        os.mkdir(os.path.join(tree, "void"), 0o700)
        os.symlink("plain", os.path.join(tree, "link"))
        os.symlink("/etc/passwd", os.path.join(tree, "absolute"))
        os.symlink("../" * 20 + "nowhere", os.path.join(tree, "dangling"))
        os.symlink("t" * 180, os.path.join(tree, "long target"))
        self.own()

        self.cp(tree, self.guest("/root/copy"))
        plain = describe(tree)[b"plain"][2]
        self.assertEqual(self.sh("cd /root/copy && cat link | sha256sum && readlink dangling && stat -c %a 'run me' void"),
                         f"{plain}  -\n".encode() + b"../" * 20 + b"nowhere\n755\n700\n")
        self.cp(self.guest("/root/copy"), self.host("back"))
        self.assertEqual(describe(self.host("back")), describe(tree))

        # Into directories that are there already: below their own name.
        self.cp(tree, self.guest("/tmp"))
        self.assertEqual(self.sh("cat /tmp/tree/aaaa*/a*/a*/a*/a*/a*/leaf"), b"leaf\n")
        os.mkdir(self.host("there"))
        self.own()
        self.cp(self.guest("/tmp/tree"), self.host("there"))
        self.assertEqual(describe(self.host("there", "tree")), describe(tree))
        self.sh("rm -rf /tmp/tree /root/copy")

    def test_file(self):
        with open(self.host("notes.txt"), "wb") as f:
            f.write(b"one\n")
        self.own()
        self.cp(self.host("notes.txt"), self.guest("/root/"))
        self.cp(self.host("notes.txt"), self.guest("/root/other.txt"))
        self.assertEqual(self.sh("cat /root/notes.txt /root/other.txt"), b"one\none\n")
        self.sh("echo two > /root/notes.txt")
        self.cp(self.guest("/root/notes.txt"), self.host("notes.txt"))
        with open(self.host("notes.txt"), "rb") as f:
            self.assertEqual(f.read(), b"two\n")
        os.mkdir(self.host("sub"))
        self.own()
        self.cp(self.guest("/root/notes.txt"), self.host("sub"))
        self.assertEqual(os.listdir(self.host("sub")), ["notes.txt"])

    def test_large_file(self):
        digest = hashlib.sha256()
        with open(self.host("large"), "wb") as f:
            for _ in range(48):
                block = os.urandom(1 << 20)
                digest.update(block)
                f.write(block)
            f.write(b"odd")
            digest.update(b"odd")
        self.own()
        self.cp(self.host("large"), self.guest("/root/large"))
        self.assertEqual(self.sh("sha256sum < /root/large").split()[0].decode(), digest.hexdigest())
        self.cp(self.guest("/root/large"), self.host("back"))
        with open(self.host("back"), "rb") as f:
            self.assertEqual(hashlib.file_digest(f, "sha256").hexdigest(), digest.hexdigest())
        self.sh("rm /root/large")

    def test_streams(self):
        """`-` is a tar stream."""
        self.sh("mkdir -p /root/s && echo x > /root/s/file")
        r = run("gondolin", "cp", self.guest("/root/s"), "-")
        self.assertEqual((r.code, r.err), (0, b""), r)
        with open(self.host("s.tar"), "wb") as f:
            f.write(r.out)
        with tarfile.open(self.host("s.tar")) as tar:
            self.assertEqual(sorted(os.path.normpath(n) for n in tar.getnames()), ["s", "s/file"])
        self.sh("rm -r /root/s; mkdir /root/t")
        back = run("gondolin", "cp", "-", self.guest("/root/t"), input=r.out)
        self.assertEqual((back.code, back.err), (0, b""), back)
        self.assertEqual(self.sh("cat /root/t/s/file; rm -r /root/t"), b"x\n")

    def test_special_files(self):
        """A guest's device or pipe does not become one here."""
        self.sh("mkdir /root/odd; cd /root/odd; mkfifo pipe; mknod device c 1 3; echo x > file; chmod 6755 file")
        run("gondolin", "cp", self.guest("/root/odd"), self.host("odd"))
        for folder, folders, files in os.walk(self.place):
            for name in folders + files:
                mode = os.lstat(os.path.join(folder, name)).st_mode
                self.assertTrue(stat.S_ISREG(mode) or stat.S_ISDIR(mode), name)
                self.assertEqual(mode & (stat.S_ISUID | stat.S_ISGID), 0, name)
        self.sh("rm -r /root/odd")

    def test_refused(self):
        with open(self.host("file"), "wb") as f:
            f.write(b"x")
        os.symlink(self.host("file"), self.host("link"))
        self.own()
        self.refuse(self.host("none"), self.guest("/root/x"), "none")
        self.refuse(self.guest("/root/none"), self.host("x"), "/root/none")
        self.refuse(self.host("file"), self.guest("/no/such/folder/x"), "/no/such/folder")
        self.refuse(self.host("file"), self.host("other"), "guest")
        self.refuse(self.host("file"), self.box.id + ":relative", "absolute")
        self.refuse(self.guest("/etc/passwd"), self.host("no", "such"), "no")
        os.mkfifo(self.host("fifo"))
        self.own()
        self.refuse(self.guest("/etc/passwd"), self.host("fifo"), "fifo", "not replaced")
        self.refuse(self.host("fifo"), self.guest("/root/x"), "fifo", "not copied")
        self.assertTrue(stat.S_ISFIFO(os.stat(self.host("fifo")).st_mode))
        self.assertEqual(sorted(os.listdir(self.place)), ["fifo", "file", "link"])

    def test_host_link_is_not_followed_by_what_comes_out(self):
        """A name in the guest's tree cannot lead through a link that lies at the destination."""
        os.makedirs(self.host("out", "tree"))
        os.mkdir(self.host("elsewhere"))
        os.symlink("../../elsewhere", self.host("out", "tree", "dir"))
        self.own()
        self.sh("mkdir -p /root/tree/dir && echo x > /root/tree/dir/file")
        run("gondolin", "cp", self.guest("/root/tree"), self.host("out"))
        self.assertEqual(os.listdir(self.host("elsewhere")), [])
        self.sh("rm -r /root/tree")


if __name__ == "__main__":
    unittest.main()
