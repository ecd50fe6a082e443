# SPDX-License-Identifier: Apache-2.0
"""A host file system that is full, failing, large or gone under a mount, and how much a mount has under way."""
import ctypes
import errno
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

import failing
import mounted

CLONE_NEWNS, PRIVATE, DETACH, REMOUNT, READ_ONLY = 0x20000, 0x4000 | 1 << 18, 2, 0x20, 1
MANY = int(os.environ.get("LIMITS_MANY", "1000000"))
SIZE_READ = 4096  # apart from one another, so that each is a page that was not read before
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

    def remount(self, flags):
        """Waits for what is still open for writing: a file is closed here some time after the guest's close(2)."""
        until = time.monotonic() + mounted.DEADLINE
        while LIBC.mount(None, self.path.encode(), None, REMOUNT | flags, None) != 0:
            if ctypes.get_errno() != errno.EBUSY or time.monotonic() > until:
                call(-1)
            time.sleep(0.01)

    def vanish(self):
        self.there = False
        call(LIBC.umount2(self.path.encode(), DETACH))

    def __exit__(self, *_):
        if self.there:
            self.vanish()
        os.rmdir(self.path)


class Disk:
    """An ext4 whose blocks are in a file that has room for few of them; path is where it is mounted."""

    def __init__(self, size, room):
        self.size, self.store = size, Tmpfs(f"size={room}")

    def __enter__(self):
        self.store.__enter__()
        self.path = tempfile.mkdtemp(prefix="gondolin-dir-")
        self.image = f"{self.store.path}/image"
        with open(self.image, "wb") as f:
            f.truncate(self.size)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-E", "nodiscard", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.path], check=True)
        os.rmdir(self.path)
        self.store.__exit__()


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

    def test_read_only_again(self):
        """The host makes its file system read-only and writable again under the mount."""
        with Tmpfs("size=8m") as host, mounted.Mounted("--host", host.path) as mount:
            with open(f"{mount}/f", "w", encoding="ascii") as f:
                f.write("here")
            host.remount(READ_ONLY)
            for function in (lambda: os.mkdir(f"{mount}/new"), lambda: os.unlink(f"{mount}/f"),
                             lambda: os.open(f"{mount}/f", os.O_WRONLY),
                             lambda: os.truncate(f"{mount}/f", 0), lambda: os.rename(f"{mount}/f", f"{mount}/g")):
                self.refused(errno.EROFS, function)
            # A mode that the host does not take is the guest's alone.
            os.chmod(f"{mount}/f", 0o600)
            self.assertEqual([stat.S_IMODE(os.stat(f"{d}/f").st_mode) for d in (mount, host.path)], [0o600, 0o644])
            with open(f"{mount}/f", encoding="ascii") as f:
                self.assertEqual(f.read(), "here")
            host.remount(0)
            os.mkdir(f"{mount}/new")

    def test_failing(self):
        """Whatever a host file system answers reaches the guest as it is, and only that operation fails."""
        with failing.Failing() as host, mounted.Mounted("--host", host.path, "--fresh", "0") as mount:
            with open(f"{mount}/f", "r+b", buffering=0) as f:
                self.assertEqual(os.pread(f.fileno(), 4, 0), bytes(4))
                for number in (errno.EIO, errno.EDQUOT, errno.ENOSPC, errno.EROFS):
                    host.fail(number)
                    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    for function in (lambda: os.write(f.fileno(), b"x"), lambda: os.ftruncate(f.fileno(), 1),
                                     lambda: os.mkdir(f"{mount}/d"), lambda: os.symlink("f", f"{mount}/s"),
                                     lambda: os.link(f"{mount}/f", f"{mount}/l"), lambda: os.unlink(f"{mount}/f"),
                                     lambda: os.rename(f"{mount}/f", f"{mount}/g"), lambda: os.listdir(mount),
                                     lambda: os.open(f"{mount}/n", os.O_CREAT | os.O_WRONLY), lambda: os.fsync(f.fileno()),
                                     lambda: os.statvfs(mount)):
                        self.refused(number, function)
                    self.refused(number, lambda: os.pread(f.fileno(), 4, SIZE_READ * number))
                    self.assertEqual(os.stat(f"{mount}/f").st_size, failing.SIZE)
                    host.fail(0)
                    self.assertEqual(os.pread(f.fileno(), 4, SIZE_READ * number), bytes(4))
                # Its server dies while files are open.
                host.vanish()
                for function in (lambda: os.write(f.fileno(), b"x"), lambda: os.listdir(mount), lambda: os.stat(f"{mount}/f"),
                                 lambda: os.mkdir(f"{mount}/d")):
                    self.refused(errno.ENOTCONN, function)

    def test_dying_disk(self):
        """A disk that cannot take what was written, and then cannot be read: those operations fail, the mount goes on."""
        if not os.path.exists("/dev/loop-control") or shutil.which("mkfs.ext4") is None:
            self.skipTest("needs loop devices and mkfs.ext4")
        with Disk(64 << 20, "12m") as disk, mounted.Mounted("--host", disk.path) as mount:
            with open(f"{mount}/good", "wb") as f:
                f.write(b"g" * (4 << 20))
                os.fsync(f.fileno())
            with open(f"{mount}/lost", "wb", buffering=0) as f:
                for _ in range(24):
                    f.write(os.urandom(1 << 20))
                # The kernel says which of the two it was: it asks for blocks of a file system that has none left.
                with self.assertRaises(OSError) as caught:
                    os.fsync(f.fileno())
                self.assertIn(caught.exception.errno, (errno.EIO, errno.ENOSPC))
            with open(f"{mount}/good", "rb") as f:
                self.assertEqual(f.read(), b"g" * (4 << 20))
                os.truncate(disk.image, 1 << 20)
                with open(f"{disk.path}/good", "rb") as host:
                    os.posix_fadvise(host.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                self.refused(errno.EIO, lambda: os.pread(f.fileno(), 4096, 2 << 20))
            self.assertEqual(os.stat(f"{mount}/good").st_size, 4 << 20)

    def waiting(self, connection):
        with open(f"{connection}/waiting", encoding="ascii") as f:
            return int(f.read())

    def read_ahead(self, file, server, connection, bound):
        os.kill(server, signal.SIGSTOP)
        reader = os.fork()
        if reader == 0:
            os.posix_fadvise(file, 0, 64 << 20, os.POSIX_FADV_WILLNEED)
            os._exit(0)
        until = time.monotonic() + mounted.DEADLINE
        while self.waiting(connection) <= bound and time.monotonic() < until:
            time.sleep(0.01)
        # Those that are under way, and the one that the reader waits to send.
        under_way, ended = self.waiting(connection), os.waitpid(reader, os.WNOHANG)
        os.kill(server, signal.SIGCONT)
        self.assertEqual((under_way, ended), (bound + 1, (0, 0)))
        self.assertEqual(os.waitpid(reader, 0), (reader, 0))
        self.assertEqual(os.pread(file, 4, (64 << 20) - 4), bytes(4))

    def test_under_way(self):
        """What a kernel reads ahead is bounded, whatever it was asked for: the next request waits to be sent."""
        with Tmpfs("size=80m") as host, Tmpfs("size=1m") as control:
            call(LIBC.mount(b"none", control.path.encode(), b"fusectl", 0, None))
            with open(f"{host.path}/f", "wb") as f:
                f.truncate(64 << 20)
            for bound in (2, 9):
                mount = mounted.Mounted("--host", host.path, "--background", str(bound))
                with mount as point:
                    device = os.stat(point).st_dev
                    connection = f"{control.path}/{os.minor(device)}"
                    with open(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb", "w") as ahead:
                        ahead.write(str(64 << 10))
                    with open(f"{point}/f", "rb") as f:
                        self.read_ahead(f.fileno(), mount.process.pid, connection, bound)
            call(LIBC.umount2(control.path.encode(), DETACH))

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
