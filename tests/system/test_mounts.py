# SPDX-License-Identifier: Apache-2.0
"""Mounts in real sandboxes: what the guest sees and may do, what reaches the host, and what never does."""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import harness
from harness import BASE, Case, Sandbox, await_end, run, setUpModule, tearDownModule  # noqa: F401

OURS = harness.USER if harness.MODE == "user" and os.geteuid() == 0 else os.geteuid()

MMAP = r"""
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR | O_CREAT, 0644);
	char *p;

	if (argc < 2 || fd < 0 || ftruncate(fd, 8192) < 0)
		return 2;
	p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return 3;
	for (int i = 0; i < 8192; i++)
		p[i] = 'm';
	return 0; /* neither msync nor munmap */
}
"""

LOCK = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	if (argc < 3 || flock(open(argv[2], O_RDONLY), LOCK_EX | (strcmp(argv[1], "try") == 0 ? LOCK_NB : 0)) < 0)
		return 1;
	if (strcmp(argv[1], "keep") == 0 && puts("locked") > 0 && fflush(stdout) == 0)
		pause();
	return 0;
}
"""

# Each call that a shell's tools leave out, of those that reach the host.
CALLS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#define TRY(call) do { if ((call) < 0) { perror(#call); return 1; } } while (0)
int main(void)
{
	int from = open("from", O_RDWR | O_CREAT, 0644), to = open("to", O_RDWR | O_CREAT, 0644);
	struct statfs st;
	struct stat owner;
	char value[8];

	TRY(write(from, "12345", 5));
	TRY(ftruncate(from, 5));
	TRY(fsync(from));
	TRY(lseek(from, 0, SEEK_SET));
	TRY(copy_file_range(from, NULL, to, NULL, 5, 0) - 5);
	TRY(fallocate(to, 0, 0, 4096));
	TRY(fdatasync(to));
	TRY(fstatfs(to, &st));
	TRY(fstat(to, &owner));
	TRY(fchown(to, owner.st_uid, owner.st_gid));
	TRY(fsetxattr(to, "user.test", "value", 5, 0));
	TRY(fgetxattr(to, "user.test", value, sizeof(value)) - 5);
	TRY(flistxattr(to, NULL, 0));
	TRY(fremovexattr(to, "user.test"));
	TRY(mknod("fifo", S_IFIFO | 0600, 0));
	TRY(renameat2(AT_FDCWD, "from", AT_FDCWD, "to", RENAME_EXCHANGE));
	TRY(renameat2(AT_FDCWD, "from", AT_FDCWD, "other", RENAME_NOREPLACE));
	return 0;
}
"""


class Files(Case):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(harness.STAGE, "files")
        self.folder()

    def tearDown(self):
        shutil.rmtree(self.root)
        super().tearDown()

    def folder(self, *names):
        path = self.root
        for name in ("", *names):
            path = os.path.join(path, name) if name else path
            os.makedirs(path, exist_ok=True)
            os.chown(path, OURS, OURS)
        return path

    def file(self, *names, text="", mode=0o644):
        path = os.path.join(self.root, *names)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        os.chown(path, OURS, OURS)
        return path

    def program(self, source, *names):
        """Compiles a static program into the mount: the guest has no compiler."""
        path = self.file(*names, text="", mode=0o755)
        subprocess.run(["cc", "-static", "-x", "c", "-o", path, "-"], input=source.encode(), check=True)
        os.chmod(path, 0o755)
        return path

    def read(self, *names):
        with open(os.path.join(self.root, *names), encoding="utf-8") as f:
            return f.read()

    def sh(self, box, script, want=0):
        r = box.exec("sh", "-c", script)
        if want is not None:
            self.assertEqual(r.code, want, f"{script}: {r} {box.said()}")
        return r.out.decode()


class Kinds(Files):
    BY = "virtiofs"

    def config(self):
        self.folder("work", "known")
        self.file("work", "hello", text="from the host\n")
        self.file("work", ".env", text="SECRET=1\n")
        self.file("work", "known", "inside", text="inside\n")
        self.folder("fixed")
        self.file("fixed", "f", text="fixed\n")
        self.program(LOCK, "fixed", "lock")
        self.folder("layer")
        self.file("layer", "f", text="below\n")
        self.folder("mit Raum", "ü")
        self.folder("scratch", "node_modules")
        self.file("scratch", "node_modules", "host", text="x")
        self.log = os.path.join(self.folder("log"), "turn.jsonl")
        at = self.root
        return (f'image = "mini"\nvm {{ memory = "192M"  mounts = {self.BY} }}\naudit = "{self.log}"\n'
                f'mount "/workspace" {{ host = "{at}/work"  mode = rw  hide = {{".env"}} }}\n'
                f'mount "/workspace/deep/nested" {{ memory = "1M" }}\n'
                f'mount "/usr/fixed" {{ host = "{at}/fixed" }}\n'
                f'mount "/layer" {{ host = "{at}/layer"  mode = cow  trace = true }}\n'
                f'mount "/mit Raum/ü" {{ host = "{at}/mit Raum/ü"  mode = rw }}\n'
                f'mount "/scratch" {{ host = "{at}/scratch"  mode = rw  hide = {{"node_modules"}}'
                f'  hide-mode = scratch }}\n')

    def records(self):
        with open(self.log, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def check_write(self, box):
        self.assertEqual(self.sh(box, "cat /workspace/hello"), "from the host\n")
        self.sh(box, "cd /workspace && echo new >n && mkdir d && mv n d/n && ln d/n hard && ln -s d/n soft && "
                     "chmod 640 d/n && echo more >>hard && cat soft")
        self.assertEqual(self.read("work", "d", "n"), "new\nmore\n")
        st = os.stat(os.path.join(self.root, "work", "d", "n"))
        self.assertEqual((st.st_uid, st.st_gid, st.st_mode & 0o7777, st.st_nlink), (OURS, OURS, 0o640, 2))
        self.assertEqual(self.sh(box, "stat -c %u:%g /workspace/hello"), "0:0\n")
        self.sh(box, "cd /workspace && tar -cf t.tar d hard && mkdir out && tar -xf t.tar -C out && cmp out/d/n d/n")
        self.sh(box, "cd /workspace && rm -r d hard soft out t.tar && ls d", want=1)
        self.assertEqual(sorted(os.listdir(os.path.join(self.root, "work"))), [".env", "deep", "hello", "known"])

    def check_locks(self, box):
        """A guest's locks hold in the guest; one who waits for one can be ended."""
        with open(os.path.join(self.root, "work", "hello"), encoding="utf-8") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.sh(box, "/usr/fixed/lock try /workspace/hello")
        self.sh(box, "mkfifo /tmp/locked; /usr/fixed/lock keep /workspace/hello >/tmp/locked & read up </tmp/locked; "
                     "! /usr/fixed/lock try /workspace/hello; /usr/fixed/lock wait /workspace/hello & "
                     "kill $!; wait $!; test $? -eq 143; kill %1; wait %1; /usr/fixed/lock try /workspace/hello")

    def check_locks_of_the_host(self, box):
        """A lock of the host's holds the guest up until it is let go."""
        with open(os.path.join(self.root, "work", "hello"), encoding="utf-8") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.sh(box, "/usr/fixed/lock try /workspace/hello", want=1)
            p = harness.popen(["gondolin", "exec", "--session", box.id, "--", "sh", "-c",
                               "echo asks; /usr/fixed/lock wait /workspace/hello && echo has it"])
            self.assertEqual(p.stdout.readline(), b"asks\n")
        self.assertEqual(p.communicate(timeout=harness.DEADLINE)[0], b"has it\n")
        self.sh(box, "/usr/fixed/lock try /workspace/hello")

    def check_special(self, box):
        """Owners, setuid and devices stay in the guest."""
        self.sh(box, "cd /workspace && cp /bin/busybox s && chown 12:34 s && chmod 6755 s")
        self.assertEqual(self.sh(box, "stat -c %u:%g:%a /workspace/s"), "12:34:6755\n")
        st = os.stat(os.path.join(self.root, "work", "s"))
        self.assertEqual((st.st_uid, st.st_gid, st.st_mode & 0o7777), (OURS, OURS, 0o755))
        # A mode is the host's: where it closes a file to its owner, it does so to the guest's root.
        self.sh(box, "cd /workspace && echo x >ro && chmod 444 ro && ! echo y >>ro && chmod 644 ro && echo y >>ro && "
                     "rm ro")
        self.sh(box, "mknod /workspace/null c 1 3", want=1)
        self.assertFalse(os.path.lexists(os.path.join(self.root, "work", "null")))

    def check_host_changes(self, box):
        self.sh(box, "cat /workspace/hello /workspace/known/inside; ! test -e /workspace/late")
        self.file("work", "hello", text="changed on the host\n")
        self.file("work", "late", text="late\n")
        # What the guest knew may be trusted for a second, and no event ends that.
        self.sh(box, "until grep -q changed /workspace/hello && test -e /workspace/late; do :; done")

    def check_read_only(self, box):
        self.assertEqual(self.sh(box, "cat /usr/fixed/f"), "fixed\n")
        for script in ("echo x >/usr/fixed/f", "touch /usr/fixed/new", "rm /usr/fixed/f", "chmod 777 /usr/fixed/f",
                       "mount -o remount,rw /usr/fixed; rm /usr/fixed/f"):
            self.assertNotEqual(box.exec("sh", "-c", script).code, 0, script)
        self.assertEqual(sorted(os.listdir(os.path.join(self.root, "fixed"))), ["f", "lock"])
        self.assertEqual(self.read("fixed", "f"), "fixed\n")

    def check_hidden(self, box):
        self.assertNotIn(".env", self.sh(box, "ls -a /workspace"))
        for script in ("cat /workspace/.env", "cat /workspace/known/../.env", "cat /workspace/.ENV",
                       "echo x >/workspace/.env", "mv /workspace/late /workspace/.env",
                       "ln -s .env /workspace/l; cat /workspace/l"):
            r = box.exec("sh", "-c", script)
            self.assertNotEqual(r.code, 0, script)
            self.assertNotIn(b"SECRET", r.out)
        self.assertEqual(self.read("work", ".env"), "SECRET=1\n")
        self.assertEqual(self.sh(box, "mkdir /scratch/node_modules && cd /scratch/node_modules && echo mine >m && ls"),
                         "m\n")
        self.assertEqual(os.listdir(os.path.join(self.root, "scratch", "node_modules")), ["host"])

    def check_memory_and_layer(self, box):
        self.sh(box, "dd if=/dev/zero of=/workspace/deep/nested/big bs=64k count=64", want=1)
        self.sh(box, "rm /workspace/deep/nested/big && echo x >/workspace/deep/nested/small")
        self.assertEqual(os.listdir(os.path.join(self.root, "work", "deep", "nested")), [])
        self.assertEqual(self.sh(box, "echo above >>/layer/f; rm -f /layer/none; echo n >/layer/n; cat /layer/f"),
                         "below\nabove\n")
        self.assertEqual(self.read("layer", "f"), "below\n")
        self.assertEqual(os.listdir(os.path.join(self.root, "layer")), ["f"])
        self.sh(box, "mv /layer/n /workspace/deep/nested/ && cat /workspace/deep/nested/n")
        self.sh(box, "echo grüße >'/mit Raum/ü/a b'")
        self.assertEqual(self.read("mit Raum", "ü", "a b"), "grüße\n")

    def check_escapes(self, box):
        """The host swaps what the guest knows for links out of the mount."""
        secret = self.folder("outside")
        self.file("outside", "inside", text="TOP SECRET\n")
        work = os.path.join(self.root, "work")
        os.symlink(secret, os.path.join(work, "absolute"))
        os.symlink("../outside", os.path.join(work, "relative"))
        os.symlink("/proc/self/root" + secret, os.path.join(work, "magic"))
        os.link(os.path.join(secret, "inside"), os.path.join(work, "linked"))
        self.assertEqual(self.sh(box, "cat /workspace/linked"), "TOP SECRET\n")  # a name in the mount, as any other
        os.unlink(os.path.join(work, "linked"))
        self.sh(box, "cat /workspace/known/inside")
        os.rename(os.path.join(work, "known"), os.path.join(work, "was"))
        os.symlink("../outside", os.path.join(work, "known"))
        for name in ("absolute", "relative", "magic", "known", "known/..", "../files/outside"):
            r = box.exec("sh", "-c", f"cat /workspace/{name}/inside; echo mine >/workspace/{name}/planted")
            self.assertNotIn(b"SECRET", r.out, name)
        self.assertEqual(os.listdir(secret), ["inside"])

    def test_all_in_one_sandbox(self):
        with Sandbox(self.config()) as box:
            box.up()
            self.check_write(box)
            self.check_locks(box) if self.BY == "virtiofs" else self.check_locks_of_the_host(box)
            self.check_special(box)
            self.check_host_changes(box)
            self.check_read_only(box)
            self.check_hidden(box)
            self.check_memory_and_layer(box)
            self.check_escapes(box)
            self.check_walls(box)
        denied = [r for r in self.records() if r["event"] == "file-denied"]
        self.assertTrue(any(r["mount"] == "/workspace" and r["path"] == ".env" for r in denied), denied)
        self.assertTrue(any(r["mount"] == "/usr/fixed" and r["result"] == "EROFS" for r in denied), denied)
        traced = [r for r in self.records() if r["event"] == "file"]
        self.assertTrue(any(r["operation"] == "write" and r["path"] == "f" for r in traced))
        self.assertEqual({r["mount"] for r in traced}, {"/layer"})

    def check_walls(self, box):
        with open(f"/proc/{box.pids()['vfsd']}/status", encoding="ascii") as f:
            status = f.read()
        self.assertEqual(self.sh(box, "grep -c ' /workspace virtiofs ' /proc/mounts", want=None), "1\n" if self.BY == "virtiofs" else "0\n")
        for line in ("Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"):
            self.assertIn(line, status)
        r = run("gondolin", "audit", box.id)
        self.assertEqual(r.code, 0, r)
        self.assertIn(b"vfsd", r.out)


class Relayed(Kinds):
    BY = "relay"


class Calls(Files):
    def test_calls_of_a_program(self):
        self.folder("work")
        self.program(CALLS, "work", "calls")
        with Sandbox(BASE + f'mount "/work" {{ host = "{self.root}/work"  mode = rw  owner = keep }}\n') as box:
            box.up()
            self.sh(box, "cd /work && ./calls")
        self.assertEqual(sorted(os.listdir(os.path.join(self.root, "work"))), ["calls", "fifo", "other", "to"])
        self.assertEqual(self.read("work", "to"), "12345")
        self.assertEqual(os.path.getsize(os.path.join(self.root, "work", "other")), 4096)


class OneShot(Files):
    def test_flags(self):
        self.file("f", text="here\n")
        r = run("gondolin", "exec", "--image", "mini", "--mount-hostfs", f"{self.root}:/w:ro", "--mount-memfs", "/m",
                "--", "sh", "-c", "cat /w/f; touch /w/x 2>/dev/null || echo refused; echo y >/m/y; cat /m/y")
        self.assertEqual((r.code, r.out), (0, b"here\nrefused\ny\n"), r)

    def test_dirty_pages_reach_the_host(self):
        """What a command wrote through a mapping is there when it has ended."""
        self.program(MMAP, "map")
        r = run("gondolin", "exec", "--image", "mini", "--mount-hostfs", f"{self.root}:/w", "--", "/w/map", "/w/out")
        self.assertEqual(r.code, 0, r)
        self.assertEqual(self.read("out"), "m" * 8192)

    def test_user_of_the_command_owns_what_it_sees(self):
        self.file("f", text="x\n", mode=0o600)
        r = run("gondolin", "exec", "--image", "mini", "--user", "1234", "--mount-hostfs", f"{self.root}:/w", "--",
                "sh", "-c", "cat /w/f && echo y >/w/f && stat -c %u:%g /w/f")
        self.assertEqual((r.code, r.out), (0, b"x\n1234:1234\n"), r)
        self.assertEqual(os.stat(os.path.join(self.root, "f")).st_uid, OURS)


class RootStarted(Files):
    def setUp(self):
        super().setUp()
        if harness.MODE != "root":
            self.skipTest("an ordinary user acts as nobody else")

    def test_user_of_the_mount(self):
        os.chown(self.root, harness.USER, harness.USER)
        os.chmod(self.root, 0o700)
        with open(os.path.join(self.root, "root's"), "w", encoding="ascii") as f:
            f.write("root\n")
        os.chmod(os.path.join(self.root, "root's"), 0o600)
        path = harness.write_config(
            BASE + f'mount "/w" {{ host = "{self.root}"  mode = rw  user = "{harness.USER}" }}\n'
            'command = {"sh", "-c", "echo x >/w/made; cat \\"/w/root\'s\\" 2>/dev/null || echo refused"}\n')
        r = run("gondolin-supervisor", "--config", path)
        self.assertEqual((r.code, r.out), (0, b"refused\n"), r)
        st = os.stat(os.path.join(self.root, "made"))
        self.assertEqual((st.st_uid, st.st_gid), (harness.USER, harness.USER))

    def test_directory_that_is_closed_to_the_user(self):
        os.chmod(self.root, 0o700)
        inner = self.folder("inner")
        os.chmod(inner, 0o777)
        path = harness.write_config(BASE + f'mount "/w" {{ host = "{inner}"  user = "{harness.USER}" }}\n')
        r = run("gondolin-supervisor", "--config", path)
        self.assertEqual(r.code, 125, r)
        self.assert_one_line(r.err, "sandbox.conf:3", inner, "cannot be read")


class Limits(Files):
    """What a mount's limits give the guest: an errno, and nothing else."""

    def test_limits_and_flood(self):
        self.file("f", text="x\n")
        self.file(".env", text="SECRET\n")
        log = os.path.join(self.folder("log"), "turn.jsonl")
        text = (BASE + f'audit = "{log}"\n'
                f'mount "/w" {{ host = "{self.root}"  mode = rw  hide = {{".env"}}  max-bytes = "1M"  max-inodes = 10 '
                f' max-open = 8  max-requests = 4 }}\n'
                f'mount "/o" {{ host = "{self.root}"  mode = rw  owner = keep }}\n'
                f'mount "/c" {{ host = "{self.root}"  mode = cow  max-bytes = "1M" }}\n'
                f'mount "/s" {{ host = "{self.root}"  mode = rw  hide = {{"own"}}  hide-mode = scratch  max-bytes = "1M" }}\n')
        with Sandbox(text) as box:
            box.up()
            for at in ("/w", "/c"):
                r = box.exec("sh", "-c", f"dd if=/dev/zero of={at}/big bs=64k count=64")
                self.assertIn(b"No space left", r.err, r)
                self.sh(box, f"rm {at}/big")
                r = box.exec("sh", "-c", f"for i in 1 2 3 4; do dd if=/dev/zero bs=512k count=1 >>{at}/grown || break; done")
                self.assertIn(b"No space left", r.err, r)
                self.sh(box, f"set -e; for i in 1 2 3 4; do dd if=/dev/zero bs=512k count=1 of={at}/grown 2>/dev/null; done; "
                             f"rm {at}/grown")
            r = box.exec("sh", "-c", "exec 3>/w/1; rm /w/1; dd if=/dev/zero bs=1M count=1 >&3 2>/dev/null && echo x >/w/2")
            self.assertIn(b"No space left", r.err, r)
            self.sh(box, "dd if=/dev/zero bs=1M count=1 of=/w/2 2>/dev/null && rm /w/2")
            r = box.exec("sh", "-c", "dd if=/dev/zero of=/s/own bs=64k count=64")
            self.assertIn(b"No space left", r.err, r)
            self.sh(box, "rm /s/own; dd if=/dev/zero of=/s/own bs=64k count=8 2>/dev/null")
            r = box.exec("sh", "-c", "mkdir /w/d; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do touch /w/d/$i; done")
            self.assertIn(b"No space left", r.err, r)
            self.sh(box, "rm -r /w/d; touch /w/again; rm /w/again")
            r = box.exec("sh", "-c", "exec 3</w/f 4</w/f 5</w/f 6</w/f 7</w/f 8</w/f 9</w/f; cat /w/f /o/f; "
                                     "{ cat /w/f; } </w/f")
            self.assertIn(b"Too many open files", r.err, r)
            self.assertEqual(self.sh(box, "stat -c %u:%g /o/f"), f"{OURS}:{OURS}\n")
            self.sh(box, f"chown 12 /o/f && [ $(stat -c %u /o/f) = 12 ] && chown {OURS} /o/f")
            self.assertEqual(self.sh(box, "stat -c %u:%g /o/f"), f"{OURS}:{OURS}\n")
            self.assertEqual(os.stat(os.path.join(self.root, "f")).st_uid, OURS)
            began = time.monotonic()
            box.exec("sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo >/w/.env; i=$((i+1)); done 2>/dev/null")
            seconds = time.monotonic() - began
        with open(log, encoding="utf-8") as f:
            denied = [json.loads(line) for line in f if '"file-denied"' in line]
        denied = [r for r in denied if r["mount"] == "/w" and (r["path"] == ".env" or r["operation"] == "more")]
        # 64 in each second that it took, and one for those that were held back.
        self.assertLessEqual(len(denied), 64 * (int(seconds) + 2) + 1)
        self.assertGreaterEqual(sum(1 + r.get("repeated", 0) for r in denied), 2000)
        self.assertEqual(self.read("f"), "x\n")


    def test_memory_of_all_mounts(self):
        """What guests make under hidden names counts as much as mounts in memory and layers."""
        scratch = 'hide = {"x"}  hide-mode = scratch'
        for last, fits in ((f'mode = rw {scratch} max-bytes = "2M"', False), (f'mode = rw {scratch} max-bytes = "1M"', True)):
            rows = [f'mount "/m{i}" {{ host = "{self.root}"  mode = {mode}  {scratch} }}\n'
                    for i, mode in enumerate(["cow"] * 7 + ["rw"])]
            text = (BASE + "".join(rows) + f'mount "/n" {{ memory = "1023M" }}\nmount "/o" {{ host = "{self.root}" {last} }}\n')
            path = harness.write_config(text + 'mount "/p" { host = "/nonexistent" }\n')
            with self.subTest(fits=fits):
                r = run("gondolin-supervisor", "--config", path)
                self.assertEqual(r.code, 125, r)
                self.assert_one_line(r.err, "does not exist" if fits else "16G")


class Many(Files):
    def test_as_many_devices_as_there_can_be(self):
        rows = "".join(f'mount "/m{i}" {{ memory = "1M" }}\n' for i in range(16))
        with Sandbox(BASE + rows).up() as box:
            self.sh(box, "for i in /m*; do echo $i >$i/name; done; for i in /m*; do [ $(cat $i/name) = $i ] || exit 1; done; "
                         "[ $(grep -c virtiofs /proc/mounts) = 16 ]")
            r = run("gondolin", "audit", box.id)
            self.assertEqual((r.code, r.err), (0, b""), r)
            pids = box.pids()
            os.kill(pids["qemu"], signal.SIGKILL)
            self.assertEqual(box.wait(), 125)
            await_end(pids.values())
            self.assert_one_line(box.said(), "qemu was killed")


class Ends(Files):
    def box(self):
        return Sandbox(BASE + f'mount "/w" {{ host = "{self.root}"  mode = rw }}\n').up()

    def test_vfsd_killed(self):
        box = self.box()
        pids = box.pids()
        os.kill(pids["vfsd"], signal.SIGKILL)
        self.assertEqual(box.wait(), 125)
        await_end(pids.values())
        self.assert_one_line(box.said(), "vfsd")
        box.end()

    def test_relay_killed_by_the_guest(self):
        box = self.box()
        box.exec("sh", "-c", "for p in /proc/[0-9]*; do grep -q -- '-1000' $p/oom_score_adj && kill -9 ${p#/proc/}; done")
        self.assertEqual(box.wait(), 125)
        self.assert_one_line(box.said(), "relay of the mounts")
        box.end()

    def test_stop_waits_for_files(self):
        """A command that writes when it is told to end still reaches its files."""
        box = self.box()
        p = harness.popen(["gondolin", "exec", "--session", box.id, "--", "sh", "-c",
                           f"{harness.hold('/tmp/held')}; trap 'echo ended >/w/last; exit' TERM; cat <&3 >/dev/null & echo up; wait"])
        self.assertEqual(p.stdout.readline(), b"up\n")
        r = run("gondolin", "stop", box.id)
        self.assertEqual(r.code, 0, r)
        p.communicate()
        box.wait()
        self.assertEqual(os.listdir(self.root), ["last"], box.said())
        self.assertEqual(self.read("last"), "ended\n")
        box.end()

    def test_stop_comes_before_its_output_closes(self):
        box = self.box()
        p = harness.popen(["gondolin", "exec", "--session", box.id, "--", "sh", "-c",
                           "trap 'echo ended >/w/last; exit' TERM; while :; do echo x; done"])
        self.assertEqual(p.stdout.readline(), b"x\n")
        self.assertEqual(run("gondolin", "stop", box.id).code, 0)
        p.communicate()
        box.wait()
        self.assertEqual(os.listdir(self.root), ["last"], box.said())
        box.end()

    def test_refused(self):
        closed = self.folder("closed")
        self.file("file")
        os.chmod(closed, 0)
        rows = [(f"{self.root}/none", "does not exist"), (f"{self.root}/file", "not a directory")]
        if OURS != 0:
            rows.append((closed, "cannot be read"))
        for host, word in rows:
            with self.subTest(host=host):
                path = harness.write_config(BASE + f'mount "/w" {{ host = "{host}" }}\n')
                r = run("gondolin-supervisor", "--config", path)
                self.assertEqual(r.code, 125, r)
                self.assert_one_line(r.err, "sandbox.conf:3", host, word)


if __name__ == "__main__":
    unittest.main()
