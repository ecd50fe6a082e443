# SPDX-License-Identifier: Apache-2.0
"""Commands: exit codes, streams, environment, time-out, signals, many at once."""
import hashlib
import os
import signal
import subprocess
import threading
import unittest

import harness
from harness import BASE, Case, OneSandbox, hold, run, setUpModule, tearDownModule  # noqa: F401


class Exec(OneSandbox):
    CONFIG = BASE + 'env = {"FROM_CONFIG=1"}\n'

    def test_exit_codes(self):
        for argv, code in ((["true"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -9 $$"], 137),
                           (["/no/such"], 127), (["no-such-word"], 127), (["/etc/passwd"], 126)):
            with self.subTest(argv=argv):
                self.assertEqual(self.box.exec(*argv).code, code)

    def test_streams(self):
        r = self.box.exec("sh", "-c", "cat; echo error >&2", input=b"in\0\xff")
        self.assertEqual((r.code, r.out, r.err), (0, b"in\0\xff", b"error\n"))

    def test_user_cwd_env(self):
        r = self.box.exec("sh", "-c", "id -u; pwd; echo $A-$FROM_CONFIG",
                          flags=["--user", "nobody", "--cwd", "/tmp", "--env", "A=b c"])
        self.assertEqual(r.out, b"65534\n/tmp\nb c-1\n")
        r = self.box.exec("true", flags=["--cwd", "/nowhere"])
        self.assertEqual(r.code, 126)
        self.assertIn(b"/nowhere", r.err)
        r = self.box.exec("true", flags=["--user", "nosuchuser"])
        self.assertIn(b"nosuchuser", r.err)

    def test_timeout_ends_the_group(self):
        r = self.box.exec("sh", "-c", f"{hold('/tmp/late')}; trap 'echo term; exit 1' TERM; cat /tmp/late & wait",
                          flags=["--timeout", "1"])
        self.assertEqual((r.code, r.out), (124, b"term\n"))
        self.assertEqual(self.box.exec("sh", "-c", "ps -o args | grep -c '^[c]at /tmp/late'").out, b"0\n")

    def test_background_child_does_not_hold_the_end(self):
        r = self.box.exec("sh", "-c", f"{hold('/tmp/behind')}; read line <&3 & echo $!")
        self.assertEqual((r.code, self.box.exec("kill", r.out.decode().strip()).code), (0, 0), r)

    def test_large_transfer(self):
        block = os.urandom(1 << 20)
        count = 24
        want = hashlib.sha256()
        p = harness.popen(["gondolin", "exec", "--session", self.box.id, "--", "cat"], stdin=subprocess.PIPE)

        def feed():
            for _ in range(count):
                p.stdin.write(block)
                want.update(block)
            p.stdin.close()

        t = threading.Thread(target=feed)
        t.start()
        got, size = hashlib.sha256(), 0
        while data := p.stdout.read(1 << 20):
            got.update(data)
            size += len(data)
        t.join()
        self.assertEqual((p.wait(harness.DEADLINE), size), (0, count << 20), p.stderr.read())
        self.assertEqual(got.hexdigest(), want.hexdigest())
        p.stdout.close()
        p.stderr.close()

    def test_sixty_four_at_once(self):
        """All of them run at the same time: the last one holds the FIFO whose end the others wait for."""
        n = 63
        last = harness.popen(["gondolin", "exec", "--session", self.box.id, "--", "sh", "-c",
                              f"{hold('/tmp/go')}; echo up; read line"], stdin=subprocess.PIPE)
        self.assertEqual(last.stdout.readline(), b"up\n")
        script = "exec 3</tmp/go; echo up; cat <&3; echo $N"
        ps = [harness.popen(["gondolin", "exec", "--session", self.box.id, "--env", f"N={i}", "--", "sh", "-c", script])
              for i in range(n)]
        for p in ps:
            self.assertEqual(p.stdout.readline(), b"up\n")
        last.communicate(b"\n", timeout=harness.DEADLINE)
        for i, p in enumerate(ps):
            out, err = p.communicate(timeout=harness.DEADLINE)
            self.assertEqual((p.returncode, out), (0, f"{i}\n".encode()), err)

    def test_client_that_never_reads_stops_nobody(self):
        p = harness.popen(["gondolin", "exec", "--session", self.box.id, "--", "sh", "-c",
                           f"{hold('/tmp/endless')}; exec yes"])
        self.assertEqual(p.stdout.read(2), b"y\n")
        self.assertEqual(self.box.exec("echo", "other").out, b"other\n")
        pid = self.box.pids()["vmrunner"]
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            resident = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        self.assertLess(resident, 32 * 1024)
        its_end = self.box.watch("/tmp/endless")
        p.kill()
        p.communicate()
        # Its command goes as well.
        its_end.communicate(timeout=harness.DEADLINE)
        self.assertEqual(its_end.returncode, 0)

    def test_signal_reaches_the_command(self):
        p = harness.popen(["gondolin", "exec", "--session", self.box.id, "--", "sh", "-c",
                           f"{hold('/tmp/signal')}; trap 'echo got; exit 5' TERM; cat <&3 & echo up; wait"])
        self.assertEqual(p.stdout.readline(), b"up\n")
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=harness.DEADLINE)
        self.assertEqual((p.returncode, out), (5, b"got\n"), err)

    def test_stopped_processes_go_on(self):
        """SIGSTOP, as a debugger or a suspended host would have it, ends nothing."""
        pids = [pid for name, pid in self.box.pids().items() if name != "supervisor"]
        p = harness.popen(["gondolin", "exec", "--session", self.box.id, "--", "sh", "-c", "echo up; cat"],
                          stdin=subprocess.PIPE)
        self.assertEqual(p.stdout.readline(), b"up\n")
        pids.append(p.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(p.communicate(b"goes on", timeout=harness.DEADLINE)[0], b"goes on")

    def test_orphans_are_reaped(self):
        """Nothing says when another process's child was reaped, so that it is asked until it is so."""
        self.box.exec("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do (true &) ; done")
        r = self.box.exec("sh", "-c", "while ps -o stat,comm | grep -q '^Z'; do :; done; echo none")
        self.assertEqual(r.out, b"none\n")

    def test_modules_come_when_they_are_asked_for(self):
        for word, make in (("overlay", "mkdir -p /tmp/o/l /tmp/o/u /tmp/o/w /tmp/o/m && mount -t overlay -o "
                            "lowerdir=/tmp/o/l,upperdir=/tmp/o/u,workdir=/tmp/o/w overlay /tmp/o/m && umount /tmp/o/m"),
                           ("fuse", "exec 5<>/dev/fuse")):
            with self.subTest(module=word):
                if self.box.exec("grep", "-qw", word, "/proc/filesystems").code == 0:
                    continue  # this kernel has it built in
                self.assertEqual(self.box.exec("grep", "-c", f"^{word} ", "/proc/modules").out, b"0\n")
                r = self.box.exec("sh", "-c", make)
                self.assertEqual(r.code, 0, r)
                self.assertEqual(self.box.exec("grep", "-c", f"^{word} ", "/proc/modules").out, b"1\n")
        r = self.box.exec("mount", "-t", "nosuchtype", "none", "/mnt")
        self.assertEqual((r.code, r.out), (255, b""))


class OneShot(Case):
    def test_exit_code_and_streams(self):
        r = run("gondolin", "exec", "--image", "mini", "--memory", "192M", "--", "sh", "-c", "cat; exit 9", input=b"hello")
        self.assertEqual((r.code, r.out, r.err), (9, b"hello", b""), r)

    def test_supervisor_with_command(self):
        path = harness.write_config(BASE + 'command = {"sh", "-c", "wc -c; exit 4"}\n')
        r = run("gondolin-supervisor", "--config", path, input=b"x" * 100000)
        self.assertEqual((r.code, r.out.strip(), r.err), (4, b"100000", b""), r)

    def test_exit_code_that_a_late_supervisor_hears(self):
        """SIGCHLD and the end itself are seen in one turn: the exit code is not lost."""
        path = harness.write_config(BASE + 'command = {"sh", "-c", "echo up; read line; exit 7"}\n')
        p = harness.popen(["gondolin-supervisor", "--config", path], stdin=subprocess.PIPE)
        self.assertEqual(p.stdout.readline(), b"up\n")
        relay = harness.child(p.pid, "gondolin")
        p.send_signal(signal.SIGSTOP)
        p.stdin.write(b"\n")
        p.stdin.flush()
        harness.await_end([relay])
        p.send_signal(signal.SIGCONT)
        _, err = p.communicate(timeout=harness.DEADLINE)
        self.assertEqual(p.returncode, 7, err)

    def test_what_a_starter_leaves(self):
        """Ignored and blocked signals are inherited, and so are closed descriptors: they change nothing."""
        path = harness.write_config(BASE + 'command = {"sh", "-c", "echo out; exit 7"}\n')
        r = run("gondolin-supervisor", "--config", path,
                preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertEqual((r.code, r.out, harness.settled(r.err)), (7, b"out\n", b""), r)
        r = run("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", harness.program("gondolin-supervisor"), "--config", path)
        self.assertEqual((r.code, r.out, r.err), (7, b"", b""), r)
        path = harness.write_config(BASE + 'command = {"sh", "-c", "echo up; exec cat"}\n')
        p = harness.popen(["gondolin-supervisor", "--config", path], stdin=subprocess.PIPE,
                          preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()))
        self.assertEqual(p.stdout.readline(), b"up\n")
        p.send_signal(signal.SIGTERM)
        p.wait(harness.DEADLINE)
        _, err = p.communicate()
        self.assertEqual((p.returncode, harness.settled(err)), (143, b""))

    def test_signals_of_the_supervisor(self):
        """The first one is for the command, also where it comes to its whole group; what nohup ignores is not taken."""
        script = hold("/tmp/signal") + "; trap 'echo got; exit 5' INT; cat <&3 & echo up; wait"
        path = harness.write_config(BASE + f'command = {{"sh", "-c", "{script}"}}\n')

        def ignore():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        for kill in (os.kill, os.killpg):
            with self.subTest(kill.__name__):
                p = harness.popen(["gondolin-supervisor", "--config", path], start_new_session=True, preexec_fn=ignore)
                self.assertEqual(p.stdout.readline(), b"up\n")
                kill(p.pid, signal.SIGHUP)
                kill(p.pid, signal.SIGINT)
                out, err = p.communicate(timeout=harness.DEADLINE)
                self.assertEqual((p.returncode, out, harness.settled(err)), (5, b"got\n", b""))

    def test_configured_timeout(self):
        path = harness.write_config(BASE + 'timeout = 1\ncommand = {"sh", "-c", "' + hold("/tmp/late") + '; exec cat <&3"}\n')
        self.assertEqual(run("gondolin-supervisor", "--config", path).code, 124)

    def test_rootfs_modes(self):
        script = "touch /probe 2>/dev/null && echo writes || echo refuses"
        for mode, want in (("readonly", b"refuses\n"), ("memory", b"writes\n"), ("cow", b"writes\n")):
            with self.subTest(mode=mode):
                r = run("gondolin", "exec", "--image", "mini", "--rootfs", mode, "--", "sh", "-c", script)
                self.assertEqual((r.code, r.out), (0, want), r)


if __name__ == "__main__":
    unittest.main()
