# SPDX-License-Identifier: Apache-2.0
"""Nothing gets out of a mount, and nothing hidden is seen, while the host swaps directories for links.

ESCAPE_SECONDS is how long (10 by default; the long run takes 60).
"""
import multiprocessing
import os
import random
import shutil
import subprocess
import tempfile
import unittest

import mounted

SECONDS = int(os.environ.get("ESCAPE_SECONDS", "10"))
RACE = os.environ.get("VFS_ESCAPE_RACE", "escape_race")
INSIDE, OUTSIDE, SECRET = b"inside", b"outside", b"secret"


class Guest:
    """Reads, writes, makes and removes below the directories that are swapped.

    It is a process of its own with the mount as its root: links to the outside, which the guest's
    kernel follows by itself, lead nowhere there, as in a VM.
    """

    def __init__(self, mount, seed, stop, results):
        self.mount, self.random, self.stop, self.results = mount, random.Random(seed), stop, results
        self.reads = self.writes = 0
        self.wrong = []

    def read(self, directory):
        for name in os.listdir(directory):
            path = f"{directory}/{name}"
            if name.startswith("hidden"):
                self.wrong.append(f"listed {path}")
            if os.path.islink(path) or os.path.isdir(path):
                continue
            with open(path, "rb") as f:
                data = f.read()
            self.reads += 1
            if OUTSIDE in data or SECRET in data:
                self.wrong.append(f"{path} holds {data!r}")

    def write(self, directory):
        name = f"{directory}/w{self.random.randrange(20)}"
        with open(name, self.random.choice(("wb", "ab", "r+b"))) as f:
            f.write(INSIDE)
        self.writes += 1
        os.chmod(name, 0o640)
        os.utime(name)

    def change(self, directory):
        name = f"{directory}/c{self.random.randrange(20)}"
        self.random.choice((
            lambda: os.mkdir(name), lambda: os.rmdir(name), lambda: os.unlink(name),
            lambda: os.symlink("nowhere", name), lambda: os.link(f"{directory}/file", name),
            lambda: os.rename(name, f"{directory}/r{self.random.randrange(5)}"),
            lambda: os.truncate(f"{directory}/file2", 3),
        ))()

    def peek(self, directory):
        for name in ("hidden.key", "HIDDEN.key"):
            with open(f"{directory}/{name}", "rb") as f:
                self.wrong.append(f"opened {directory}/{name}: {f.read()!r}")

    def run(self):
        os.chroot(self.mount)
        os.chdir("/")
        while not self.stop.is_set():
            try:
                self.random.choice((self.read, self.write, self.change, self.peek))(
                    f"/d{self.random.randrange(4)}")
            except OSError:
                pass
        self.results.put((self.reads, self.writes, self.wrong))


@unittest.skipUnless(mounted.can_mount(), "needs root and /dev/fuse")
class Escape(unittest.TestCase):
    def make_tree(self):
        self.base = tempfile.mkdtemp(prefix="gondolin-race-", dir=os.environ.get("VFS_DISK"))
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.inside, self.outside = f"{self.base}/inside", f"{self.base}/outside"
        for i in range(4):
            os.makedirs(f"{self.inside}/d{i}/sub")
            for name, data in (("file", INSIDE), ("file2", INSIDE), ("hidden.key", SECRET)):
                with open(f"{self.inside}/d{i}/{name}", "wb") as f:
                    f.write(data)
        os.makedirs(f"{self.outside}/sub")
        for name in ("file", "file2", "hidden.key", "w0", "w1", "c0"):
            with open(f"{self.outside}/{name}", "wb") as f:
                f.write(OUTSIDE)

    def fingerprint(self):
        found = {}
        for directory, names, files in os.walk(self.outside):
            for name in names + files:
                path = os.path.join(directory, name)
                st = os.lstat(path)
                data = None
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        data = f.read()
                found[path] = (st.st_ino, st.st_mode, st.st_mtime_ns, st.st_nlink, data)
        return found

    def race(self, *options):
        context = multiprocessing.get_context("fork")
        stop, results = context.Event(), context.Queue()
        with mounted.Mounted("--host", self.inside, "--hide", "hidden*", "--fresh", "0",
                             *options) as mount:
            guests = [context.Process(target=Guest(mount, seed, stop, results).run)
                      for seed in range(2)]
            race = subprocess.Popen([RACE, self.inside, self.outside, str(SECONDS)],
                                    stdout=subprocess.PIPE)
            for guest in guests:
                guest.start()
            rounds = int(race.communicate(timeout=SECONDS + 60)[0])
            stop.set()
            found = [results.get(timeout=60) for _ in guests]
            for guest in guests:
                guest.join()
        return rounds, found

    def check(self, *options):
        self.make_tree()
        before = self.fingerprint()
        rounds, found = self.race(*options)
        self.assertEqual([wrong for _, _, wrong in found], [[], []])
        self.assertEqual(self.fingerprint(), before)
        # The race was one: both sides got something done.
        self.assertGreater(rounds, 100)
        self.assertGreater(sum(reads for reads, _, _ in found), 10)
        self.assertGreater(sum(writes for _, writes, _ in found), 10)

    def test_host(self):
        self.check()

    def test_cow(self):
        with mounted.Directory() as upper:
            self.check("--cow", upper)


if __name__ == "__main__":
    unittest.main()
