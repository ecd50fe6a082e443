#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The other ways out, with real peers: through a proxy, and names by configured resolvers (dns = trusted and open).

What the proxy, the resolver and the origins were asked is part of each test.
"""
import os
import select
import socket
import socketserver
import struct
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_lan import FAR, ORIGIN, Lan, missing  # noqa: E402

SECRET = "real-secret-value-0123456789"
PORT = 3128


def setUpModule():
    why = missing()
    if why is not None:
        raise unittest.SkipTest(why)


class Forward(socketserver.ThreadingTCPServer):
    """A proxy that knows CONNECT (RFC 9110 9.3.6) and keeps the heads of what it is asked.  Every name is at ORIGIN, as
    its own resolver would have it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, lan):
        self.lan, self.asked = lan, []
        super().__init__((ORIGIN, PORT), Forwarded)


class Forwarded(socketserver.StreamRequestHandler):
    rbufsize = 0

    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = self.rfile.read(1)
            if not piece:
                return
            head += piece
        self.server.asked.append(head)
        method, authority, _ = head.split(b"\r\n")[0].decode().split(" ")
        try:
            to = self.server.lan.dial(int(authority.rsplit(":", 1)[1]))
        except OSError:
            to = None
        if method != "CONNECT" or to is None:
            self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 6\r\n\r\nproxy\n")
            return
        with to:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.carry(to)

    def carry(self, to):
        ends = {self.request: to, to: self.request}
        while True:
            for s in select.select(list(ends), [], [])[0]:
                try:
                    piece = s.recv(65536)
                    ends[s].sendall(piece)
                except OSError:
                    return
                if not piece:
                    return


class Case(unittest.TestCase):
    options, far, forward = (), True, False
    allow = ("http://bad.test:8080", "http://bad.test:8081", "https://bad.test:8443", "http://far.test:8080")
    internal = ("bad.test",)

    @classmethod
    def setUpClass(cls):
        cls.lan = Lan(*cls.options, far=cls.far, allow=cls.allow, internal=cls.internal)
        cls.addClassCleanup(cls.end)
        if cls.forward:
            cls.proxy = cls.lan.serve(cls.lan.host, lambda: Forward(cls.lan))

    @classmethod
    def end(cls):
        log = cls.lan.end()
        if "died of signal" in log or "seccomp" in log or "a helper ended" in log:
            raise AssertionError(log[-2000:])

    def setUp(self):
        for seen in (self.lan.bad.requests, self.lan.tls.requests, self.lan.far.requests, self.lan.resolver.asked):
            seen.clear()
        self.lan.resolver.names["far.test"] = [FAR]

    def curl(self, *arguments, code=0):
        r = self.lan.curl(*arguments)
        self.assertEqual(r.returncode, code, r.stderr)
        return r.stdout

    def question(self, name, kind, tcp=False):
        """rcode, number of answers, and the last answer's data."""
        labels = b"".join(bytes([len(x)]) + x for x in name.encode().split(b"."))
        packet = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)
        answer = self.lan.jobs({"do": "dns", "packet": packet.decode("latin-1"), "tcp": tcp})[0].encode("latin-1")
        return answer[3] & 15, int.from_bytes(answer[6:8], "big"), answer[-4:]


class Proxy(Case):
    """proxy = "http://...": every connection to the world is the proxy's to make; it is asked for nothing that was
    refused, and no name is looked up for it."""

    forward = True
    options = ("--proxy", f"http://{ORIGIN}:{PORT}", "--secret", f"TOKEN@https://bad.test:8443={SECRET}")

    def setUp(self):
        super().setUp()
        self.proxy.asked.clear()

    def test_http(self):
        self.assertEqual(self.curl("http://bad.test:8080/plain?q", "-d", "body"), b"body")
        self.assertEqual(self.proxy.asked[0].split(b"\r\n")[0], b"CONNECT bad.test:8080 HTTP/1.1")
        self.assertEqual([head.split()[1] for head, _ in self.lan.bad.requests], [b"/plain?q"])
        # What egress could not look up by itself, either.
        self.assertEqual(self.curl("http://far.test:8080/far", "-d", "x"), b"x")
        self.assertEqual(self.lan.resolver.asked, [])

    def test_https(self):
        lines = self.lan.records.read_text().splitlines()
        placeholder = next(line.split()[2] for line in lines if line.startswith("secret TOKEN "))
        for version in ("--http1.1", "--http2"):
            self.curl(version, "-H", f"authorization: Bearer {placeholder}", "https://bad.test:8443/tunnel", "-d", "x")
        self.assertEqual(len(self.lan.tls.requests), 2)
        for head, _ in self.lan.tls.requests:
            self.assertIn(f"bearer {SECRET}".encode(), head.lower())
        self.assertEqual({head.split(b"\r\n")[0] for head in self.proxy.asked}, {b"CONNECT bad.test:8443 HTTP/1.1"})
        for head in self.proxy.asked:
            self.assertNotIn(SECRET.encode(), head)
            self.assertNotIn(placeholder.encode(), head)

    def test_refused(self):
        self.curl("http://evil.test/", code=6)
        out = self.curl("-i", "-H", "Host: evil.test:8080", "http://bad.test:8080/")
        self.assertIn(b"x-gondolin-denied:", out)
        out = self.curl("-i", "--connect-to", "evil.test:8443:bad.test:8443", "https://evil.test:8443/")
        self.assertIn(b"x-gondolin-denied:", out)
        self.assertEqual(self.proxy.asked, [])

    def test_proxy_that_fails(self):
        """Its answer is not the origin's."""
        out = self.curl("-i", "http://bad.test:8081/down")
        self.assertIn(b" 502 ", out)
        self.assertNotIn(b"proxy\n", out.replace(b"\r", b""))
        self.assertEqual(self.proxy.asked[0].split(b"\r\n")[0], b"CONNECT bad.test:8081 HTTP/1.1")


class Trusted(Case):
    """dns = trusted: allowed names, A and AAAA, and nothing else leaves."""

    options = ("--dns", "trusted")

    def test_allowed_name(self):
        for tcp in (False, True):
            self.assertEqual(self.question("far.test", 1, tcp), (0, 1, socket.inet_aton(FAR)))
            self.assertEqual(self.question("far.test", 28, tcp)[:2], (0, 0))
        self.assertEqual(set(self.lan.resolver.asked), {("far.test", 1), ("far.test", 28)})
        self.assertEqual(self.curl("http://far.test:8080/trusted", "-d", "x"), b"x")
        self.assertEqual([head.split()[1] for head, _ in self.lan.far.requests], [b"/trusted"])

    def test_nothing_else_leaves(self):
        for name, kind in (("evil.example", 1), ("evil.example", 28), ("data.far.test", 1), ("far.test.evil.example", 1)):
            self.assertEqual(self.question(name, kind)[0], 5, name)
        for kind in (16, 65, 64, 15, 255):
            self.question("far.test", kind)
        self.assertEqual(self.lan.resolver.asked, [])

    def test_internal_answer(self):
        """An internal address is not even told."""
        self.lan.resolver.names["far.test"] = [ORIGIN]
        self.assertEqual(self.question("far.test", 1)[1], 0)
        self.curl("http://far.test:8080/internal", code=6)
        self.assertEqual((self.lan.far.requests, self.lan.bad.requests), ([], []))


class Open(Case):
    """dns = open: every question leaves; what it is good for is judged all the same."""

    options = ("--dns", "open")

    def test_any_name(self):
        self.lan.resolver.names["evil.example"] = [FAR]
        self.assertEqual(self.question("evil.example", 1), (0, 1, socket.inet_aton(FAR)))
        self.assertEqual(self.question("no.such.example", 1)[0], 3)
        self.question("carried-out.evil.example", 16)
        self.assertLessEqual({("evil.example", 1), ("carried-out.evil.example", 16)}, set(self.lan.resolver.asked))
        r = self.lan.curl("-i", "http://evil.example:8080/refused")
        self.assertTrue(r.returncode == 7 or b"x-gondolin-denied:" in r.stdout, r)
        self.assertEqual(self.lan.far.requests, [])

    def test_allowed_name(self):
        self.assertEqual(self.curl("http://far.test:8080/open", "-d", "x"), b"x")
        self.assertEqual([head.split()[1] for head, _ in self.lan.far.requests], [b"/open"])


if __name__ == "__main__":
    program = unittest.main(exit=False)
    sys.exit(77 if program.result.skipped and not program.result.testsRun else not program.result.wasSuccessful())
