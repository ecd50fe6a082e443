# SPDX-License-Identifier: Apache-2.0
"""Real programs, the host's own, on mounted trees in the guest.

The host's root is mounted read-only at /host and entered by chroot, the tree that is worked on is bound to /host/mnt.  So
every program that is loaded comes through vfsd too.  GONDOLIN_ALL_KINDS=1 (tools/soak-files) runs each program on each
kind of mount; without it a host directory takes all but npm.
"""
import io
import os
import shutil
import subprocess
import sys
import time
import unittest

import harness
from harness import Case, Sandbox, setUpModule, tearDownModule  # noqa: F401

sys.path.insert(0, os.path.join(harness.SOURCE, "tests/vfs"))
import packages  # noqa: E402

OURS = harness.USER if harness.MODE == "user" and os.geteuid() == 0 else os.geteuid()
ALL = os.environ.get("GONDOLIN_ALL_KINDS") == "1"

ENTER = r"""
set -e
mount --bind /w /host/mnt
mount -t proc proc /host/proc
mount --bind /dev /host/dev
mount -t tmpfs -o mode=1777 tmp /host/tmp
mount -t tmpfs tmp /host/root
"""

GIT = r"""
export GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=T GIT_CONFIG_KEY_1=user.email
export GIT_CONFIG_VALUE_1=t@example.org GIT_CONFIG_KEY_2=safe.directory GIT_CONFIG_VALUE_2='*'
git clone -q given/source clone
cd clone
[ -z "$(git status --porcelain)" ]
echo more >>ipc/log.h
[ "$(git status --porcelain)" = " M ipc/log.h" ]
git commit -qam more
git gc -q
git fsck --strict 2>/dev/null
"""

MAKE = r"""
mkdir make
cp -r given/source/ipc make/
cp given/Makefile make/
make -s -j2 -C make
[ "$(make/ids)" = ok ]
make -C make | grep -q 'Nothing to be done'
"""

TAR = r"""
tar -cf all.tar -C given/source .
mkdir unpacked
tar -xpf all.tar -C unpacked
diff -r --no-dereference given/source unpacked
"""

RSYNC = r"""
for i in 1 2; do rsync -a --delete given/source/ synced/; done
diff -r --no-dereference given/source synced
[ -z "$(rsync -ain --delete given/source/ synced/)" ]
"""

SQLITE = r"""
[ "$(sqlite3 db 'pragma journal_mode=wal')" = wal ]
sqlite3 db 'create table t (n integer primary key, x blob)'
for i in 1 2; do
	sqlite3 -cmd '.timeout 60000' db 'pragma mmap_size=1048576; with recursive c(i) as
		(select 1 union all select i+1 from c where i<200) insert into t(x) select randomblob(500) from c' >/dev/null &
done
wait
[ "$(sqlite3 db 'select count(*) from t; pragma integrity_check' | tr '\n' ' ')" = '400 ok ' ]
"""

VENV = r"""
/usr/bin/python3 -m venv --without-pip env
[ "$(env/bin/python -c 'import sys; print(sys.prefix)')" = /mnt/env ]
"""

DPKG = r"""
mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates
touch root/var/lib/dpkg/status
dpkg --root=root --log=/dev/null --force-depends -i given/hello.deb >/dev/null
[ "$(cat root/usr/share/hello/text)" = hello ]
dpkg --root=root --log=/dev/null -P hello >/dev/null 2>&1
[ ! -e root/usr/share/hello ]
"""

MAP = r"""
/usr/bin/python3 given/map.py map
"""

MAP_PY = """
import mmap, os, sys
# A database of fixed slots in a shared mapping, filled by two processes, read back through read(2).
size, slots = 1 << 20, 256
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(f, size)
m = mmap.mmap(f, size)
child = os.fork()
for i in range(child != 0, slots, 2):
    at = i * (size // slots)
    m[at:at + 8] = i.to_bytes(8, "little")
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
m.flush()
for i in range(slots):
    assert os.pread(f, 8, i * (size // slots)) == i.to_bytes(8, "little"), i
"""

NPM = r"""
export HOME=/root npm_config_cache=/root/npm npm_config_update_notifier=false
mkdir app
cd app
npm install --offline --no-audit --no-fund ../given/package.tgz >/dev/null
node -e 'const p = require("NAME/package.json"); if (p.name !== "NAME") process.exit(1)'
"""

MAKEFILE = """
all: ids
ids: ipc/ids.o ipc/sha256.o ipc/utf8.o
\t$(CC) -o $@ $^
%.o: %.c
\t$(CC) -D_GNU_SOURCE -I. -c -o $@ $<
"""

IDS_C = """
#include <stdio.h>
#include <string.h>
#include "ipc/sha256.h"
int main(void)
{
	unsigned char digest[32];
	sha256("", 0, digest);
	return puts(digest[0] == 0xe3 ? "ok" : "wrong") < 0;
}
"""

SCRIPTS = {"git": GIT, "tar": TAR, "sqlite3": SQLITE, "make": MAKE, "rsync": RSYNC, "dpkg": DPKG, "venv": VENV,
           "mmap": MAP, "npm": NPM}
SHORT = tuple(name for name in SCRIPTS if name != "npm")  # which takes minutes
NEEDS = {"git": "git", "tar": "tar", "sqlite3": "sqlite3", "make": "cc", "rsync": "rsync", "dpkg": "dpkg-deb",
         "venv": "/usr/bin/python3", "mmap": "/usr/bin/python3", "npm": "/usr/bin/npm"}


class Programs(Case):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(harness.STAGE, "files")
        given = os.path.join(self.root, "given")
        os.makedirs(given)
        self.make_source(os.path.join(given, "source"))
        packages.make_deb(os.path.join(given, "hello.deb"))
        self.package = packages.npm_package()
        if self.package is not None:
            packages.pack_npm(self.package, os.path.join(given, "package.tgz"))
        for name, text in (("map.py", MAP_PY), ("Makefile", MAKEFILE)):
            with open(os.path.join(given, name), "w", encoding="ascii") as f:
                f.write(text)
        subprocess.run(["chown", "-R", f"{OURS}:{OURS}", self.root], check=True)

    def tearDown(self):
        shutil.rmtree(self.root)
        super().tearDown()

    def make_source(self, path):
        """A repository of real source: folders of this one."""
        for folder in ("ipc", "jail", "guest") if ALL else ("ipc",):
            shutil.copytree(os.path.join(harness.SOURCE, folder), os.path.join(path, folder))
        with open(os.path.join(path, "ipc", "ids.c"), "w", encoding="ascii") as f:
            f.write(IDS_C)
        os.symlink("ipc/log.h", os.path.join(path, "link"))
        for argv in (("init", "-q"), ("add", "."), ("commit", "-qm", "all")):
            subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *argv], cwd=path, check=True)

    def run_in(self, mount, names):
        config = (f'image = "mini"\nvm {{ memory = "768M"  cpus = 2 }}\nmount "/host" {{ host = "/" }}\n'
                  f'mount "/w" {{ {mount} }}\n')
        failed = io.StringIO()
        with Sandbox(config) as box:
            box.up()
            r = box.exec("sh", "-c", ENTER)
            self.assertEqual(r.code, 0, f"{r} {box.said()}")
            if "memory" in mount:
                given = os.path.join(self.root, "given")
                r = harness.run("gondolin", "cp", given, f"{box.id}:/w/")
                self.assertEqual(r.code, 0, r)
            for name in names:
                if shutil.which(NEEDS[name]) is None or (name == "npm" and self.package is None):
                    print(f"not run: {name} is not installed", flush=True)
                    continue
                script = SCRIPTS[name].replace("NAME", os.path.basename(self.package or ""))
                began = time.monotonic()
                r = box.exec("chroot", "/host", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                             "/bin/sh", "-exc", "cd /mnt\n" + script)
                print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
                if r.code != 0:
                    failed.write(f"{name}: {r}\n")
        self.assertEqual(failed.getvalue(), "", box)

    def test_host_directory(self):
        self.run_in(f'host = "{self.root}"  mode = rw', SCRIPTS if ALL else SHORT)
        with open(os.path.join(self.root, "map"), "rb") as f:
            self.assertEqual([f.read(4096)[0] for _ in range(256)], list(range(256)))
        if os.path.exists(os.path.join(self.root, "clone")):
            subprocess.run(["git", "-c", "safe.directory=*", "fsck", "--strict"], cwd=os.path.join(self.root, "clone"),
                           check=True, stderr=subprocess.DEVNULL)
            self.assertEqual(os.stat(os.path.join(self.root, "clone")).st_uid, OURS)

    @unittest.skipUnless(ALL, "tools/soak-files runs it")
    def test_copy_on_write(self):
        before = sorted(os.listdir(self.root))
        self.run_in(f'host = "{self.root}"  mode = cow', tuple(SCRIPTS))
        self.assertEqual(sorted(os.listdir(self.root)), before)

    @unittest.skipUnless(ALL, "tools/soak-files runs it")
    def test_memory(self):
        self.run_in('memory = "512M"', tuple(SCRIPTS))


if __name__ == "__main__":
    unittest.main()
