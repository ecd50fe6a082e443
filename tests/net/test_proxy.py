#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""netproxy and egress in their jails, without a virtual machine: real clients in a namespace, real origins."""
import hashlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_lan import Lan, missing  # noqa: E402

# Sends bytes to HOST:PORT (TLS with "tls") and prints what comes back until the end.
RAW = """
import socket, ssl, sys
host, port, tls, data, alpn = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "tls", sys.argv[4], sys.argv[5:]
s = socket.create_connection((host, port), 30)
if tls:
    c = ssl.create_default_context()
    s = c.wrap_socket(s, server_hostname=host)
s.sendall(data.encode("latin-1").decode("unicode_escape").encode("latin-1"))
out = b""
try:
    while piece := s.recv(65536):
        out += piece
        if len(sys.argv) > 5 and sys.argv[5].encode() in out:
            break
except ConnectionResetError:
    out += b"[reset]"
sys.stdout.buffer.write(out)
"""

# Asks twice by TLS of that version, the second time with the first one's session; prints whether it was taken.
RESUME = """
import socket, ssl, sys
c = ssl.create_default_context()
c.minimum_version = c.maximum_version = getattr(ssl.TLSVersion, sys.argv[1])
def ask(host, session):
    with c.wrap_socket(socket.create_connection((host, 443), 30), server_hostname=host, session=session) as s:
        s.sendall(f"GET /small HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode())
        out = b""
        while piece := s.recv(65536):
            out += piece
        assert out.endswith(b"hello\\n"), out
        return s.session_reused, s.session
first, session = ask("origin.test", None)
again, _ = ask("origin.test", session)
print(first, again)
"""


def setUpModule():
    why = missing()
    if why is not None:
        raise unittest.SkipTest(why)


class Proxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lan = Lan("--tcp", "raw.test:7000=10.77.0.1:8080", "--secret", "TOKEN@other.origin.test=real-secret-value")
        cls.addClassCleanup(cls.end)

    @classmethod
    def end(cls):
        log = cls.lan.end()
        if "died of signal" in log or "seccomp" in log or "a helper ended" in log:
            raise AssertionError(log[-2000:])

    def curl(self, *arguments, code=0):
        r = self.lan.curl(*arguments)
        self.assertEqual(r.returncode, code, r.stderr.decode(errors="replace") + self.lan.records.read_text()[-1000:])
        return r.stdout

    def raw(self, host, port, data, *, tls=False, until=None):
        r = self.lan.inside(sys.executable, "-c", RAW, host, port, "tls" if tls else "plain", data,
                            *([until] if until else []))
        self.assertEqual(r.returncode, 0, r.stderr.decode(errors="replace"))
        return r.stdout

    def digest_of(self, name):
        return hashlib.sha256((self.lan.directory / "files" / name).read_bytes()).hexdigest()

    # ---- What works

    def test_versions(self):
        for url, version, answer in (("http://origin.test", "--http1.1", "http origin.test HTTP/1.1"),
                                     ("http://origin.test", "--http2-prior-knowledge", "http origin.test HTTP/1.1"),
                                     ("http://origin.test", "--http2", "http origin.test HTTP/1.1"),
                                     ("http://origin.test", "--http1.0", "http origin.test HTTP/1.1"),
                                     ("https://origin.test", "--http1.1", "https origin.test HTTP/2.0"),
                                     ("https://origin.test", "--http2", "https origin.test HTTP/2.0")):
            with self.subTest(url=url, version=version):
                self.assertEqual(self.curl(version, url + "/echo-host").decode(), answer + "\n")

    def test_resumption(self):
        for version in ("TLSv1_2", "TLSv1_3"):
            r = self.lan.inside(sys.executable, "-c", RESUME, version)
            self.assertEqual(r.stdout, b"False True\n", (version, r.stderr))

    def test_ipv6(self):
        self.lan.wait_for_ipv6()
        for url in ("http://origin.test/small", "https://origin.test/small"):
            self.assertEqual(self.curl("-6", url), b"hello\n")

    def test_download(self):
        for url, version in (("http://origin.test", "--http1.1"), ("http://origin.test", "--http2-prior-knowledge"),
                             ("https://origin.test", "--http1.1"), ("https://origin.test", "--http2")):
            with self.subTest(url=url, version=version):
                out = self.lan.directory / "got"
                self.curl(version, "-o", out, url + "/large")
                self.assertEqual(hashlib.sha256(out.read_bytes()).hexdigest(), self.digest_of("large"))

    def test_resume(self):
        whole = (self.lan.directory / "files/large").read_bytes()
        self.assertEqual(self.curl("-r", "1000-1999", "https://origin.test/large"), whole[1000:2000])

    def test_upload(self):
        for i, (url, extra) in enumerate((("http://origin.test", ("--http1.1",)),
                                          ("http://origin.test", ("--http2-prior-knowledge",)),
                                          ("https://origin.test", ("--http1.1",)),
                                          ("https://origin.test", ("--http1.1", "-H", "Transfer-Encoding: chunked")),
                                          ("https://origin.test", ("--http1.1", "-H", "Expect: 100-continue")),
                                          ("https://origin.test", ("--http2",)))):
            with self.subTest(url=url, extra=extra):
                self.curl(*extra, "-T", self.lan.directory / "files/large", f"{url}/put/up{i}")
                self.assertEqual(self.digest_of(f"put/up{i}"), self.digest_of("large"))

    def test_small_bodies(self):
        for version in ("--http1.1", "--http2-prior-knowledge"):
            for extra in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")):
                for body in ("", "x", "y" * 5000, "z" * 20000):
                    with self.subTest(version=version, extra=extra, n=len(body)):
                        self.assertEqual(self.curl(version, *extra, "-d", body, "http://bad.test:8080/echo").decode(),
                                         body)

    def test_many_streams(self):
        urls = [a for i in range(40) for a in ("-o", "/dev/null", f"https://origin.test/small?{i}")]
        self.curl("--http2", "--parallel", "--parallel-max", "40", *urls)

    def test_pipelining(self):
        one = "GET /small HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n"
        last = "GET /small HTTP/1.1\\r\\nHost: origin.test\\r\\nConnection: close\\r\\n\\r\\n"
        self.assertEqual(self.raw("origin.test", 80, one * 3 + last).count(b"hello\n"), 4)
        self.assertEqual(self.raw("origin.test", 443, one * 3 + last, tls=True).count(b"hello\n"), 4)

    def test_redirect_is_not_followed(self):
        self.assertIn(b"302", self.curl("-i", "https://origin.test/redirect"))

    def test_early_answer(self):
        def answer(handler, head, body):
            handler.wfile.write(b"HTTP/1.1 413 No\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
        self.lan.bad.answers["/early"] = answer
        self.assertEqual(self.curl("--http1.1", "-d", "x" * 10, "http://bad.test:8080/early"), b"no\n")

    def test_trailers(self):
        self.lan.bad.answers["/trailers"] = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                                             b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
        out = self.raw("bad.test", 8080, "GET /trailers HTTP/1.1\\r\\nHost: bad.test:8080\\r\\nTE: trailers\\r\\n"
                       "Connection: close\\r\\n\\r\\n")
        self.assertTrue(out.lower().endswith(b"\r\n0\r\nx-t: 1\r\n\r\n"), out)

    def test_mapped_tcp(self):
        out = self.raw("raw.test", 7000, "GET /mapped HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 3\\r\\n\\r\\nabc",
                       until="abc")
        self.assertIn(b"abc", out)

    def test_python_and_node(self):
        r = self.lan.inside(sys.executable, "-c", "import urllib.request as u; "
                            "print(u.urlopen('https://origin.test/small').read())")
        self.assertIn(b"hello", r.stdout, r.stderr)

    # ---- What must not

    def test_refused_names(self):
        self.curl("http://evil.test/", code=6)
        self.curl("-6", "http://evil.test/", code=6)

    def test_denial_page(self):
        for version in ("--http1.1", "--http2"):
            out = self.curl(version, "-i", "--connect-to", "evil.test:443:origin.test:443", "https://evil.test/")
            self.assertIn(b" 403", out)
            self.assertIn(b"x-gondolin-denied:", out)

    def test_fronting(self):
        n = len(self.lan.bad.requests)
        for version in ("--http1.1", "--http2"):
            out = self.curl(version, "-i", "-H", "Host: other.origin.test", "https://origin.test/")
            self.assertIn(b"x-gondolin-denied:", out)
        self.assertEqual(len(self.lan.bad.requests), n)

    def test_connect(self):
        out = self.raw("origin.test", 80, "CONNECT origin.test:443 HTTP/1.1\\r\\nHost: origin.test:443\\r\\n\\r\\n")
        self.assertTrue(out.startswith(b"HTTP/1.1 403 "), out)

    def test_raw_addresses(self):
        for host in ("10.77.0.1", "198.18.99.99", "192.0.2.1"):
            self.curl("-m", "20", f"http://{host}/", code=7)
        self.curl("-m", "20", "http://origin.test:81/", code=7)

    def test_unknown_protocol(self):
        self.assertEqual(self.raw("origin.test", 80, "ehlo x\\r\\n"), b"[reset]")
        self.assertEqual(self.raw("origin.test", 80, "SSH-2.0-x\\r\\n"), b"[reset]")

    def test_smuggling(self):
        head = "POST /smuggle HTTP/1.1\\r\\nHost: bad.test:8080\\r\\n"
        inner = "GET /inner HTTP/1.1\\r\\nHost: bad.test:8080\\r\\n\\r\\n"
        attacks = (
            "Content-Length: 3\\r\\nContent-Length: 30\\r\\n\\r\\nabc",
            "Content-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
            "Transfer-Encoding: chunked\\r\\nTransfer-Encoding: identity\\r\\n\\r\\n0\\r\\n\\r\\n",
            "Transfer-Encoding : chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
            "X: a\\r\\n Content-Length: 3\\r\\n\\r\\nabc",
            "Content-Length: 3\\n\\r\\nabc",
            "X: a\\x00b\\r\\nContent-Length: 0\\r\\n\\r\\n",
            "Content-Length : 3\\r\\n\\r\\nabc",
            "Connection: content-length\\r\\nContent-Length: 3\\r\\n\\r\\nabc",
            "Host: evil.test\\r\\n\\r\\n",
        )
        before = len(self.lan.bad.requests)
        for attack in attacks:
            with self.subTest(attack=attack):
                out = self.raw("bad.test", 8080, head + attack + inner)
                self.assertRegex(out, rb"^HTTP/1.1 (400|501) ")
                self.assertNotIn(b"\nHTTP/1.1 200", out)
        self.assertEqual(self.lan.bad.requests[before:], [])

    def test_broken_chunks(self):
        head = "POST /chunks HTTP/1.1\\r\\nHost: bad.test:8080\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
        before = len(self.lan.bad.requests)
        for body in ("0x3\\r\\nabc\\r\\n0\\r\\n\\r\\n", "3\\nabc\\r\\n0\\r\\n\\r\\n", "-3\\r\\n", "3\\r\\nabcd\\r\\n",
                     "ffffffffffffffff\\r\\nabc"):
            with self.subTest(body=body):
                out = self.raw("bad.test", 8080, head + body)
                self.assertRegex(out, rb"^HTTP/1.1 400 |^\[reset\]")
        self.assertEqual(self.lan.bad.requests[before:], [])

    def test_paths(self):
        for path in ("/../etc/passwd", "/a/%2e%2e/b", "/..;/x", "/a\\\\b"):
            out = self.raw("origin.test", 80, f"GET {path} HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n")
            self.assertTrue(out.startswith(b"HTTP/1.1 400 "), (path, out))

    def test_broken_answer_resets(self):
        self.lan.bad.answers["/short"] = lambda h, head, body: h.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 8000000)
        r = self.lan.curl("http://bad.test:8080/short")
        self.assertNotEqual(r.returncode, 0)
        self.lan.bad.answers["/garbage"] = lambda h, head, body: h.wfile.write(b"garbage\r\n\r\n")
        self.assertIn(b" 502 ", self.curl("-i", "http://bad.test:8080/garbage"))

    def test_secret(self):
        text = self.lan.records.read_text()
        placeholder = next(line.split()[2] for line in text.splitlines() if line.startswith("secret TOKEN "))
        out = self.curl("-i", "-H", f"Authorization: Bearer {placeholder}", "http://bad.test:8080/steal")
        self.assertIn(b"x-gondolin-denied:", out)
        self.assertFalse(any(b"/steal" in head for head, _ in self.lan.bad.requests))


if __name__ == "__main__":
    program = unittest.main(exit=False)
    sys.exit(77 if program.result.skipped and not program.result.testsRun else not program.result.wasSuccessful())
