# SPDX-License-Identifier: Apache-2.0
"""Random operations on files of a mount and of a plain directory: both must stay the same.

RANDOM_SECONDS is how long for each kind of mount (5 by default); RANDOM_SEED repeats a run.
"""
import mmap
import os
import random
import time
import unittest

import mounted

SECONDS = float(os.environ.get("RANDOM_SECONDS", "5"))
SEED = int(os.environ.get("RANDOM_SEED", time.time_ns() % 1000000))
FILE_MAX = 300000


class Files:
    """The same operations on one path below two directories."""

    def __init__(self, directories, rng):
        self.directories, self.rng, self.log = directories, rng, []

    def both(self, name, function):
        results = []
        for directory in self.directories:
            try:
                results.append(function(f"{directory}/{name}"))
            except OSError as error:
                results.append(type(error))
        if results[0] != results[1]:
            raise AssertionError(f"{name}: {results!r} after {self.log[-20:]}")
        return results[0]

    def step(self):
        rng = self.rng
        name = f"f{rng.randrange(4)}"
        other = f"f{rng.randrange(4)}"
        offset, size = rng.randrange(FILE_MAX), rng.randrange(1, 70000)
        data = rng.randbytes(size)
        operations = {
            "write": lambda p: self.write(p, offset, data),
            "append": lambda p: self.append(p, data),
            "read": lambda p: self.read(p, offset, size),
            "truncate": lambda p: os.truncate(p, offset),
            "map_write": lambda p: self.map_write(p, offset, data),
            "map_read": lambda p: self.map_read(p, offset, size),
            "punch": lambda p: self.punch(p, offset, size),
            "unlink": lambda p: os.unlink(p) if rng_unlink else None,
            "rename": lambda p: os.rename(p, os.path.join(os.path.dirname(p), other)),
            "link": lambda p: os.link(p, os.path.join(os.path.dirname(p), other)),
            "size": lambda p: os.stat(p).st_size,
        }
        what = rng.choice(list(operations))
        rng_unlink = rng.randrange(4) == 0
        self.log.append((what, name, other, offset, size))
        self.both(name, operations[what])

    @staticmethod
    def write(path, offset, data):
        fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            return os.pwrite(fd, data, offset)
        finally:
            os.close(fd)

    @staticmethod
    def append(path, data):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(fd).st_size + len(data) > FILE_MAX:
                return 0
            return os.write(fd, data)
        finally:
            os.close(fd)

    @staticmethod
    def read(path, offset, size):
        with open(path, "rb") as f:
            return os.pread(f.fileno(), size, offset)

    @staticmethod
    def map_write(path, offset, data):
        with open(path, "r+b") as f:
            length = os.fstat(f.fileno()).st_size
            if length == 0:
                return 0
            with mmap.mmap(f.fileno(), length) as m:
                part = data[:max(0, length - offset)]
                m[offset:offset + len(part)] = part
            return len(part)

    @staticmethod
    def map_read(path, offset, size):
        with open(path, "rb") as f:
            if os.fstat(f.fileno()).st_size == 0:
                return b""
            with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
                return m[offset:offset + size]

    @staticmethod
    def punch(path, offset, size):
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
        fd = os.open(path, os.O_WRONLY)
        try:
            return libc.fallocate(fd, 3, offset, size)
        finally:
            os.close(fd)

    def compare(self):
        for i in range(4):
            self.both(f"f{i}", lambda p: self.read(p, 0, 2 * FILE_MAX))


@unittest.skipUnless(mounted.can_mount(), "needs root and /dev/fuse")
class RandomOperations(unittest.TestCase):
    def work(self, *options):
        print(f"seed {SEED}", end=" ", flush=True)
        end = time.monotonic() + SECONDS
        with mounted.Directory() as plain, mounted.Mounted(*options) as mount:
            files = Files([plain, mount], random.Random(SEED))
            while time.monotonic() < end:
                for _ in range(50):
                    files.step()
                files.compare()

    def test_host(self):
        with mounted.Directory() as disk:
            self.work("--host", disk)

    def test_memory(self):
        self.work("--memory", str(64 << 20))

    def test_cow(self):
        with mounted.Directory() as disk, mounted.Directory() as upper:
            for i in range(4):
                os.close(os.open(f"{disk}/lower{i}", os.O_CREAT))
            self.work("--host", disk, "--cow", upper)


if __name__ == "__main__":
    unittest.main()
