# SPDX-License-Identifier: Apache-2.0
"""A mount of vfs_mount for the length of a test, as root or in a user namespace of its own."""
import ctypes
import os
import select
import shutil
import subprocess
import tempfile

DEVICE = os.environ.get("VFS_FUSE_DEVICE", "/dev/fuse")
PROGRAM = os.environ.get("VFS_MOUNT", "vfs_mount")
DEADLINE = 60
UMOUNT_DETACH = 2


def can_mount():
    """The device is there and may be opened by us, who are root at least of our own namespace."""
    return os.access(DEVICE, os.R_OK | os.W_OK) and os.geteuid() == 0


class Mounted:
    """`with Mounted("--host", directory) as path:` -- path is the mount point."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.point = tempfile.mkdtemp(prefix="gondolin-mnt-")
        self.process = subprocess.Popen(
            [PROGRAM, "--device", DEVICE, *self.options, self.point], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        line = self.process.stdout.readline() if ready else b""
        if line.strip() != b"ready":
            self.process.kill()
            raise RuntimeError(self.process.communicate()[1].decode())
        return self.point

    def __exit__(self, *_):
        self.process.terminate()
        _, self.errors = self.process.communicate(timeout=DEADLINE)
        ctypes.CDLL(None).umount2(self.point.encode(), UMOUNT_DETACH)
        os.rmdir(self.point)
        if self.process.returncode != 0:
            raise RuntimeError(self.errors.decode())


class Directory:
    """A directory for the length of a test, on a disk's file system."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="gondolin-dir-", dir=os.environ.get("VFS_DISK"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)
