#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames that no kernel would send, on the link of netproxy in its jail; the origin records what came of them."""
import hashlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_lan import HERE, Lan, missing, run  # noqa: E402

PATTERN = os.urandom(1 << 16) * 24


def setUpModule():
    why = missing()
    if why is not None:
        raise unittest.SkipTest(why)


class Frames(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lan = Lan(allow=("http://bad.test:8080",), internal=("bad.test",))
        cls.addClassCleanup(cls.end)
        cls.lan.wait_for_ipv6()
        # Larger than what netproxy was told, so that giants can be sent.
        link = next(line.split(":")[1].strip() for line in run("ip", "-n", cls.lan.guest, "-o", "link").stdout.splitlines()
                    if ": lo:" not in line)
        run("ip", "-n", cls.lan.guest, "link", "set", link, "mtu", 9000)
        cls.lan.bad.answers["/pattern"] = (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PATTERN) + PATTERN)

    @classmethod
    def end(cls):
        log = cls.lan.end()
        if "died of signal" in log or "seccomp" in log or "a helper ended" in log:
            raise AssertionError(log[-2000:])

    def setUp(self):
        self.lan.bad.requests.clear()

    def tearDown(self):
        """Both families are served as before."""
        for family in ("-4", "-6"):
            self.assertEqual(self.lan.curl(family, "-d", "yes", "http://bad.test:8080/alive").stdout, b"yes")

    def frames(self, scenario):
        r = self.lan.inside(sys.executable, "-B", HERE / "guest_frames.py", "bad.test", 8080, scenario)
        self.assertEqual(r.returncode, 0, r.stderr.decode(errors="replace"))
        return r.stdout.decode().strip()

    def seen(self):
        return [head.split()[1].decode() for head, _ in self.lan.bad.requests]

    def test_syn_flood(self):
        self.frames("syn_flood")
        self.assertEqual(self.seen(), [])
        self.assertLess(self.lan.peak("netproxy"), 64 << 10)

    def test_overlap(self):
        self.assertEqual(self.frames("overlap"), "HTTP/1.1 200 OK")
        self.assertEqual(self.seen(), ["/first"])

    def test_window(self):
        self.assertEqual(self.frames("window"), hashlib.sha256(PATTERN).hexdigest())


for name in ("checksums", "fragments", "sizes", "martians", "arp_forgeries", "dhcp_forgeries", "router_forgeries"):
    def test(self, name=name):
        self.frames(name)
        self.assertEqual(self.seen(), [])
    setattr(Frames, "test_" + name, test)


if __name__ == "__main__":
    program = unittest.main(exit=False)
    sys.exit(77 if program.result.skipped and not program.result.testsRun else not program.result.wasSuccessful())
