#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The network stack against Linux's own TCP: a namespace with a TAP is the guest, stack_relay the stack.

The frame pump between them loses, doubles and reorders frames where a test says so.  GONDOLIN_NET_BYTES sets
how many bytes the large transfers have (256 MiB; the full run is 1 GiB).
"""
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from ready import Ready, ip  # noqa: E402

BIN = pathlib.Path(os.environ.get("GONDOLIN_BUILD", HERE.parent.parent / "build/release")) / "bin"
BYTES = int(os.environ.get("GONDOLIN_NET_BYTES", 256 << 20))
ORIGIN = "10.77.0.1"
DEADLINE = 600
SPOILED = "100,100,200"  # 1 % lost, 1 % doubled, 2 % held back, in each direction


class Lan:
    """A host namespace with the origin and the relay, a guest namespace with the TAP, frames between them."""

    def __init__(self, mtu, impair=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gondolin-net-"))
        self.host, self.guest = f"gnet-h{os.getpid()}", f"gnet-g{os.getpid()}"
        self.processes = []
        for name in (self.host, self.guest):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.host, "addr", "add", ORIGIN + "/32", "dev", "lo")
        serve, relay, pump = (Ready(self.directory / name) for name in ("serve", "relay", "pump"))
        self.start("serve", ["ip", "netns", "exec", self.host, sys.executable, HERE / "peers.py", "serve", ORIGIN,
                             serve.path])
        serve.wait(self.processes[-1])
        # The sequence number wraps after the first MiB.
        self.start("pump", [BIN / "guestns", "--netns", self.guest, "--mtu", mtu, "--sockbuf", 4 << 20, "--ready",
                            pump.path, *(["--impair", impair] if impair else []), "--spawn-dgram",
                            "ip", "netns", "exec", self.host, BIN / "stack_relay", "--mtu", mtu, "--isn", "0xfff00000",
                            "--ready", relay.path])
        for up in (pump, relay):
            up.wait(self.processes[-1])

    def start(self, name, command):
        with open(self.directory / f"{name}.log", "w") as log:
            self.processes.append(subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log,
                                                   stderr=log))

    def run(self, part, number):
        return subprocess.run(["ip", "netns", "exec", self.guest, sys.executable, str(HERE / "peers.py"), part, ORIGIN,
                               str(number)], capture_output=True, text=True, timeout=DEADLINE)

    def end(self):
        """Ends everything once the flows are over, and returns the stack's counters."""
        for children in pathlib.Path("/proc").glob(f"{self.processes[-1].pid}/task/*/children"):
            for relay in map(int, children.read_text().split()):
                # A last acknowledgement that the link lost is sent again.
                pidfd = os.pidfd_open(relay)
                os.kill(relay, signal.SIGUSR1)
                select.select([pidfd], [], [], 60)
                os.close(pidfd)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in (self.host, self.guest):
            ip("netns", "del", name)
        log = (self.directory / "pump.log").read_text()
        shutil.rmtree(self.directory)
        return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", log)}


class Stack(unittest.TestCase):
    lan = None

    def tearDown(self):
        if self.lan is not None:
            self.lan.end()

    def start(self, mtu, impair=None):
        self.lan = Lan(mtu, impair)

    def part(self, name, number):
        r = self.lan.run(name, number)
        self.assertEqual(r.returncode, 0, f"{name}: {r.stderr[-2000:]}")

    def end(self):
        counters, self.lan = self.lan.end(), None
        return counters

    def nothing_left(self, counters):
        self.assertEqual(counters["half_open"], 0)
        self.assertEqual(counters["flows"], counters["time_wait"])
        self.assertEqual(counters["buffers"], 0)
        self.assertNotIn("checksum", counters)

    def test_bulk(self):
        for mtu in (1500, 65520):
            with self.subTest(mtu=mtu):
                self.start(mtu)
                self.part("download", BYTES)
                self.part("upload", BYTES)
                self.nothing_left(self.end())

    def test_bulk_spoiled(self):
        for mtu in (1500, 65520):
            with self.subTest(mtu=mtu):
                self.start(mtu, SPOILED)
                self.part("download", BYTES)
                self.part("upload", BYTES)
                counters = self.end()
                self.nothing_left(counters)
                self.assertGreater(counters["tcp_retransmitted"], 0)
                self.assertGreater(counters["tcp_out_of_order"], 0)

    def test_half_close(self):
        for impair in (None, SPOILED):
            with self.subTest(impair=impair):
                self.start(1500, impair)
                self.part("half_close", 4 << 20)
                self.nothing_left(self.end())

    def test_zero_window(self):
        for impair in (None, SPOILED):
            with self.subTest(impair=impair):
                self.start(1500, impair)
                self.part("zero_window", 64 << 20)
                counters = self.end()
                self.nothing_left(counters)
                self.assertGreater(counters["tcp_probes"], 0)

    def test_many(self):
        self.start(1500)
        self.part("concurrent", 1000)
        self.part("short", 10000)
        self.part("refused", 9)
        counters = self.end()
        self.assertGreaterEqual(counters["tcp_opened"], 11000)
        self.nothing_left(counters)

    def test_many_spoiled(self):
        self.start(1500, SPOILED)
        self.part("concurrent", 200)
        self.part("short", 500)
        self.nothing_left(self.end())


if __name__ == "__main__":
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        print("skipped: needs root and /dev/net/tun")
        sys.exit(77)
    unittest.main()
