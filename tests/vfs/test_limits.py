# SPDX-License-Identifier: Apache-2.0
"""A host file system that is full, large or gone under a mount."""
import ctypes
import errno
import os
import shutil
import subprocess
import tempfile
import unittest

import mounted

CLONE_NEWNS, PRIVATE, DETACH = 0x20000, 0x4000 | 1 << 18, 2
MANY = int(os.environ.get("LIMITS_MANY", "1000000"))
LIBC = ctypes.CDLL(None, use_errno=True)


def call(rc):
    if rc != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Tmpfs:
    """A tmpfs of a size for the length of a test, which others on the host do not see."""

    def __init__(self, options):
        self.options = options

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="gondolin-dir-")
        call(LIBC.mount(b"tmpfs", self.path.encode(), b"tmpfs", 0, self.options.encode()))
        self.there = True
        return self

    def vanish(self):
        self.there = False
        call(LIBC.umount2(self.path.encode(), DETACH))

    def __exit__(self, *_):
        if self.there:
            self.vanish()
        os.rmdir(self.path)


def private(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        rows = {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}
    return rows["Private_Clean"] + rows["Private_Dirty"]


@unittest.skipUnless(mounted.can_mount(), "needs root and /dev/fuse")
class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        call(LIBC.unshare(CLONE_NEWNS))
        call(LIBC.mount(None, b"/", None, PRIVATE, None))

    def refused(self, number, function):
        with self.assertRaises(OSError) as caught:
            function()
        self.assertEqual(caught.exception.errno, number, caught.exception)

    def test_full(self):
        with Tmpfs("size=1m,nr_inodes=20") as host, mounted.Mounted("--host", host.path) as mount:
            with open(f"{mount}/f", "wb", buffering=0) as f:
                self.refused(errno.ENOSPC, lambda: [f.write(bytes(65536)) for _ in range(64)])
            self.assertEqual(os.statvfs(mount).f_bavail, 0)
            os.unlink(f"{mount}/f")
            self.refused(errno.ENOSPC, lambda: [os.mkdir(f"{mount}/{i}") for i in range(64)])
            os.rmdir(f"{mount}/0")
            with open(f"{mount}/again", "wb") as f:
                f.write(b"fits")
            with open(f"{host.path}/again", "rb") as f:
                self.assertEqual(f.read(), b"fits")

    def test_removed(self):
        """The host removes the whole tree: what is open goes on, the rest is not there, nothing hangs."""
        with Tmpfs("size=8m") as host:
            tree = f"{host.path}/tree"
            os.makedirs(f"{tree}/d")
            with mounted.Mounted("--host", tree) as mount:
                with open(f"{mount}/d/f", "w+b", buffering=0) as f:
                    f.write(b"here")
                    shutil.rmtree(tree)
                    self.assertEqual(os.pread(f.fileno(), 4, 0), b"here")
                    for function in (lambda: os.mkdir(f"{mount}/new"), lambda: os.mkdir(f"{mount}/d/new"),
                                     lambda: os.rename(f"{mount}/d/f", f"{mount}/g")):
                        with self.assertRaises(OSError) as caught:
                            function()
                        self.assertIn(caught.exception.errno, (errno.ENOENT, errno.ESTALE))

    def test_vanished(self):
        """Its file system is unmounted under it: vfsd's descriptor keeps it alive, so all is as it was."""
        with Tmpfs("size=8m") as host, mounted.Mounted("--host", host.path) as mount:
            with open(f"{mount}/f", "w", encoding="ascii") as f:
                f.write("here")
            host.vanish()
            with open(f"{mount}/f", encoding="ascii") as f:
                self.assertEqual(f.read(), "here")
            os.mkdir(f"{mount}/new")
            self.assertEqual(sorted(os.listdir(mount)), ["f", "new"])

    def test_million_entries(self):
        with Tmpfs("size=64m,nr_inodes=0") as host:
            names = f"{host.path}/many"
            os.mkdir(names)
            os.close(os.open(f"{names}/0", os.O_CREAT))
            folder = os.open(names, os.O_RDONLY)
            for i in range(1, MANY):
                os.link("0", str(i), src_dir_fd=folder, dst_dir_fd=folder)
            os.close(folder)
            mount = mounted.Mounted("--host", host.path)
            with mount as point:
                before = private(mount.process.pid)
                with os.scandir(f"{point}/many") as entries:
                    self.assertEqual(sum(int(e.name) for e in entries), MANY * (MANY - 1) // 2)
                self.assertLess(private(mount.process.pid) - before, 64 << 10)
                self.assertEqual(os.stat(f"{point}/many/{MANY - 1}").st_nlink, MANY)

    def sparse(self, mount):
        """1 TiB with a word at its end, and at its start."""
        size = 1 << 40
        with open(f"{mount}/sparse", "w+b", buffering=0) as f:
            os.ftruncate(f.fileno(), size)
            self.assertEqual(os.pwrite(f.fileno(), b"start", 0), 5)
            self.assertEqual(os.pwrite(f.fileno(), b"end", size - 3), 3)
            self.assertEqual(os.fstat(f.fileno()).st_size, size)
            self.assertEqual(os.pread(f.fileno(), 8, size - 5), b"\0\0end")
            self.assertEqual(os.pread(f.fileno(), 8, size >> 1), bytes(8))
            f.flush()
            os.fsync(f.fileno())
            self.assertLess(os.fstat(f.fileno()).st_blocks, 4096)
            os.posix_fallocate(f.fileno(), size, 4096)
            self.assertEqual(os.fstat(f.fileno()).st_size, size + 4096)
            self.refused(errno.EINVAL, lambda: os.pwrite(f.fileno(), b"xx", (1 << 63) - 2))
            self.refused(errno.EINVAL, lambda: os.pread(f.fileno(), 1, -1))
        os.unlink(f"{mount}/sparse")

    def test_sparse(self):
        with Tmpfs("size=8m") as host, mounted.Mounted("--host", host.path) as mount:
            self.sparse(mount)
        with mounted.Mounted("--memory", str(8 << 20)) as mount:
            self.sparse(mount)

    def test_nothing_is_left(self):
        """A mount of each kind leaves no directory behind."""
        before = set(os.listdir(tempfile.gettempdir()))
        with mounted.Directory() as directory:
            for options in (("--host", directory), ("--memory", "1000000")):
                with mounted.Mounted(*options):
                    subprocess.run(["true"], check=True)
        left = set(os.listdir(tempfile.gettempdir())) - before
        self.assertEqual([n for n in left if n.startswith(("gondolin-mnt", "gondolin-vfs"))], [])


if __name__ == "__main__":
    unittest.main()
