# SPDX-License-Identifier: Apache-2.0
"""`gondolin bash` on a real terminal: raw mode and back, resize, Ctrl-C, Ctrl-] and return."""
import fcntl
import json
import os
import select
import signal
import struct
import termios
import unittest

import harness
from harness import Case, Sandbox, await_end, hold, run, setUpModule, tearDownModule  # noqa: F401


class Terminal:
    """A pty, with a program in its foreground."""

    def __init__(self, *argv, rows=30, columns=100):
        self.master, slave = os.openpty()
        if harness.identity():
            os.fchown(slave, harness.USER, -1)
        self.slave = slave  # kept: the attributes are looked at after the program's end
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.process = harness.popen(list(argv), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                     env=harness.environment(TERM="xterm"),
                                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text)

    def expect(self, text):
        """Waits until the text was on the screen, and forgets what was up to it."""
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], harness.DEADLINE)
            if not ready:
                raise AssertionError(f"{text!r} did not come: {self.seen!r}")
            data = os.read(self.master, 65536)
            if not data:
                raise AssertionError(f"{text!r} did not come: {self.seen!r}")
            self.seen += data
        before, _, self.seen = self.seen.partition(text)
        return before

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def wait(self):
        """The exit code, with the terminal read meanwhile."""
        fd = os.pidfd_open(self.process.pid)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.register(self.master, select.POLLIN)
        ended = False
        while not ended:
            events = poll.poll(harness.DEADLINE * 1000)
            if not events:
                raise AssertionError(f"did not end: {self.seen!r}")
            ended = any(e[0] == fd for e in events)
            if any(e[0] == self.master for e in events):
                self.seen += os.read(self.master, 65536)
        os.close(fd)
        return self.process.wait()

    def restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Tty(Case):
    def ends(self, t, code):
        self.assertEqual(t.wait(), code, t.seen)
        self.assertTrue(t.restored(), "the terminal was not restored")

    def test_terminal_of_a_sandbox(self):
        """All in one sandbox, since each step leaves it as it was."""
        with Sandbox() as box:
            box.up()
            self.type_and_resize(box)
            self.detach_and_return(box)
            self.ends_by_signals(box)
            # The machine goes under a raw terminal.
            with Terminal("gondolin", "attach", box.id) as t:
                t.expect(b"# ")
                self.assertTrue(t.is_raw())
                os.kill(box.pids()["qemu"], signal.SIGKILL)
                self.ends(t, 125)
                self.assertIn(box.id.encode(), t.seen)
            self.assertEqual(box.wait(), 125)

    def type_and_resize(self, box):
        with Terminal("gondolin", "attach", box.id) as t:
            t.expect(b"# ")
            t.type(b"tty; stty size; echo $TERM-$((40 + 2))\r")
            t.expect(b"/dev/pts/")
            t.expect(b"30 100\r\n")
            t.expect(b"xterm-42\r\n")
            t.expect(b"# ")
            # A program of the terminal's foreground is told; meanwhile it waits.
            t.type(b"""sh -c 'cat </dev/tty & trap "stty size; kill $!" WINCH; echo up-$((40 + 2)); wait'\r""")
            t.expect(b"up-42\r\n")
            t.resize(41, 123)
            t.expect(b"41 123\r\n")
            t.expect(b"# ")
            # A program of its own says that it runs: before, Ctrl-C would be the shell's.
            t.type(b"sh -c 'echo up-$((40 + 2)); exec cat'; echo not $((40 + 1))\r")
            t.expect(b"up-42\r\n")
            t.type(b"\x03")
            self.assertNotIn(b"not 41", t.expect(b"# "))
            t.type(b"echo status-$?\r")
            t.expect(b"status-130\r\n")
            t.expect(b"# ")
            t.type("printf 'gr\u00fc\u00dfe' | wc -c\r".encode())
            t.expect(b"\r\n7\r\n")
            t.expect(b"# ")
            t.type(b"echo up-$((40 + 2)); cat; echo after-$((40 + 2))\r")
            t.expect(b"up-42\r\n")
            t.type(b"typed\r")
            t.expect(b"typed\r\ntyped\r\n")
            t.type(b"\x04")  # the guest's terminal makes it an end of file
            t.expect(b"after-42\r\n")
            t.expect(b"# ")
            t.type(b"exit 7\r")
            self.ends(t, 7)

    def detach_and_return(self, box):
        with Terminal("gondolin", "attach", box.id) as t:
            t.expect(b"# ")
            t.type(b"KEPT=state-of-mine\r")
            t.expect(b"# ")
            t.type(b"\x1d")
            self.ends(t, 0)
            self.assertIn(b"gondolin attach " + box.id.encode(), t.seen)
        with Terminal("gondolin", "attach", box.id[:5], rows=20, columns=50) as t:
            t.type(b"echo $KEPT-$((40 + 2))\r")
            t.expect(b"state-of-mine-42\r\n")
            t.type(b"stty size\r")
            t.expect(b"20 50\r\n")
            t.type(b"exit\r")
            self.ends(t, 0)

    def ends_by_signals(self, box):
        """The shell of a terminal that is gone is hung up."""
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGABRT):
            with self.subTest(number), Terminal("gondolin", "attach", box.id) as t:
                t.expect(b"# ")
                self.assertTrue(t.is_raw())
                t.type(f"{hold(f'/tmp/held-{number}')}; echo held-$((40 + 2))\r".encode())
                t.expect(b"held-42\r\n")
                its_end = box.watch(f"/tmp/held-{number}")
                t.process.send_signal(number)
                self.assertIn(t.wait(), (128 + number, -number))
                self.assertTrue(t.restored(), f"after signal {number}")
                its_end.communicate(timeout=harness.DEADLINE)
                self.assertEqual(its_end.returncode, 0)

    def test_bash(self):
        """`gondolin bash` owns its sandbox, until Ctrl-] sets it free."""
        with Terminal("gondolin", "bash", "--image", "mini", "--memory", "192M", "--label", "mine") as t:
            t.expect(b"# ")
            self.assertTrue(t.is_raw())
            rows = json.loads(run("gondolin", "list", "--json").out)
            self.assertEqual([(r["label"], r["state"]) for r in rows], [("mine", "running")])
            t.type(b"KEPT=state-of-mine\r")
            t.expect(b"# ")
            t.type(b"\x1d")
            self.ends(t, 0)
        rows = json.loads(run("gondolin", "list", "--json").out)
        self.assertEqual([(r["label"], r["state"]) for r in rows], [("mine", "running")])
        with Terminal("gondolin", "attach", rows[0]["id"]) as t:
            t.type(b"echo $KEPT-$((40 + 2)); exit 3\r")
            t.expect(b"state-of-mine-42\r\n")
            self.ends(t, 3)
        left = harness.processes()
        self.assertEqual(run("gondolin", "stop", rows[0]["id"]).code, 0)
        await_end(left)

    def test_bash_ends_with_its_shell(self):
        with Terminal("gondolin", "bash", "--image", "mini", "--memory", "192M") as t:
            t.expect(b"# ")
            left = harness.processes()
            t.type(b"exit 4\r")
            self.ends(t, 4)
        await_end(left)

    def test_interrupted_while_it_starts(self):
        """Until the shell runs the terminal is not raw, and Ctrl-C ends the start."""
        with Terminal("gondolin", "bash", "--image", "mini", "--memory", "192M") as t:
            while not (run_dir := os.listdir(os.path.join(harness.STAGE, "run"))):
                self.assertIsNone(t.process.poll(), t.seen)
            left = harness.processes()
            self.assertFalse(t.is_raw())
            t.type(b"\x03")
            self.assertIn(t.wait(), (130, -signal.SIGINT), run_dir)
            self.assertTrue(t.restored())
        await_end(left)

    def test_no_terminal(self):
        """Without a terminal a shell reads its script from stdin."""
        r = run("gondolin", "bash", "--image", "mini", "--memory", "192M", input=b"echo one; exit 5\n")
        self.assertEqual((r.code, r.out), (5, b"one\n"), r)


if __name__ == "__main__":
    unittest.main()
