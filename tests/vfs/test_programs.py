# SPDX-License-Identifier: Apache-2.0
"""Real programs on a mounted tree of each kind."""
import mmap
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import mounted
import packages

NAMES = [f"f{i}" for i in range(40)]


def run(*argv, cwd, **kwargs):
    subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, timeout=300, **kwargs)


def output(*argv, cwd):
    return subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.PIPE,
                          timeout=300).stdout.decode()


def make_repository(path):
    os.makedirs(path)
    git = ("git", "-c", "user.name=T", "-c", "user.email=t@example.org")
    run("git", "init", "-q", ".", cwd=path)
    for i, name in enumerate(NAMES):
        os.makedirs(f"{path}/d{i % 5}", exist_ok=True)
        with open(f"{path}/d{i % 5}/{name}", "w") as f:
            f.write(f"{name}\n" * 200)
    run(*git, "add", ".", cwd=path)
    run(*git, "commit", "-qm", "all", cwd=path)


def need(test, program):
    if shutil.which(program) is None:
        test.skipTest(f"{program} is not installed")


class Programs:
    """The tests; each subclass says what is mounted."""

    def git(self, directory):
        source = f"{self.outside}/source"
        make_repository(source)
        run("git", "clone", "-q", source, "clone", cwd=directory)
        clone = f"{directory}/clone"
        self.assertEqual(output("git", "status", "--porcelain", cwd=clone), "")
        with open(f"{clone}/d0/f0", "a") as f:
            f.write("more\n")
        self.assertEqual(output("git", "status", "--porcelain", cwd=clone), " M d0/f0\n")
        run("git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qam", "x",
            cwd=clone)
        run("git", "gc", "-q", cwd=clone)
        run("git", "fsck", "--strict", cwd=clone)
        shutil.rmtree(clone)

    def test_git(self):
        need(self, "git")
        self.git(self.mount)

    def test_tar(self):
        make_repository(f"{self.outside}/source")
        run("tar", "-cf", "all.tar", "-C", f"{self.outside}/source", ".", cwd=self.mount)
        os.mkdir(f"{self.mount}/out")
        run("tar", "-xpf", "all.tar", "-C", "out", cwd=self.mount)
        run("diff", "-r", f"{self.outside}/source", "out", cwd=self.mount)

    def test_rsync(self):
        need(self, "rsync")
        make_repository(f"{self.outside}/source")
        for _ in range(2):
            run("rsync", "-a", "--delete", f"{self.outside}/source/", "copy/", cwd=self.mount)
        run("diff", "-r", f"{self.outside}/source", "copy", cwd=self.mount)

    def test_sqlite(self):
        db = sqlite3.connect(f"{self.mount}/db")
        self.assertEqual(db.execute("pragma journal_mode=wal").fetchone()[0], "wal")
        db.execute("create table t (x)")
        other = sqlite3.connect(f"{self.mount}/db")
        for i in range(100):
            db.execute("insert into t values (?)", (i,))
            db.commit()
            self.assertEqual(other.execute("select count(*) from t").fetchone()[0], i + 1)
        self.assertEqual(db.execute("pragma integrity_check").fetchone()[0], "ok")
        db.close()
        other.close()

    def test_make(self):
        need(self, "make")
        need(self, "cc")
        for i in range(8):
            with open(f"{self.mount}/m{i}.c", "w") as f:
                f.write(f"int f{i}(void);\nint f{i}(void) {{ return {i}; }}\n")
        with open(f"{self.mount}/main.c", "w") as f:
            f.write("int main(void) { return 0; }\n")
        with open(f"{self.mount}/Makefile", "w") as f:
            f.write("all: main\nmain: main.o $(patsubst %.c,%.o,$(wildcard m[0-9].c))\n"
                    "\t$(CC) -o $@ $^\n")
        run("make", "-j2", cwd=self.mount)
        run("./main", cwd=self.mount)
        self.assertIn("up to date", output("make", cwd=self.mount).replace("Nothing", "up to date"))

    def test_venv(self):
        try:
            run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=self.mount)
        except subprocess.CalledProcessError as error:
            self.skipTest(f"venv: {error.stderr.decode()[:80]}")
        self.assertEqual(output("env/bin/python", "-c", "import sys; print(sys.prefix)",
                                cwd=self.mount).strip(), f"{self.mount}/env")

    def test_npm(self):
        folder = packages.npm_package()
        if folder is None:
            self.skipTest("npm is not installed")
        name = os.path.basename(folder)
        packages.pack_npm(folder, f"{self.outside}/package.tgz")
        os.mkdir(f"{self.mount}/app")
        env = {**os.environ, "HOME": self.outside, "npm_config_cache": f"{self.mount}/cache",
               "npm_config_update_notifier": "false"}
        run("npm", "install", "--offline", "--no-audit", "--no-fund", f"{self.outside}/package.tgz",
            cwd=f"{self.mount}/app", env=env)
        run("node", "-e", f"if (require('{name}/package.json').name !== '{name}') process.exit(1)",
            cwd=f"{self.mount}/app")

    def test_dpkg(self):
        need(self, "dpkg-deb")
        packages.make_deb(f"{self.outside}/hello.deb")
        root = f"{self.mount}/root"
        for path in ("info", "updates"):
            os.makedirs(f"{root}/var/lib/dpkg/{path}")
        open(f"{root}/var/lib/dpkg/status", "w").close()
        dpkg = ("dpkg", f"--root={root}", "--log=/dev/null", "--force-depends")
        run(*dpkg, "-i", f"{self.outside}/hello.deb", cwd=self.mount)
        with open(f"{root}/usr/share/hello/link", encoding="ascii") as f:
            self.assertEqual(f.read(), "hello\n")
        run(*dpkg, "-P", "hello", cwd=self.mount)
        self.assertFalse(os.path.exists(f"{root}/usr/share/hello"))

    def test_mmap(self):
        size = 1 << 20
        with open(f"{self.mount}/map", "w+b") as f:
            f.truncate(size)
            with mmap.mmap(f.fileno(), size) as m:
                m[0:5] = b"hello"
                m[size - 3:size] = b"end"
                m.flush()
        with open(f"{self.mount}/map", "rb") as f:
            data = f.read()
        self.assertEqual((len(data), data[:5], data[-3:]), (size, b"hello", b"end"))

    def test_parallel(self):
        """Eight processes make, rename and remove in one directory."""
        code = ("import os,sys\n"
                "for i in range(200):\n"
                "    n = f'p{sys.argv[1]}-{i}'\n"
                "    open(n, 'w').write(n)\n"
                "    os.rename(n, n + 'r')\n"
                "    assert open(n + 'r').read() == n\n"
                "    if i % 2: os.unlink(n + 'r')\n")
        children = [subprocess.Popen([sys.executable, "-c", code, str(i)], cwd=self.mount)
                    for i in range(8)]
        self.assertEqual([c.wait(timeout=300) for c in children], [0] * 8)
        self.assertEqual(len(os.listdir(self.mount)), 800)

    def test_many_names(self):
        os.mkdir(f"{self.mount}/many")
        for i in range(3000):
            os.close(os.open(f"{self.mount}/many/{i}", os.O_CREAT | os.O_WRONLY))
        self.assertEqual(sorted(map(int, os.listdir(f"{self.mount}/many"))), list(range(3000)))
        shutil.rmtree(f"{self.mount}/many")
        self.assertFalse(os.path.exists(f"{self.mount}/many"))


@unittest.skipUnless(mounted.can_mount(), "needs root and /dev/fuse")
class OverHost(Programs, unittest.TestCase):
    def options(self):
        return ["--host", self.disk]

    def setUp(self):
        self.outside = tempfile.mkdtemp(prefix="gondolin-out-")
        self.addCleanup(shutil.rmtree, self.outside, ignore_errors=True)
        self.disk = self.enter(mounted.Directory())
        self.mount = self.enter(mounted.Mounted(*self.options()))

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value


class OverMemory(OverHost):
    def options(self):
        return ["--memory", str(256 << 20)]


class OverCow(OverHost):
    def options(self):
        return ["--host", self.disk, "--cow", self.enter(mounted.Directory())]


class OverSquashedHide(OverHost):
    def options(self):
        return ["--host", self.disk, "--squash", "--hide", ".env", "--hide", "no/such/path"]


if __name__ == "__main__":
    unittest.main()
