# SPDX-License-Identifier: Apache-2.0
"""Images built for real: mini and a Debian recipe, refused ones, interrupted ones.  Nothing is booted here.

GONDOLIN_BUILD is the build directory; GONDOLIN_MODE is root or user (an id without an account and without root).
"""
import fcntl
import glob
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

BUILD = os.environ["GONDOLIN_BUILD"]
MODE = os.environ.get("GONDOLIN_MODE", "user")
DEADLINE = 900  # seconds; reached only by a hang
USER = 61184  # an id that no account has
STAGE = None


def setUpModule():  # noqa: N802 (unittest's name)
    global STAGE
    if MODE == "root" and os.geteuid() != 0:
        print("skipped: root's way of building needs root")
        sys.exit(77)
    # A copy, where an ordinary user reaches it: a clone may lie below a closed directory.
    STAGE = tempfile.mkdtemp(prefix="gondolin-test-", dir="/tmp")
    os.chmod(STAGE, 0o755)
    os.mkdir(os.path.join(STAGE, "bin"))
    for name in ("gondolin", "gondolin-image", "gondolin-guest"):
        shutil.copy(os.path.join(BUILD, "bin", name), os.path.join(STAGE, "bin"))
    shutil.copytree(os.path.join(BUILD, "share"), os.path.join(STAGE, "share"))
    os.mkdir(os.path.join(STAGE, "recipes"))
    if MODE == "user" and os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{USER}:{USER}", STAGE], check=True)


def tearDownModule():  # noqa: N802
    shutil.rmtree(STAGE)


def identity():
    """Popen's arguments for whom the test runs as."""
    if MODE == "user" and os.geteuid() == 0:
        return {"user": USER, "group": USER, "extra_groups": []}
    return {}


def start(store, *words):
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "GONDOLIN_IMAGE_DIR": store}
    return subprocess.Popen([os.path.join(STAGE, "bin", "gondolin"), "image", *words], env=environment, cwd="/",
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            **identity())


def run(store, *words):
    """The exit code, stdout and stderr of a command."""
    process = start(store, *words)
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def debugfs(rootfs, request):
    path = "/usr/sbin:/sbin:/usr/bin:/bin"
    return subprocess.run(["debugfs", "-R", request, rootfs], check=True, env={"PATH": path}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def recipe(name, text):
    path = os.path.join(STAGE, "recipes", name + ".conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class ImageBuild(unittest.TestCase):
    def setUp(self):
        self.store = os.path.join(STAGE, "store-" + self.id().rsplit(".", 1)[1])

    def tearDown(self):
        self.assertEqual(glob.glob(self.store + "/objects/.tmp-*"), [])
        shutil.rmtree(self.store, ignore_errors=True)

    def succeed(self, *words):
        code, out, err = run(self.store, *words)
        self.assertEqual((code, err), (0, ""))
        return out

    def images(self):
        return json.loads(self.succeed("ls", "--json"))

    def parts(self, selector):
        image = json.loads(self.succeed("inspect", selector, "--json"))
        return {k: os.path.join(image["directory"], p["file"]) for k, p in image["manifest"]["parts"].items()}, image

    def test_mini(self):
        build_id = self.succeed("build", "mini", "--quiet").strip()
        self.assertRegex(build_id, "^[0-9a-f]{64}$")
        self.assertEqual([(i["id"], i["tags"]) for i in self.images()], [(build_id, ["mini:latest"])])
        self.succeed("verify", "mini")
        parts, image = self.parts(build_id[:8])
        self.assertEqual(image["manifest"]["recipe"], "mini")
        self.assertRegex(image["manifest"]["packages"][0], "^linux-image-.*=")

        # The root file system: whole, sparse, owned by root whoever built it.
        check = subprocess.run(["/sbin/e2fsck", "-fn", parts["rootfs"]], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        self.assertEqual(check.returncode, 0, check.stdout)
        status = os.stat(parts["rootfs"])
        self.assertEqual(status.st_size, 256 << 20)
        self.assertLess(status.st_blocks * 512, 64 << 20)
        for path in ("/", "/etc", "/etc/passwd", "/bin/busybox", "/bin/sh"):
            self.assertRegex(debugfs(parts["rootfs"], f"stat {path}"), r"User:\s+0\s+Group:\s+0")
        self.assertIn('Fast link dest: "/bin/busybox"', debugfs(parts["rootfs"], "stat /bin/sh"))
        self.assertRegex(debugfs(parts["rootfs"], "stat /tmp"), r"Mode:\s+01777")

        # The initramfs: what the guest's init reads, each module after those that it needs.
        with open(parts["initramfs"], "rb") as f:
            archive = f.read()
        names, contents = [], {}
        at = 0
        while True:
            size, n = int(archive[at + 54:at + 62], 16), int(archive[at + 94:at + 102], 16)
            name = archive[at + 110:at + 110 + n - 1].decode()
            at += (110 + n + 3) // 4 * 4
            if name == "TRAILER!!!":
                break
            names.append(name)
            contents[name] = archive[at:at + size]
            at += (size + 3) // 4 * 4
        self.assertLessEqual({"init", "modules.list", "dev", "newroot", "proc", "sys"}, set(names))
        with open(os.path.join(STAGE, "bin", "gondolin-guest"), "rb") as f:
            self.assertEqual(contents["init"], f.read())
        # The words behind a name say when it is loaded.
        modules = [line.split()[0] for line in contents["modules.list"].decode().splitlines()]
        self.assertEqual(modules, [n for n in names if n.endswith(".ko")])
        self.assertLess(modules.index("modules/virtio.ko"), modules.index("modules/virtio_mmio.ko"))
        self.assertIn("modules/virtio_console.ko", modules)

        # The kernel: unpacked, or as it came.
        with open(parts["kernel"], "rb") as f:
            head = f.read(0x206)
        self.assertTrue(head[:4] == b"\x7fELF" or head[0x202:] == b"HdrS" or os.uname().machine != "x86_64")

    def test_same_inputs_same_kernel_and_initramfs(self):
        found = []
        for tag in ("one", "two"):
            self.succeed("build", "mini", "--tag", tag, "--size", "64M")
            found.append(json.loads(self.succeed("inspect", tag, "--json"))["manifest"]["parts"])
        for part in ("kernel", "initramfs"):
            self.assertEqual(found[0][part], found[1][part])
        self.assertEqual(found[0]["rootfs"]["size"], 64 << 20)

    def test_own_recipe(self):
        with open(os.path.join(STAGE, "recipes", "greeting"), "w", encoding="utf-8") as f:
            f.write("hello\n")
        path = recipe("own", 'base = busybox\nsize = "64M"\ncmdline = "quiet"\n'
                      'file "/opt/a/greeting" { source = "greeting"  mode = "0750" }\n'
                      "run = {'cat /opt/a/greeting > /result', 'echo $HOME >> /result; echo > /dev/null'}\n")
        self.succeed("build", path)
        parts, image = self.parts("own")
        self.assertEqual(image["manifest"]["cmdline"], "quiet")
        self.assertEqual(debugfs(parts["rootfs"], "cat /result"), "hello\n/root\n")
        self.assertRegex(debugfs(parts["rootfs"], "stat /opt/a/greeting"), r"Mode:\s+0750")
        # What was mounted for the commands did not get in.
        self.assertEqual(debugfs(parts["rootfs"], "ls -p /dev").count("\n"), 3)

    def test_refusals(self):
        """Each ends with one line that says what to do, and leaves no image."""
        cases = [
            (("build", recipe("failing", "base = busybox\nrun = {'echo first; echo why >&2; exit 3'}\n")),
             "failed (exit 3): first why"),
            (("build", recipe("big", 'base = busybox\nsize = "16M"\n\n'
                              "run = {'dd if=/dev/urandom of=/x bs=1M count=30 2>/dev/null'}\n")),
             "give a larger --size"),
            (("build", recipe("nomodule", 'base = busybox\nmodules = {"no_such_module"}\n')),
             "has no module no_such_module"),
            (("build", recipe("nofile", 'base = busybox\nfile "/x" { source = "not-there" }\n')), "not-there"),
            (("build", "mini", "--guest", os.path.join(STAGE, "share/gondolin/recipes/mini.conf")), "is no ELF program"),
            (("build", "mini", "--guest", "/nonexistent"), "/nonexistent"),
        ]
        for words, text in cases:
            with self.subTest(text):
                code, out, err = run(self.store, *words)
                self.assertEqual((code, out), (1, ""), err)
                self.assertIn(text, err)
                self.assertEqual(err.count("\n"), 1)
                self.assertEqual(self.images(), [])

    def test_debian(self):
        """As root it is built; an id without subordinate ids is told what it needs."""
        path = recipe("deb", 'base = debian\nsize = "1G"\npackages = {"netbase"}\n'
                      "run = {'id -u > /result; dpkg-query -W netbase > /dev/null'}\n")
        if MODE == "user" and os.geteuid() == 0:
            code, _, err = run(self.store, "build", path)
            self.assertEqual(code, 1)
            self.assertIn("no subordinate ids", err)
            return
        self.succeed("build", path)
        parts, image = self.parts("deb")
        self.assertTrue(any(p.startswith("netbase=") for p in image["manifest"]["packages"]))
        self.assertEqual(debugfs(parts["rootfs"], "cat /result"), "0\n")
        self.assertRegex(debugfs(parts["rootfs"], "stat /etc/shadow"), r"User:\s+0\s+Group:\s+42")
        self.assertNotIn("99mmdebstrap", debugfs(parts["rootfs"], "ls -p /etc/apt/apt.conf.d"))

    def interrupt(self, number):
        """Signals a build once one of its programs said something; the build's exit code."""
        log = os.path.join(STAGE, "log")
        os.mkfifo(log)
        os.chmod(log, 0o666)
        try:
            process = start(self.store, "build", "mini", "--log", log)
            # A build that ends before it opens its log must not keep the test waiting.
            said, ended = os.open(log, os.O_RDONLY | os.O_NONBLOCK), os.pidfd_open(process.pid)
            self.assertEqual(select.select([said, ended], [], [])[0], [said], "the build ended without a word")
            process.send_signal(number)
            out, err = process.communicate(timeout=DEADLINE)
            os.close(said)
            os.close(ended)
        finally:
            os.unlink(log)
        self.assertEqual(out, "")
        return process.returncode, err

    def test_interrupted(self):
        code, err = self.interrupt(signal.SIGINT)
        self.assertEqual((code, err), (130, "gondolin image: interrupted\n"))
        self.assertEqual(self.images(), [])
        self.assertEqual(os.listdir(self.store + "/objects"), [])

    def test_killed(self):
        code, _ = self.interrupt(signal.SIGKILL)
        self.assertEqual(code, -signal.SIGKILL)
        self.assertEqual(self.images(), [])
        left = glob.glob(self.store + "/objects/.tmp-*")
        self.assertEqual(len(left), 1)
        # Programs that it ran hold the lock; they end with it.
        fd = os.open(left[0], os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.close(fd)
        self.succeed("build", "mini")
        self.assertEqual(len(self.images()), 1)


if __name__ == "__main__":
    unittest.main()
