# SPDX-License-Identifier: Apache-2.0
"""Runs real commands through the agent's loop on this machine: test_agent.py AGENT_ON_HOST."""
import hashlib
import io
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest

import agent_peer
from agent_peer import CONTROL, OUTPUT_START, PAYLOAD_MAX, STDERR, STDIN, STDOUT, WINDOW, Closed, Peer
from agent_peer import field, frame, message

PROGRAM = sys.argv.pop(1)
ROOT = os.geteuid() == 0
SELF = str(os.getuid())
ENOENT, EAGAIN, EACCES, ENOTDIR, EINVAL, ENOEXEC = 2, 11, 13, 20, 22, 8


class AgentCase(unittest.TestCase):
    kill_after_ms = 200

    def setUp(self):
        ours, theirs = socket.socketpair()
        self.agent = subprocess.Popen(
            [PROGRAM, str(theirs.fileno()), str(self.kill_after_ms)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"LSAN_OPTIONS": os.environ.get("LSAN_OPTIONS", "")},
        )
        theirs.close()
        self.peer = Peer(ours)
        self.addCleanup(self.stop)

    def stop(self):
        self.peer.sock.close()
        try:
            self.agent.wait(agent_peer.DEADLINE)
        finally:
            self.agent.kill()
            self.agent.stderr.close()

    def start(self, argv, **options):
        options.setdefault("user", SELF)
        ident = self.peer.start(argv, **options)
        self.assertEqual(self.peer.wait_started(ident)[0], "started")
        return ident

    def run_command(self, argv, **options):
        options.setdefault("user", SELF)
        return self.peer.run(argv, **options)

    def shell(self, script, **options):
        (what, fields), out, err = self.run_command(["/bin/sh", "-c", script], **options)
        self.assertEqual(what, "exited")
        return fields["status"], out, err

    def ends(self):
        """The agent's last line, after it closed the port."""
        with self.assertRaises(Closed):
            self.peer.until(lambda: False)
        self.agent.wait(agent_peer.DEADLINE)
        return self.agent.returncode, self.agent.stderr.read().decode().strip()

    def resident(self):
        with open("/proc/%d/status" % self.agent.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def alive(self, pid):
        try:
            with open("/proc/%d/stat" % pid) as f:
                return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except FileNotFoundError:
            return False

    def wait_gone(self, pid):
        """A process that is no child of ours: its pidfd says when it ends."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            agent_peer.select.select([fd], [], [], agent_peer.DEADLINE)
        finally:
            os.close(fd)
        self.assertFalse(self.alive(pid))


class Commands(AgentCase):
    def test_hello_is_first(self):
        self.assertEqual(self.peer.wait_hello()[0], "hello")
        self.assertEqual(self.peer.events[0][1]["version"], 2)

    def test_output_and_status(self):
        self.assertEqual(self.shell("echo out; echo err >&2; exit 7"), (7, b"out\n", b"err\n"))
        self.assertEqual(self.shell("kill -9 $$")[0], -9)

    def test_stdin_and_its_end(self):
        self.assertEqual(self.shell("cat; echo end", data=b"some\nlines\n")[1], b"some\nlines\nend\n")

    def test_path_search(self):
        with tempfile.TemporaryDirectory() as d:
            os.chmod(d, 0o755)
            for name, mode in (("plain", 0o644), ("good", 0o755)):
                with open(os.path.join(d, name), "w") as f:
                    f.write("#!/bin/sh\necho $0 ran\n")
                os.chmod(os.path.join(d, name), mode)
            env = ["PATH=/nonexistent:" + d]
            (what, fields), out, _ = self.run_command(["good"], env=env)
            self.assertEqual((what, out), ("exited", (d + "/good ran\n").encode()))
            (what, fields), _, _ = self.run_command(["plain"], env=env)
            self.assertEqual((what, fields["error"]), ("refused", EACCES))
            (what, fields), _, _ = self.run_command(["good"])
            self.assertEqual((what, fields["error"]), ("refused", ENOENT))
            (what, _), out, _ = self.run_command(["./good"], cwd=d)
            self.assertEqual((what, out), ("exited", b"./good ran\n"))

    def test_not_executable(self):
        with tempfile.NamedTemporaryFile(mode="w", suffix=".txt") as f:
            f.write("text")
            f.flush()
            os.chmod(f.name, 0o755)
            f.file.close()
            (what, fields), _, _ = self.run_command([f.name])
            self.assertEqual((what, fields["error"]), ("refused", ENOEXEC))
        (what, fields), _, _ = self.run_command(["/nonexistent/program"])
        self.assertEqual((what, fields["error"]), ("refused", ENOENT))
        self.assertIn(b"/nonexistent/program: No such file", fields["message"])
        (what, fields), _, _ = self.run_command([""])
        self.assertEqual((what, fields["error"]), ("refused", ENOENT))

    def test_environment(self):
        entry = pwd.getpwuid(os.getuid())
        _, out, _ = self.shell("exec env")
        self.assertEqual(
            sorted(line for line in out.decode().splitlines() if line.split("=")[0] not in ("PWD", "SHLVL", "_", "OLDPWD")),
            sorted(
                [
                    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME=" + entry.pw_dir,
                    "USER=" + entry.pw_name,
                    "LOGNAME=" + entry.pw_name,
                    "SHELL=" + entry.pw_shell,
                ]
            ),
        )
        _, out, _ = self.shell("echo $HOME $X", env=["HOME=/else", "X=a=b", "X=last"])
        self.assertEqual(out, b"/else last\n")

    def test_working_directory(self):
        self.assertEqual(self.shell("pwd", cwd="/usr")[1], b"/usr\n")
        (what, fields), _, _ = self.run_command(["true"], cwd="/no/such")
        self.assertEqual((what, fields["error"]), ("refused", ENOTDIR))
        self.assertEqual(fields["message"], b"working directory /no/such: No such file or directory")

    def test_users(self):
        (what, fields), _, _ = self.run_command(["true"], user="nosuchuser")
        self.assertEqual((what, fields["error"]), ("refused", EINVAL))
        self.assertIn(b"nosuchuser", fields["message"])
        # A root agent becomes another user, with its groups; another one may not.
        (what, fields), out, _ = self.run_command(["/bin/sh", "-c", "id -u; id -g; id -G"], user="4242")
        if ROOT:
            self.assertEqual(out, b"4242\n4242\n4242\n")
        else:
            self.assertEqual((what, fields["error"]), ("refused", EINVAL))

    def test_session_and_group_of_its_own(self):
        _, out, _ = self.shell("echo $$; ps -o pid=,pgid=,sid= -p $$")
        self.assertEqual(len(set(out.split())), 1)

    def test_signal_reaches_the_group(self):
        ident = self.start(["/bin/sh", "-c", "sleep 1000 & echo $!; wait"])
        self.peer.until(lambda: b"\n" in self.peer.out(ident))
        self.peer.control("signal", (1, ident), (2, signal.SIGTERM))
        self.assertEqual(self.peer.wait(ident)[1]["status"], -signal.SIGTERM)
        self.wait_gone(int(self.peer.out(ident)))

    def test_signals_are_at_their_defaults(self):
        _, out, _ = self.shell("grep -E '^Sig(Blk|Ign)' /proc/self/status")
        self.assertEqual(out.split()[1::2], [b"0" * 16] * 2)

    def test_only_its_own_descriptors(self):
        self.start(["cat"])  # ends with the agent's end of its pipe
        _, out, _ = self.shell("ls /proc/self/fd")
        self.assertEqual(out.split(), [b"0", b"1", b"2", b"3"])  # 3 is ls's own

    def test_bad_requests_are_refused_alone(self):
        for fields in (
            [],
            [(2, [b"a\0b"])],
            [(2, ["true"]), (3, ["NOEQUALS"])],
            [(2, ["true"]), (3, ["=x"])],
            [(2, ["true"]), (4, b"r\0oot")],
            [(2, ["true"]), (6, 1), (7, 70000), (8, 80)],
            [(2, ["a", "b"]), (10, 1)],
            [(2, ["a"]), (6, 1), (10, 2)],
        ):
            ident = self.peer.next_id
            self.peer.next_id += 1
            self.peer.control("exec", (1, ident), *fields)
            what, got = self.peer.wait(ident)
            self.assertEqual((what, got["error"]), ("refused", EINVAL), fields)
        self.assertEqual(self.shell("echo fine")[1], b"fine\n")


class Network(AgentCase):
    def told(self, env, mtu=1500):
        self.peer.control("network", (1, "THE CA"), (2, env), (3, mtu))

    def test_variables_of_every_command(self):
        self.told(["TOKEN=placeholder", "HOME=/network", "CURL_CA_BUNDLE=/mine"])
        _, out, _ = self.shell("exec env", env=["TOKEN=its own"])
        got = dict(line.split("=", 1) for line in out.decode().splitlines())
        self.assertEqual(got["TOKEN"], "its own")
        self.assertEqual(got["HOME"], "/network")
        self.assertEqual(got["CURL_CA_BUNDLE"], "/mine")
        self.assertEqual(got["NODE_EXTRA_CA_CERTS"], "/run/gondolin/ca.crt")
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"):
            self.assertEqual(got[name], "/run/gondolin/ca-certificates.crt", name)
        self.assertEqual(self.shell("echo $TOKEN")[1], b"placeholder\n")
        self.peer.control("shutdown", (1, 1))
        self.assertEqual(self.ends(), (0, "network: mtu 1500, CA THE CA\nshutdown in 1 ms"))

    def test_device_that_fails(self):
        self.told([], mtu=1281)
        self.assertEqual(self.ends(), (1, "no network: the machine has no eth0"))


class Many(AgentCase):
    def test_64_at_once(self):
        idents = [self.start(["cat"]) for _ in range(64)]
        for n, ident in enumerate(idents):
            self.peer.stdin(ident, b"number %d\n" % n)
        for n, ident in enumerate(idents):
            self.peer.wait_output(ident, b"number %d\n" % n)
        for ident in idents:
            self.peer.stdin(ident, b"", end=True)
        for ident in idents:
            self.assertEqual(self.peer.wait(ident)[1]["status"], 0)

    def test_one_more_than_256_is_refused(self):
        idents = [self.start(["cat"]) for _ in range(256)]
        (what, fields), _, _ = self.run_command(["true"])
        self.assertEqual((what, fields["error"]), ("refused", EAGAIN))
        self.peer.stdin(idents[0], b"", end=True)
        self.peer.wait(idents[0])
        self.assertEqual(self.shell("echo again")[1], b"again\n")

    def test_nothing_leaks(self):
        def held():
            with open("/proc/%d/task/%d/children" % ((self.agent.pid,) * 2)) as f:
                return len(os.listdir("/proc/%d/fd" % self.agent.pid)), f.read()

        self.shell("true")
        before = held()
        for _ in range(300):
            self.shell("true")
        self.run_command(["/nonexistent"])
        self.run_command(["/bin/sh", "-c", "exit"], tty=(24, 80))
        self.assertEqual(held(), before)


class Endings(AgentCase):
    def test_timeout_terminates(self):
        (_, fields), _, _ = self.run_command(["sleep", "1000"], timeout_ms=50)
        self.assertEqual((fields["status"], fields["timed_out"]), (-signal.SIGTERM, 1))

    def test_timeout_kills_the_group(self):
        script = "trap '' TERM; sleep 1000 & echo $!; while :; do wait; done"
        ident = self.start(["/bin/sh", "-c", script], timeout_ms=300)
        _, fields = self.peer.wait(ident)
        self.assertEqual((fields["status"], fields["timed_out"]), (-signal.SIGKILL, 1))
        self.wait_gone(int(self.peer.out(ident)))

    def test_timeout_leaves_no_member_that_ignores_it(self):
        # The main process goes at SIGTERM, its child would stay.
        script = "(trap '' TERM; echo ready; exec sleep 1000) & echo $!; wait"
        ident = self.start(["/bin/sh", "-c", script], timeout_ms=300)
        _, fields = self.peer.wait(ident)
        self.assertEqual((fields["status"], fields["timed_out"]), (-signal.SIGTERM, 1))
        self.wait_gone(int(self.peer.out(ident).replace(b"ready", b"").split()[0]))

    def test_a_command_in_time_is_not_timed_out(self):
        (_, fields), _, _ = self.run_command(["true"], timeout_ms=100000)
        self.assertEqual((fields["status"], fields["timed_out"]), (0, 0))

    def test_background_children_delay_nothing(self):
        status, out, _ = self.shell("sleep 1000 & echo $!; head -c 20000 /dev/zero | tr '\\0' x")
        self.assertEqual((status, len(out.split(b"\n")[1])), (0, 20000))
        os.kill(int(out.split(b"\n")[0]), signal.SIGKILL)

    def test_output_is_whole_when_credit_is_late(self):
        ident = self.peer.start(["head", "-c", "60000", "/dev/zero"], user=SELF)
        self.peer.hold.add(ident)
        self.peer.until(lambda: self.peer.received.get((ident, STDOUT)) == OUTPUT_START)
        self.assertFalse(self.peer.finished(ident))
        self.peer.hold.clear()
        self.peer.credit(ident, STDOUT, OUTPUT_START)
        self.peer.wait(ident)
        self.assertEqual(self.peer.received[ident, STDOUT], 60000)
        self.assertEqual(self.peer.ended, {(ident, STDOUT), (ident, STDERR)})

    def test_closed_output_breaks_the_pipe(self):
        ident = self.start(["yes"])
        self.peer.control("close", (1, ident), (2, STDOUT))
        self.assertEqual(self.peer.wait(ident)[1]["status"], -signal.SIGPIPE)
        self.assertIn((ident, STDOUT), self.peer.ended)

    def test_late_frames_are_dropped(self):
        ident = self.start(["true"])
        self.peer.wait(ident)
        self.peer.send(frame(STDIN, ident, b"late"))
        self.peer.control("signal", (1, ident), (2, 15))
        self.peer.credit(ident, STDOUT, 5)
        self.peer.control("close", (1, ident), (2, STDERR))
        self.peer.control("resize", (1, ident), (2, 1), (3, 1))
        self.assertEqual(self.shell("echo fine")[1], b"fine\n")

    def test_shutdown(self):
        self.start(["cat"])  # init would end it; here the end of its pipe does
        self.peer.control("shutdown", (1, 1234))
        self.assertEqual(self.ends(), (0, "shutdown in 1234 ms"))

    def test_commands_end_with_the_port(self):
        ident = self.start(["/bin/sh", "-c", "sleep 1000 & echo $$ $!; wait"])
        self.peer.until(lambda: b"\n" in self.peer.out(ident))
        self.peer.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(self.ends(), (1, "the host closed the port"))
        for pid in self.peer.out(ident).split():
            self.wait_gone(int(pid))


class Terminal(AgentCase):
    def test_terminal(self):
        ident = self.start(["/bin/sh", "-c", "tty; stty size; echo $TERM; echo err >&2"], tty=(33, 101))
        _, fields = self.peer.wait(ident)
        lines = self.peer.out(ident).decode().split("\r\n")
        self.assertTrue(lines[0].startswith("/dev/pts/"))
        self.assertEqual(lines[1:], ["33 101", "xterm", "err", ""])
        self.assertEqual(fields["status"], 0)
        self.assertEqual(self.peer.ended, {(ident, STDOUT)})

    def test_term_is_the_callers_first(self):
        (_, _), out, _ = self.run_command(["/bin/sh", "-c", "echo $TERM"], tty=(1, 1), env=["TERM=dumb"])
        self.assertEqual(out, b"dumb\r\n")

    def test_resize(self):
        script = 'cat </dev/tty & trap "stty size; kill $!" WINCH; echo ready; wait'
        ident = self.start(["/bin/sh", "-c", script], tty=(10, 20))
        self.peer.wait_output(ident, b"ready")
        self.peer.control("resize", (1, ident), (2, 11), (3, 22))
        self.peer.wait(ident)
        self.assertIn(b"11 22", self.peer.out(ident))

    def test_interrupt_key(self):
        ident = self.start(["/bin/sh", "-c", "echo ready; exec cat"], tty=(10, 20))
        self.peer.wait_output(ident, b"ready")
        self.peer.stdin(ident, b"\x03")
        self.assertEqual(self.peer.wait(ident)[1]["status"], -signal.SIGINT)

    def test_end_of_input(self):
        for data in (b"line\n", b"unfinished"):
            ident = self.start(["/bin/sh", "-c", "stty -echo; echo ready; cat; echo end"], tty=(10, 20))
            self.peer.wait_output(ident, b"ready\r\n")
            self.peer.stdin(ident, data, end=True)
            self.assertEqual(self.peer.wait(ident)[1]["status"], 0)
            self.assertEqual(self.peer.out(ident).replace(b"\r\n", b"\n"), b"ready\n" + data + b"end\n")

    def test_output_before_the_end_is_whole(self):
        ident = self.start(["/bin/sh", "-c", "stty -opost; exec head -c 100000 /dev/zero"], tty=(10, 20))
        self.peer.wait(ident)
        self.assertEqual(self.peer.received[ident, STDOUT], 100000)

    def test_a_background_child_keeps_no_terminal(self):
        ident = self.start(["/bin/sh", "-c", "trap '' HUP; (exec sleep 1000) & echo $!"], tty=(10, 20))
        self.assertEqual(self.peer.wait(ident)[1]["status"], 0)
        os.kill(int(self.peer.out(ident)), signal.SIGKILL)


class Flow(AgentCase):
    def test_no_output_beyond_credit(self):
        ident = self.peer.start(["yes"], user=SELF)
        self.peer.hold.add(ident)
        self.peer.until(lambda: self.peer.received.get((ident, STDOUT), 0) >= OUTPUT_START)
        for _ in range(20):
            self.shell("true")  # round trips, during which more would have come
        self.assertEqual(self.peer.received[ident, STDOUT], OUTPUT_START)
        self.peer.credit(ident, STDOUT, WINDOW)
        self.peer.until(lambda: self.peer.received[ident, STDOUT] >= OUTPUT_START + WINDOW)
        self.shell("true")
        self.assertEqual(self.peer.received[ident, STDOUT], OUTPUT_START + WINDOW)

    def test_stdin_that_nobody_reads(self):
        ident = self.start(["sleep", "1000"])
        before = self.resident()
        self.peer.flood(ident, WINDOW)
        self.shell("true")
        # A pipe takes 64 KiB, which is just one step of credit.
        self.assertLessEqual(self.peer.stdin_credit[ident], PAYLOAD_MAX)
        self.assertLess(self.resident() - before, 4096)

    def test_stdin_closed_by_the_command(self):
        ident = self.start(["/bin/sh", "-c", "exec <&-; echo closed; exec sleep 1000"])
        self.peer.wait_output(ident, b"closed")
        self.peer.flood(ident, WINDOW)
        self.shell("true")
        self.assertEqual(self.peer.stdin_credit[ident], 0)
        self.peer.control("signal", (1, ident), (2, 9))
        self.assertEqual(self.peer.wait(ident)[1]["status"], -9)

    def test_integrity_both_ways(self):
        total = 64 << 20
        block = hashlib.sha256(b"seed").digest() * 2048
        sent, received = hashlib.sha256(), hashlib.sha256()
        ident = self.start(["cat"])
        self.peer.sink[ident, STDOUT] = received.update
        for n in range(total // len(block)):
            data = n.to_bytes(8, "big") + block[8:]
            sent.update(data)
            self.peer.stdin(ident, data)
        self.peer.stdin(ident, b"", end=True)
        self.peer.wait(ident)
        self.assertEqual(received.hexdigest(), sent.hexdigest())

    def test_a_host_that_does_not_read(self):
        self.shell("true")
        before = self.resident()
        self.peer.hold.update(range(2, 34))
        script = "head -c 300000 /dev/zero; echo done >&2"
        idents = [self.start(["/bin/sh", "-c", script]) for _ in range(32)]
        # Credit for everything, and nothing is read until the agent can write no more: its port and
        # its ring are full, while 32 commands wait to print.
        for ident in idents:
            more = message("credit", (1, ident), (2, STDOUT), (3, WINDOW - OUTPUT_START))
            self.peer.sock.sendall(frame(CONTROL, 0, more))
        poll = agent_peer.select.poll()
        poll.register(self.agent.stderr, 0)
        self.assertEqual(poll.poll(200), [])
        # 32 windows would be 8 MiB.
        self.assertLess(self.resident() - before, 4096)
        self.peer.hold.clear()
        for ident in idents:
            if (ident, STDOUT) in self.peer.received:
                self.peer.credit(ident, STDOUT, self.peer.received[ident, STDOUT])
        for ident in idents:
            self.peer.wait(ident)
            self.assertEqual(self.peer.received[ident, STDOUT], 300000)
            self.assertEqual(self.peer.out(ident, STDERR), b"done\n")


def raw_header(length, ident, kind, padding=b"\0\0\0"):
    return struct.pack("<IIB", length, ident, kind) + padding


class BrokenHosts(AgentCase):
    """Each of these ends the agent, with a line that says what was wrong."""

    def expect(self, data, line):
        self.peer.wait_hello()
        try:
            self.peer.send(data)
        except Closed:
            pass
        code, why = self.ends()
        self.assertEqual(code, 1)
        self.assertIn(line, why)
        # Later sanitizers have three lines of their own about a stack that another process left.
        said = re.sub(r"^==\d+==WARNING: ASan is ignoring (.*\n){3}", "", why)
        self.assertEqual(len(said.splitlines()), 1, why)

    def expect_running(self, make, line):
        ident = self.start(["sleep", "1000"])
        self.expect(make(ident), line)

    def test_past_the_credit(self):
        ident = self.start(["sleep", "1000"])
        with self.assertRaises(Closed):
            # One step of credit comes back, for what the pipe took.
            self.peer.flood(ident, WINDOW + 2 * PAYLOAD_MAX)
            self.peer.until(lambda: False)
        self.assertIn("past its credit", self.ends()[1])

    def test_truncated(self):
        self.peer.wait_hello()
        self.peer.send(raw_header(100, 0, CONTROL) + b"x")
        self.peer.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(self.ends(), (1, "the host closed the port"))


def add_broken(name, data, line):
    setattr(BrokenHosts, "test_" + name, lambda self: self.expect(data, line))


def add_broken_running(name, make, line):
    setattr(BrokenHosts, "test_" + name, lambda self: self.expect_running(make, line))


HEADER = "a malformed frame header"
NO_MESSAGE = "that is no message"
add_broken("oversized", raw_header(PAYLOAD_MAX + 1, 0, CONTROL), HEADER)
add_broken("unknown_kind", raw_header(0, 1, 4), HEADER)
add_broken("padding", raw_header(0, 1, STDIN, b"\0\0\1"), HEADER)
add_broken("control_with_id", raw_header(0, 1, CONTROL), HEADER)
add_broken("data_without_id", raw_header(0, 0, STDIN), HEADER)
add_broken("empty_control", frame(CONTROL, 0, b""), NO_MESSAGE)
add_broken("garbage", frame(CONTROL, 0, b"\xff" * 40), NO_MESSAGE)
add_broken("unknown_message", frame(CONTROL, 0, field(99, b"")), NO_MESSAGE)
add_broken("unknown_field", frame(CONTROL, 0, message("exec", (1, 1), (99, 1))), NO_MESSAGE)
add_broken("unknown_builtin", frame(CONTROL, 0, message("exec", (1, 1), (2, ["x"]), (10, 3))), NO_MESSAGE)
add_broken("too_many_words", frame(CONTROL, 0, message("exec", (1, 1), (2, ["x"] * 1025))), NO_MESSAGE)
add_broken("stdout_from_the_host", frame(STDOUT, 1, b"x"), "a data frame of kind 2")
add_broken("stdin_of_no_command", frame(STDIN, 1, b"x"), "was never started")
add_broken("signal_of_no_command", frame(CONTROL, 0, message("signal", (1, 7), (2, 1))), "was never started")
add_broken("exec_without_id", frame(CONTROL, 0, message("exec", (2, ["true"]))), "command id 0")
add_broken(
    "stdin_before_started",
    frame(CONTROL, 0, message("exec", (1, 1), (2, ["true"]))) + frame(STDIN, 1, b"x"),
    "out of order",
)
OUT_OF_RANGE = "a network out of its ranges"
add_broken("network_without_ca", frame(CONTROL, 0, message("network", (3, 1500))), OUT_OF_RANGE)
add_broken("network_of_a_long_ca", frame(CONTROL, 0, message("network", (1, "c" * 4097), (3, 1500))), OUT_OF_RANGE)
add_broken("network_without_mtu", frame(CONTROL, 0, message("network", (1, "c"))), OUT_OF_RANGE)
add_broken("network_of_small_mtu", frame(CONTROL, 0, message("network", (1, "c"), (3, 1279))), OUT_OF_RANGE)
add_broken("network_of_large_mtu", frame(CONTROL, 0, message("network", (1, "c"), (3, 65521))), OUT_OF_RANGE)
add_broken(
    "network_of_no_variable",
    frame(CONTROL, 0, message("network", (1, "c"), (2, ["A=1", "=x"]), (3, 1500))),
    "a variable that is not NAME=VALUE",
)
add_broken_running(
    "network_after_exec", lambda i: frame(CONTROL, 0, message("network", (1, "c"), (3, 1500))), "comes too late"
)
add_broken_running("same_id", lambda i: frame(CONTROL, 0, message("exec", (1, i), (2, ["x"]))), "command id 1 after 1")
add_broken_running("past_the_end", lambda i: frame(STDIN, i, b"") + frame(STDIN, i, b"x"), "out of order")
add_broken_running("no_credit", lambda i: frame(CONTROL, 0, message("credit", (1, i), (2, STDOUT))), "0 bytes of credit")
add_broken_running(
    "too_much_credit",
    lambda i: frame(CONTROL, 0, message("credit", (1, i), (2, STDOUT), (3, WINDOW))),
    "bytes of credit",
)
add_broken_running(
    "credit_for_stdin", lambda i: frame(CONTROL, 0, message("credit", (1, i), (2, STDIN), (3, 1))), "credit for stream 1"
)
add_broken_running("close_of_stdin", lambda i: frame(CONTROL, 0, message("close", (1, i), (2, STDIN))), "close of stream 1")
add_broken_running("signal_0", lambda i: frame(CONTROL, 0, message("signal", (1, i))), "signal 0")
add_broken_running("signal_65", lambda i: frame(CONTROL, 0, message("signal", (1, i), (2, 65))), "signal 65")
add_broken_running("huge_size", lambda i: frame(CONTROL, 0, message("resize", (1, i), (2, 65536))), "65536 rows")


class Files(AgentCase):
    def setUp(self):
        super().setUp()
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def path(self, *names):
        return os.path.join(self.dir.name, *names)

    def tree(self):
        os.makedirs(self.path("tree", "sub"))
        with open(self.path("tree", "sub", "file"), "wb") as f:
            f.write(b"content" * 100000)
        os.symlink("../elsewhere", self.path("tree", "link"))
        os.chmod(self.path("tree", "sub", "file"), 0o750)

    def builtin(self, which, path, data=b""):
        return self.run_command([path], builtin=which, data=data)

    def test_out(self):
        self.tree()
        (what, fields), out, err = self.builtin(2, self.path("tree"))
        self.assertEqual((what, fields["status"], err), ("exited", 0, b""))
        with tarfile.open(fileobj=io.BytesIO(out)) as tar:
            self.assertEqual(sorted(tar.getnames()), ["tree", "tree/link", "tree/sub", "tree/sub/file"])
            self.assertEqual(tar.getmember("tree/link").linkname, "../elsewhere")
            self.assertEqual(tar.extractfile("tree/sub/file").read(), b"content" * 100000)

    def test_out_of_nothing(self):
        (what, fields), out, err = self.builtin(2, self.path("absent"))
        self.assertEqual((what, fields["status"], out), ("exited", 1, b""))
        self.assertEqual(err, (self.path("absent") + ": No such file or directory\n").encode())

    def test_in(self):
        self.tree()
        _, data, _ = self.builtin(2, self.path("tree"))
        os.mkdir(self.path("into"))
        for destination, where in (("into", ("into", "tree")), ("renamed", ("renamed",)), ("new/", ("new",))):
            (what, fields), _, err = self.builtin(1, self.path(destination), data)
            self.assertEqual((what, fields["status"], err), ("exited", 0, b""))
            with open(self.path(*where, "sub", "file"), "rb") as f:
                self.assertEqual(f.read(), b"content" * 100000)
            self.assertEqual(os.stat(self.path(*where, "sub", "file")).st_mode & 0o777, 0o750)
            self.assertEqual(os.readlink(self.path(*where, "link")), "../elsewhere")

    def test_in_of_a_broken_archive(self):
        (what, fields), _, err = self.builtin(1, self.dir.name, b"no tar" * 1000)
        self.assertEqual((what, fields["status"]), ("exited", 1))
        self.assertIn(b"not ustar", err)


if __name__ == "__main__":
    unittest.main()
