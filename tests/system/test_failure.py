# SPDX-License-Identifier: Apache-2.0
"""What goes wrong: each gets one line that says what to do, code 125, and leaves nothing behind."""
import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import time
import unittest

import harness
from harness import BASE, Case, Sandbox, await_end, hold, run, setUpModule, tearDownModule  # noqa: F401


# A command that says that it runs, and then never ends.
ENDLESS = hold("/tmp/held") + "; echo up; exec cat <&3"


class Killed(Case):
    """SIGKILL of each process in turn ends the sandbox with one line that names it."""

    CONFIG = BASE + 'mount "/scratch" { memory = "16M" }\nnetwork { allow = {"example.org"} }\n'

    def kill(self, name):
        box = Sandbox(self.CONFIG).up()
        pids = box.pids()
        self.assertIn(name, pids)
        before = time.monotonic()
        os.kill(pids[name], signal.SIGKILL)
        code = box.wait()
        await_end(pids.values())
        print(f"{name}: all {len(pids)} processes gone in {(time.monotonic() - before) * 1000:.0f} ms", flush=True)
        said = box.said()
        box.end()
        self.assert_one_line(said, name)
        return code

    def test_helpers(self):
        for name in ("guard", "vmrunner", "qemu", "vfsd", "netproxy", "egress"):
            with self.subTest(name):
                self.assertEqual(self.kill(name), 125)

    def test_supervisor(self):
        self.assertEqual(self.kill("supervisor"), -signal.SIGKILL)

    def test_client_dies_mid_command(self):
        with Sandbox() as box:
            box.up()
            p = harness.popen(["gondolin", "exec", "--session", box.id, "--", "sh", "-c", ENDLESS])
            self.assertEqual(p.stdout.readline(), b"up\n")
            its_end = box.watch("/tmp/held")
            p.kill()
            p.communicate()
            its_end.communicate(timeout=harness.DEADLINE)
            self.assertEqual(its_end.returncode, 0)

    def test_one_shot_client_dies(self):
        """The lifeline ends the sandbox when its client is gone, however it went."""
        p = harness.popen(["gondolin", "exec", "--image", "mini", "--", "sh", "-c", ENDLESS])
        self.assertEqual(p.stdout.readline(), b"up\n")
        left = harness.processes()
        p.kill()
        p.communicate()
        await_end(left)

    def test_late_supervisor_still_says_why(self):
        """The relay of its command has ended before the supervisor sees anything."""
        path = harness.write_config(BASE + f'command = {{"sh", "-c", "{ENDLESS}"}}\n')
        p = harness.popen(["gondolin-supervisor", "--config", path])
        self.assertEqual(p.stdout.readline(), b"up\n")
        relay = harness.child(p.pid, "gondolin")
        qemu = harness.child(p.pid, "qemu-system-x86")
        p.send_signal(signal.SIGSTOP)
        os.kill(qemu, signal.SIGKILL)
        await_end([qemu, relay])
        p.send_signal(signal.SIGCONT)
        out, err = p.communicate(timeout=harness.DEADLINE)
        self.assertEqual((p.returncode, out), (125, b""))
        self.assert_one_line(err, "qemu", "signal 9")


class Refused(Case):
    def refuse(self, config, *words, env=None):
        path = harness.write_config(config)
        r = run("gondolin-supervisor", "--config", path, env=env)
        self.assertEqual(r.code, 125, r)
        self.assert_one_line(r.err, *words)

    def test_configuration(self):
        for text, words in (
                (BASE + 'nonsense = 1\n', ["sandbox.conf:3", "nonsense"]),
                ('image = "mini"\nvm { memory = "1X" }\n', ["sandbox.conf:2", "memory", "512M"]),
                ('image = "mini"\nvm { accel = fast }\n', ["sandbox.conf:2", "kvm", "tcg", "auto"]),
                (BASE + 'mount "work" { host = "." }\n', ["sandbox.conf:3", "work"]),
                (BASE + 'mount "/dev" { memory = "1M" }\n', ["sandbox.conf:3", "/dev", "another"]),
                (BASE + 'network {\nsecret T { hosts = {"example.org"}  env = "NOT_SET" } }\n',
                 ["sandbox.conf:4", '"T"', "NOT_SET"]),
                (BASE + 'hooks = "x.js"\n', ["not supported yet"]),
                ('image = "no-such-image"\n', ["no-such-image", "gondolin image"]),
        ):
            with self.subTest(text=text):
                self.refuse(text, *words)

    def test_descriptors(self):
        """For programs, and these may be wrong."""
        path = harness.write_config(BASE)
        for option in ("--lifeline", "--options"):
            for number in ("77", "2", "x"):
                r = run("gondolin-supervisor", "--config", path, option, number)
                self.assertEqual(r.code, 125, r)
                self.assert_one_line(r.err, option, number)

    def test_missing_configuration(self):
        r = run("gondolin-supervisor", "--config", "/no/such.conf")
        self.assertEqual(r.code, 125)
        self.assert_one_line(r.err, "/no/such.conf")

    def test_two_sandboxes_with_one_id(self):
        with Sandbox(BASE + 'id = "twin"\n'):
            self.refuse(BASE + 'id = "twin"\n', "twin")

    def test_no_qemu(self):
        empty = os.path.join(harness.STAGE, "home")
        self.refuse(BASE, "qemu-system-x86_64", "install", env=harness.environment(PATH=empty))

    def test_old_qemu(self):
        """A QEMU that does not know our options says so itself, in the reason."""
        folder = os.path.join(harness.STAGE, "old")
        os.mkdir(folder)
        try:
            path = os.path.join(folder, "qemu-system-x86_64")
            # No shell in its root: a program that prints what an old one would.
            with open(path + ".c", "w", encoding="ascii") as f:
                f.write('#include <unistd.h>\nint main(void) { static const char m[] = '
                        '"qemu-system-x86_64: unsupported machine type\\n";'
                        'return write(2, m, sizeof(m) - 1) < 0 ? 2 : 1; }\n')
            subprocess.run(["cc", "-o", path, path + ".c"], check=True)
            os.chmod(folder, 0o755)
            self.refuse(BASE, "unsupported machine type", "7.2", env=harness.environment(PATH=folder))
        finally:
            shutil.rmtree(folder)

    def test_no_kvm(self):
        if os.access("/dev/kvm", os.R_OK | os.W_OK) and harness.MODE == "root":
            self.refuse('image = "mini"\nvm { accel = kvm }\n', "kvm")
        else:
            self.refuse('image = "mini"\nvm { accel = kvm }\n', "/dev/kvm", "tcg")

    def test_audit_log_that_cannot_be_written(self):
        self.refuse(BASE + 'audit = "/no/such/folder/turn.jsonl"\n', "/no/such/folder/turn.jsonl")

    def test_full_disk_for_the_overlay(self):
        self.refuse(BASE, "TMPDIR", env=harness.environment(TMPDIR="/proc"))


class Host(Case):
    """A host that lacks what a sandbox needs."""

    def tearDown(self):
        self.doCleanups()  # what the test mounted goes before what is left is counted
        super().tearDown()

    def behind(self, script, config, env=None):
        """The supervisor behind a shell's `script` that changes its world and then runs "$@"."""
        path = harness.write_config(config)
        return run("sh", "-ec", script + '\nexec "$@"', "sh", harness.program("gondolin-supervisor"), "--config", path,
                   env=env)

    def refuse(self, r, *words):
        self.assertEqual((r.code, r.out), (125, b""), r)
        self.assert_one_line(r.err, *words)

    def test_no_user_namespaces(self):
        if harness.MODE == "root":
            self.skipTest("root's sandboxes take no user namespace")
        user = harness.identity().get("user", os.getuid())
        inner = "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --inh-caps=-all --ambient-caps=-all \"$@\""
        self.refuse(self.behind(f"set -- unshare --user --map-user={user} --keep-caps sh -ec '{inner}' sh \"$@\"",
                                BASE + 'command = {"true"}\n'),
                    "user namespace", "user.max_user_namespaces", "root")

    def test_no_kvm_device(self):
        """Where nothing that QEMU may open is /dev/kvm, `auto` is tcg and says nothing, and `kvm` says what to do."""
        self.need_root()
        dev = os.path.join(harness.STAGE, "dev")
        os.mkdir(dev, 0o755)
        self.addCleanup(os.rmdir, dev)
        self.mount("--bind", "/dev", dev)
        self.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev")
        for name in ("null", "zero", "urandom", "random", "tty"):
            with open(f"/dev/{name}", "wb"):
                pass
            subprocess.run(["mount", "--bind", f"{dev}/{name}", f"/dev/{name}"], check=True)
        self.check_no_kvm()
        # A node as a kernel without udev makes it: root's gid is nothing that QEMU may have.
        for mode in (0o600, 0o660):
            with self.subTest(mode=oct(mode)):
                os.mknod("/dev/kvm", stat.S_IFCHR, os.makedev(10, 232))
                os.chmod("/dev/kvm", mode)
                self.check_no_kvm()
                os.unlink("/dev/kvm")

    def check_no_kvm(self):
        for accel in ("auto", "kvm"):
            path = harness.write_config(f'image = "mini"\nvm {{ memory = "192M"  accel = {accel} }}\n'
                                        'command = {"echo", "up"}\n')
            r = run("gondolin-supervisor", "--config", path)
            if accel == "kvm":
                self.refuse(r, "/dev/kvm", "tcg")
            else:
                self.assertEqual((r.code, r.out, r.err), (0, b"up\n", b""), r)

    def need_root(self):
        if os.geteuid() != 0:
            self.skipTest("only root mounts")

    def mount(self, *words):
        subprocess.run(["mount", *words], check=True)
        self.addCleanup(subprocess.run, ["umount", "--recursive", words[-1]], check=True)

    def small(self, name, size):
        """A folder on a file system of its own that holds `size` bytes."""
        self.need_root()
        folder = os.path.join(harness.STAGE, name)
        os.mkdir(folder)
        self.addCleanup(os.rmdir, folder)
        owner = harness.identity().get("user", 0)
        self.mount("-t", "tmpfs", "-o", f"size={size},mode=700,uid={owner},gid={owner}", "tmpfs", folder)
        return folder

    @staticmethod
    def fill(folder):
        try:
            with open(os.path.join(folder, "filler"), "wb", buffering=0) as f:
                while f.write(b"\0" * 512):
                    pass
        except OSError as error:
            assert error.errno == errno.ENOSPC

    def test_guest_fills_the_disk(self):
        folder = self.small("overlay", 8 << 20)
        env = harness.environment(TMPDIR=folder)
        script = f"echo up; cat /dev/zero >/root/file; sync; {hold('/tmp/held')}; exec cat <&3"
        path = harness.write_config(BASE + f'command = {{"sh", "-c", "{script}"}}\n')
        r = run("gondolin-supervisor", "--config", path, env=env)
        self.assertEqual((r.code, r.out), (125, b"up\n"), r)
        self.assert_one_line(r.err, "the host disk is full", "free some space")
        self.assertNotIn(b"console", r.err)
        self.assertEqual(os.listdir(folder), [])

    def test_no_room_for_the_overlay(self):
        folder = self.small("overlay", 64 << 10)
        path = harness.write_config(BASE + 'command = {"true"}\n')
        r = run("gondolin-supervisor", "--config", path, env=harness.environment(TMPDIR=folder))
        self.refuse(r, "the host disk is full")
        self.assertNotIn(b"console", r.err)
        self.assertEqual(os.listdir(folder), [])

    def test_no_room_for_the_session(self):
        folder = self.small("sessions", 16 << 10)
        self.fill(folder)
        path = harness.write_config(BASE + 'command = {"true"}\n')
        self.refuse(run("gondolin-supervisor", "--config", path, env=harness.environment(GONDOLIN_RUNTIME_DIR=folder)),
                    "No space left on device")
        self.assertEqual(os.listdir(folder), ["filler"])

    def test_no_room_for_an_image(self):
        folder = self.small("store", 16 << 20)
        env = harness.environment(GONDOLIN_IMAGE_DIR=folder)
        r = run("gondolin", "image", "build", "mini", "--quiet", env=env)
        self.assertNotEqual(r.code, 0)
        self.assert_one_line(r.err, "the disk is full", folder, "GONDOLIN_IMAGE_DIR")
        self.assertEqual(os.listdir(os.path.join(folder, "objects")), [])

    def test_output_that_cannot_be_written(self):
        """What the command said and nobody got is no success, nor is input that cannot be read: it ends there."""
        words = ("gondolin", "exec", "--image", "mini", "--memory", "192M", "--", "sh", "-c", ENDLESS)
        path = harness.write_config(BASE + f'command = {{"sh", "-c", "{ENDLESS}"}}\n')
        with open("/dev/full", "wb") as full:
            for argv in (words, ("gondolin-supervisor", "--config", path)):
                r = run(*argv, stdout=full)
                self.assertEqual(r.code, 125, r)
                self.assert_one_line(r.err, "stdout", "No space left on device")
            for argv in (("gondolin", "list", "--json"), ("gondolin", "help"), ("gondolin", "image", "ls"),
                         ("gondolin-supervisor", "--help"), ("gondolin-supervisor", "--config", path, "--audit")):
                r = run(*argv, stdout=full)
                self.assertNotEqual(r.code, 0)
                self.assert_one_line(r.err, "stdout", "No space left on device")
        folder = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, folder)
        r = run(*words, stdin=folder)
        self.assertEqual(r.code, 125, r)
        self.assert_one_line(r.err, "stdin", "Is a directory")

    def test_limits_of_the_process(self):
        """Few descriptors, and files that may not grow: a line, whatever it was that failed."""
        path = harness.write_config('image = "mini"\nvm { memory = "2G" }\n')
        r = run("gondolin-supervisor", "--config", path, preexec_fn=lambda:
                resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
        self.refuse(r, "qemu", "a smaller vm { memory }")
        path = harness.write_config(BASE + 'command = {"true"}\n')
        for number, limit, words in ((resource.RLIMIT_FSIZE, 4, ["session directory", "File too large"]),
                                     (resource.RLIMIT_FSIZE, 8192, ["overlay", "File too large"]),
                                     (resource.RLIMIT_NOFILE, 200, ["at most 200 open files", "ulimit -n"]),
                                     (resource.RLIMIT_NOFILE, 512, ["at most 512 open files", "ulimit -n"])):
            with self.subTest(limit=limit):
                self.refuse(run("gondolin-supervisor", "--config", path, preexec_fn=lambda n=number, v=limit:
                                resource.setrlimit(n, (v, v))), *words)

    def test_no_room_for_the_audit_log(self):
        """What cannot be recorded does not happen: the sandbox ends when its log is full."""
        folder = self.small("log", 16 << 10)
        log = os.path.join(folder, "turn.jsonl")
        with Sandbox(BASE + f'audit = "{log}"\n') as box:
            box.up()
            self.fill(folder)
            while (r := box.exec("true", "x" * 1000)).code == 0:
                pass
            self.assertEqual((r.code, box.wait()), (125, 125), r)
            self.assert_one_line(box.said(), log, "No space left on device")
        path = harness.write_config(BASE + f'audit = "{log}"\ncommand = {{"true"}}\n')
        self.refuse(run("gondolin-supervisor", "--config", path), log)


class Guest(Case):
    """A guest that does not do its part."""

    def start(self, folder):
        path = harness.write_config(f'image = "{folder}"\nvm {{ memory = "192M"  accel = tcg }}\ncommand = {{"true"}}\n')
        return run("gondolin-supervisor", "--config", path)

    def test_kernel_that_panics(self):
        def no_init(folder, manifest):
            with open(os.path.join(folder, manifest["parts"]["initramfs"]["file"]), "wb") as f:
                f.write(b"\0" * 512)

        r = self.start(harness.changed_image(self, no_init))
        self.assertEqual(r.code, 125, r)
        self.assert_one_line(r.err, "Kernel panic", "the console's last words: ")
        self.assertIn(b"trying once more", r.err)

    def test_root_file_system_that_is_none(self):
        def no_root(folder, manifest):
            with open(os.path.join(folder, manifest["parts"]["rootfs"]["file"]), "wb") as f:
                f.write(os.urandom(1 << 20))

        r = self.start(harness.changed_image(self, no_root))
        self.assertEqual(r.code, 125, r)
        self.assert_one_line(r.err, "gondolin-guest")


if __name__ == "__main__":
    unittest.main()
