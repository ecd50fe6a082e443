#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What no client should send, sent for real through netproxy and egress; the origins record what reached them.

docs/network.md has the table of all classes.
"""
import base64
import ctypes
import gzip
import hashlib
import os
import struct
import sys
import threading
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_lan import DEADLINE, FAR, ORIGIN, Lan, missing  # noqa: E402

SECRET = "real-secret-value-0123456789"
PLAIN, TLS = ("bad.test", 8080, False), ("bad.test", 8443, True)


def setUpModule():
    why = missing()
    if why is not None:
        raise unittest.SkipTest(why)


class Case(unittest.TestCase):
    options, far = ("--request-ms", "1000"), False
    allow = ("origin.test", "http://bad.test:8080", "https://bad.test:8443", "https://b.bad.test:8443",
             "http://far.test:8080", "http://two.far.test:8080", "http://xn--bcher-kva.test:8080")
    internal = ("origin.test", "bad.test", "b.bad.test", "xn--bcher-kva.test")

    @classmethod
    def setUpClass(cls):
        cls.lan = Lan(*cls.options, far=cls.far, allow=cls.allow, internal=cls.internal)
        cls.addClassCleanup(cls.end)
        cls.lan.resolver.names["xn--bcher-kva.test"] = [ORIGIN]

    @classmethod
    def end(cls):
        log = cls.lan.end()
        if "died of signal" in log or "seccomp" in log or "a helper ended" in log:
            raise AssertionError(log[-2000:])

    def setUp(self):
        for server in (self.lan.bad, self.lan.tls):
            server.requests.clear()
            server.accepted = 0
        self.lan.resolver.asked.clear()

    def tearDown(self):
        """Whatever was sent: the next request is served."""
        self.assertEqual(self.lan.curl("http://bad.test:8080/alive", "-d", "yes").stdout, b"yes")

    def nothing_left(self, connections=False):
        self.assertEqual((self.lan.bad.requests, self.lan.tls.requests), ([], []))
        if not connections:
            self.assertEqual((self.lan.bad.accepted, self.lan.tls.accepted), (0, 0))

    def send(self, *rows, expect=r"^HTTP/1\.1 4\d\d |^HTTP/1\.1 50[15] |^\[reset\]|^$", **more):
        """Each row of bytes to the plain and to the TLS origin, on a connection of its own."""
        jobs = [dict({"do": "send", "host": h, "port": p, "tls": tls, "data": [row.replace("{port}", str(p))]}, **more)
                for row in rows for h, p, tls in (PLAIN, TLS)]
        answers = self.lan.jobs(*jobs)
        for job, answer in zip(jobs, answers):
            with self.subTest(data=job["data"], tls=job["tls"]):
                self.assertRegex(answer, expect)
                self.assertNotIn("HTTP/1.1 200", answer)
        return answers

    def h2(self, *streams, host="bad.test", **more):
        return self.lan.jobs(dict({"do": "h2", "host": host, "port": 8443, "tls": True, "streams": list(streams)},
                                  **more))[0]


def raw_deflate(data):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeeze.compress(data) + squeeze.flush()


def brotli(data):
    """RFC 7932, by the library whose other half egress has."""
    library = ctypes.CDLL("libbrotlienc.so.1")
    out = ctypes.create_string_buffer(2 * len(data) + 1024)
    size = ctypes.c_size_t(len(out))
    if not library.BrotliEncoderCompress(5, 22, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), out):
        raise ValueError("brotli")
    return out.raw[:size.value]


def get(path="/", host="bad.test:{port}", method="GET", fields=""):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"


def stream(path="/", authority="bad.test:8443", *fields, method="GET", scheme="https", body=None):
    return {"headers": [[":method", method], [":scheme", scheme], [":authority", authority], [":path", path],
                        *fields], "body": body}


class Requests(Case):
    def test_lengths_and_encodings(self):
        inner = get("/inner")
        head = "POST /smuggle HTTP/1.1\r\nHost: bad.test:{port}\r\n"
        self.send(*(head + row + inner for row in (
            "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
            "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            "Content-Length: 3, 3\r\n\r\nabc",
            "Content-Length: +3\r\n\r\nabc",
            "Content-Length: -3\r\n\r\nabc",
            "Content-Length: 0x3\r\n\r\nabc",
            "Content-Length: 3 \x0b\r\n\r\nabc",
            "Content-Length:\r\n\r\nabc",
            "Content-Length: 18446744073709551619\r\n\r\nabc",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
            "Connection: content-length\r\nContent-Length: 3\r\n\r\nabc",
        )))
        self.nothing_left()

    def test_spelling_of_fields(self):
        head = "POST /smuggle HTTP/1.1\r\nHost: bad.test:{port}\r\n"
        self.send(*(head + row + get("/inner") for row in (
            "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "Content-Length : 3\r\n\r\nabc",
            "Content-Length\t: 3\r\n\r\nabc",
            " Content-Length: 3\r\n\r\nabc",
            "X: a\r\n Content-Length: 3\r\n\r\nabc",
            "X: a\r\n\tb\r\n\r\n",
            "Content-Length: 3\n\r\nabc",
            "X: a\nContent-Length: 3\r\n\r\nabc",
            "X: a\rContent-Length: 3\r\n\r\nabc",
            "X: a\x00b\r\nContent-Length: 0\r\n\r\n",
            "X\x00: b\r\nContent-Length: 0\r\n\r\n",
            "X\r\n\r\n",
            ": empty\r\n\r\n",
            "X Y: b\r\n\r\n",
            "X\xfc: b\r\n\r\n",
            "X: a\x7fb\r\n\r\n",
        )), "GET / HTTP/1.1\nHost: bad.test:{port}\n\n", "GET  / HTTP/1.1\r\nHost: bad.test:{port}\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: bad.test:{port}\r\n\r\n", "GET / HTTP/1.1 \r\nHost: bad.test:{port}\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.2\r\nHost: bad.test:{port}\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: bad.test:{port}\r\n\r\n", "GET /\r\n\r\n")
        self.nothing_left()

    def test_chunks(self):
        head = get("/chunks", method="POST", fields="Transfer-Encoding: chunked\r\n")
        self.send(*(head + row + get("/inner") for row in (
            "0x3\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", "-3\r\n", "3\r\nabcd\r\n0\r\n\r\n", " 3\r\nabc\r\n0\r\n\r\n",
            "3 \r\nabc\r\n0\r\n\r\n", "\r\nabc\r\n0\r\n\r\n", "ffffffffffffffff\r\nabc", "10000000000000003\r\nabc\r\n0\r\n\r\n",
            "3;a\nb\r\nabc\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n",
            "3\r\nabc\r\n0\r\nHost: evil.test\r\n\r\n", "3\r\nabc\r\n0\r\nX : y\r\n\r\n", "3\r\nabc\r\n0\r\n X: y\r\n\r\n",
            "g\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n00000000000000000000\r\nx",
        )))
        self.nothing_left(connections=True)

    def test_http2_fields(self):
        post = {"method": "POST", "body": "abc"}
        rows = [stream("/", "bad.test:8443", *fields, **more) for fields, more in (
            ([["transfer-encoding", "chunked"]], post), ([["connection", "close"]], {}), ([["te", "gzip"]], {}),
            ([["upgrade", "websocket"]], {}), ([["keep-alive", "1"]], {}), ([["proxy-connection", "close"]], {}),
            ([["content-length", "5"]], post), ([["content-length", "2"]], post),
            ([["content-length", "3"], ["content-length", "3"]], post), ([["content-length", "+3"]], post),
            ([["X-Upper", "a"]], {}), ([["x y", "a"]], {}), ([["x:", "a"]], {}), ([["", "a"]], {}),
            ([["x", "a\r\nhost: evil.test"]], {}), ([["x", "a\nb"]], {}), ([["x", "a\0b"]], {}), ([["x", " a"]], {}),
            ([["x", "a "]], {}), ([[":path", "/two"]], {}), ([[":unknown", "a"]], {}), ([["host", "evil.test"]], {}),
            ([["host", "bad.test:8443"], ["host", "evil.test"]], {}))]
        rows += [stream(method="CONNECT"), stream(method="G T"), stream(method="GET / HTTP/1.1\r\nX: y"),
                 stream(scheme="http"), stream(scheme="ftp"),
                 {"headers": [[":method", "GET"], [":scheme", "https"], [":authority", "bad.test:8443"]]},
                 {"headers": [[":method", "GET"], [":scheme", "https"], [":path", "/"]]},
                 {"headers": [["x", "y"], [":method", "GET"], [":scheme", "https"], [":path", "/"],
                              [":authority", "bad.test:8443"]]}]
        # A connection each: some of these end it.
        answers = self.lan.jobs(*({"do": "h2", "host": "bad.test", "port": 8443, "tls": True, "streams": [row]}
                                  for row in rows))
        for row, (answer,) in zip(rows, answers):
            with self.subTest(headers=row["headers"]):
                self.assertTrue(answer["status"] == 0 or answer["status"] >= 400, answer)
        self.nothing_left(connections=True)

    def test_absolute_targets(self):
        self.send(get("http://evil.test/"), get("http://evil.test:{port}/"), get("https://bad.test:1/"),
                  get("ftp://bad.test:{port}/"), get("http:/bad.test/"), get("http://bad.test:{port}"),
                  get("http://bad.test:{port}@evil.test/"), get("http://u:p@bad.test:{port}/"), get("//evil.test/"),
                  get("http://bad.test:{port}/", host="evil.test"), get("evil.test:443"), get("?x"), get("x"),
                  get("*"), get("http://bad.test:{port}/../x"), get("http://bad.test:{port}\\@evil.test/"),
                  until="\r\n\r\n")
        self.nothing_left()
        # The one that says what it means is served as what it means.
        self.lan.jobs({"do": "send", "host": "bad.test", "port": 8080, "until": "\r\n\r\n",
                       "data": [get("http://bad.test:8080/whole", "bad.test:8080")]})
        self.assertEqual([head.split(b"\r\n")[0] for head, _ in self.lan.bad.requests], [b"GET /whole HTTP/1.1"])

    def test_paths(self):
        paths = ("/../etc/passwd", "/a/../b", "/..", "/a/..", "/.", "/a/./b", "/a/%2e%2e/b", "/%2E%2e/", "/a/.%2e/b",
                 "/%2e/", "/a//b", "//bad.test/", "/..;/x", "/a/..;x=1/b", "/;/../x", "/a\\b", "/a\\..\\b", "/a%5cb",
                 "/a%00b", "/%", "/%zz", "/%4", "/a b", "/a\tb", "/a#b", "/\xfc",
                 "/a\x7f", "/a\x01", "//")
        self.send(*(get(p) for p in paths), until="\r\n\r\n")
        self.nothing_left()
        for path, answer in zip(paths, self.lan.jobs(*({"do": "h2", "host": "bad.test", "port": 8443, "tls": True,
                                                        "streams": [stream(p)]} for p in paths))):
            with self.subTest(path=path):
                self.assertTrue(answer[0]["status"] in (0, 400), answer)
        self.nothing_left()
        # Odd, but of one meaning: what reaches the origin is what was sent, never decoded.
        odd = ("/a%2fb", "/a%0d%0ab", "/%c0%ae%c0%ae/x", "/%252e%252e/x", "/a;b", "/a?b/../c//d")
        for path in odd:
            self.lan.jobs({"do": "send", "host": "bad.test", "port": 8080, "until": "\r\n\r\n",
                           "data": [get(path, "bad.test:8080")]})
        seen = {head.split()[1].decode("latin-1") for head, _ in self.lan.bad.requests}
        self.assertLessEqual(seen, set(odd))

    def test_hosts_that_disagree(self):
        """Host, :authority, SNI and the name that the address stands for: any two of them."""
        self.send(get(host="evil.test"), get(host="b.bad.test:{port}"), get(host="bad.test"), get(host="bad.test:1"),
                  get(host="evil.test:{port}"), until="\r\n\r\n")
        for sni, host, to in (("evil.test", "bad.test:8443", "bad.test"), ("b.bad.test", "bad.test:8443", "bad.test"),
                              ("bad.test", "b.bad.test:8443", "bad.test"), ("bad.test", "evil.test", "bad.test"),
                              ("b.bad.test", "b.bad.test:8443", "bad.test"), (None, "bad.test:8443", "bad.test"),
                              ("evil.test", "evil.test", "bad.test"), ("10.77.0.1", "bad.test:8443", "bad.test")):
            answers = self.lan.jobs(
                {"do": "send", "host": to, "port": 8443, "tls": True, "sni": sni, "data": [get(host=host)],
                 "until": "\r\n\r\n"},
                {"do": "h2", "host": to, "port": 8443, "tls": True, "sni": sni, "streams": [stream("/", host)]})
            with self.subTest(sni=sni, host=host):
                self.assertNotIn("HTTP/1.1 200", answers[0])
                self.assertNotEqual(answers[1][0]["status"], 200)
        self.nothing_left()

    def test_coalesced_streams(self):
        """One connection, several hosts: each stream is judged by itself, and the good ones still work."""
        answers = self.h2(stream("/one"), stream("/two", "b.bad.test:8443"), stream("/three", "evil.test"),
                          stream("/four", "origin.test"), stream("/five", "bad.test"), stream("/six"))
        self.assertEqual([a["status"] == 200 for a in answers], [True, False, False, False, False, True], answers)
        self.assertEqual(sorted(head.split()[1] for head, _ in self.lan.tls.requests), [b"/one", b"/six"])

    def test_spellings_of_addresses(self):
        hosts = ("2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "10.77.1", "0x0a4d0001",
                 "012.0115.0.1", "172818433", "10.077.0.1", "10.77.0.1.", "10.77.0.01", "[::ffff:10.77.0.1]",
                 "[::ffff:a4d:1]", "[64:ff9b::10.77.0.1]", "[64:ff9b::a4d:1]", "[::10.77.0.1]", "[2002:a4d:1::]",
                 "[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1]", "[::]", "0", "[fd67:6f6e:646f:1::1]", "::1", "[::1",
                 "10.77.0.1", "192.168.127.1", "169.254.169.254", "localhost", "bad.test.", "bad..test", ".bad.test",
                 "bad.test\x00.evil.test", "evil.test#.bad.test", "bad.test@evil.test", "bad.test,evil.test",
                 "bad.test evil.test", "b\xfccher.test", "b\xc3\xbccher.test", "bad.test%00", "bad_.test:x")
        self.send(*(get(host=h + ":{port}") for h in hosts), *(get(f"http://{h}:{{port}}/", host=h + ":{port}")
                                                              for h in hosts if " " not in h),
                  until="\r\n\r\n")
        answers = self.lan.jobs(*({"do": "h2", "host": "bad.test", "port": 8443, "tls": True,
                                   "streams": [stream("/", h + ":8443")]} for h in hosts))
        for host, (answer,) in zip(hosts, answers):
            with self.subTest(host=host):
                self.assertTrue(answer["status"] == 0 or answer["status"] >= 400, answer)
        self.nothing_left()
        self.assertEqual(self.lan.resolver.asked, [])

    def test_connections_to_addresses(self):
        self.lan.wait_for_ipv6()
        hosts = (ORIGIN, "192.0.2.1", "169.254.169.254", FAR, "198.18.255.254", "240.0.0.1", "192.168.127.1",
                 "64:ff9b::a4d:1", "2002:a4d:1::1", "2606:4700::1111", "fd67:6f6e:646f:2:ffff::1", "fec0::1")
        answers = self.lan.jobs(*({"do": "connect", "host": h, "port": 8080} for h in hosts))
        self.assertEqual(answers, ["ConnectionRefusedError"] * len(hosts))
        self.nothing_left()

    def test_names_in_one_spelling(self):
        """Upper case is the same name; what the origin sees is the canonical one."""
        for host in ("BAD.test:8080", "Bad.TEST:8080"):
            self.lan.jobs({"do": "send", "host": "bad.test", "port": 8080, "until": "\r\n\r\n",
                           "data": [get("/case", host)]})
        for head, _ in self.lan.bad.requests:
            self.assertIn(b"\r\nHost: bad.test:8080\r\n", head)
        self.assertEqual(len(self.lan.bad.requests), 2)

    def test_international_names(self):
        self.assertEqual(self.lan.curl("http://xn--bcher-kva.test:8080/idn", "-d", "x").stdout, b"x")
        self.assertEqual(len(self.lan.bad.requests), 1)

    def test_early_data_after_an_upgrade(self):
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = get("/ws", fields=f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n"
                                    "Sec-WebSocket-Version: 13\r\n")
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        accepts = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        reached = []

        def answer(handler, head, body):
            handler.wfile.write(accepts)
            reached.append(handler.rfile.read())
        self.lan.bad.answers["/ws"] = self.lan.tls.answers["/ws"] = answer
        self.send(upgrade + get("/inner"), upgrade + "\x81\x85abcdhello", expect=r"\[reset\]$|^$")
        self.nothing_more_than(b"/ws")
        self.assertEqual(b"".join(reached), b"")
        # Of another protocol, or with a body: no upgrade, and the next request is a request.
        for fields in ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
                       "Connection: Upgrade\r\nUpgrade: evil\r\n"):
            self.lan.bad.requests.clear()
            self.lan.jobs({"do": "send", "host": "bad.test", "port": 8080,
                           "data": [get("/other", "bad.test:8080", fields=fields) +
                                    get("/next", "bad.test:8080", fields="Connection: close\r\n")]})
            for head, _ in self.lan.bad.requests:
                self.assertNotIn(b"upgrade", head.lower())
            self.assertEqual([head.split()[1] for head, _ in self.lan.bad.requests], [b"/other", b"/next"])

    def nothing_more_than(self, path):
        for head, _ in self.lan.bad.requests + self.lan.tls.requests:
            self.assertEqual(head.split()[1], path)

    def test_answers_that_smuggle(self):
        """An origin's ambiguous answer is a 502 or breaks off; the next one on the connection is never taken for it."""
        rows = (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabcd",
                b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
                b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc",
                b"garbage\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"")
        for i, row in enumerate(rows):
            self.lan.bad.answers[f"/odd{i}"] = lambda h, head, body, row=row: h.wfile.write(row)
            r = self.lan.curl("-i", f"http://bad.test:8080/odd{i}")
            with self.subTest(row=row):
                self.assertTrue(r.returncode != 0 or r.stdout.startswith(b"HTTP/1.1 502 "), r.stdout)
        # Bytes after an answer's end are the origin's fault and nobody's answer.
        self.lan.bad.answers["/extra"] = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                                          b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        r = self.lan.curl("http://bad.test:8080/extra", "http://bad.test:8080/echo", "-d", "mine")
        self.assertEqual((r.returncode, r.stdout), (0, b"okmine"))


class Names(Case):
    far = True

    def question(self, *labels, kind=1, tail=b"", flags=0x0100):
        body = b"".join(bytes([len(x)]) + x for x in labels)
        return struct.pack(">HHHHHH", 7, flags, 1, 0, 0, 0) + body + b"\0" + struct.pack(">HH", kind, 1) + tail

    def ask(self, packet, **more):
        answer = self.lan.jobs(dict({"do": "dns", "packet": packet.decode("latin-1")}, **more))[0]
        return None if answer is None else answer.encode("latin-1")

    def rcode(self, packet, **more):
        answer = self.ask(packet, **more)
        return None if answer is None else answer[3] & 15

    def test_questions(self):
        answer, refused = 0, 5
        for labels, kind, rcode in (((b"bad", b"test"), 1, answer), ((b"BaD", b"TEST"), 28, answer),
                                    ((b"bad", b"test"), 65, answer), ((b"bad", b"test"), 64, answer),
                                    ((b"evil", b"test"), 1, refused), ((b"evil", b"test"), 28, refused),
                                    ((b"evil", b"test"), 16, refused), ((b"bad\0", b"test"), 1, refused),
                                    ((b"bad.test",), 1, refused), ((b"bad", b"test\0"), 1, refused),
                                    ((b"b\xfccher", b"test"), 1, refused), ((b"bad test",), 1, refused),
                                    ((b"x" * 63, b"y" * 63, b"evil", b"test"), 16, refused),
                                    ((b"4142434445", b"data", b"evil", b"test"), 1, refused),
                                    ((b"4142434445", b"bad", b"test"), 1, refused), ((b"bad",), 1, refused),
                                    ((), 2, refused), ((b"1", b"0", b"0", b"127", b"in-addr", b"arpa"), 12, refused)):
            for tcp in (False, True):
                with self.subTest(labels=labels, kind=kind, tcp=tcp):
                    self.assertEqual(self.rcode(self.question(*labels, kind=kind), tcp=tcp), rcode)
        self.assertEqual(self.lan.resolver.asked, [])

    def test_case_is_kept_in_the_answer(self):
        answer = self.ask(self.question(b"BaD", b"tEsT"))
        self.assertEqual(answer[12:22], b"\3BaD\4tEsT\0")

    def test_data_in_questions(self):
        """10 KiB in names, types and options: nothing of it leaves."""
        data = base64.b32encode(os.urandom(6400)).lower()
        jobs = []
        for at in range(0, len(data), 180):
            labels = [data[i:i + 60] for i in range(at, min(at + 180, len(data)), 60)]
            packet = self.question(*[x for x in labels if x], b"evil", b"test", kind=16)
            jobs.append({"do": "dns", "packet": packet.decode("latin-1")})
        for answer in self.lan.jobs(*jobs):
            self.assertEqual(ord(answer[3]) & 15, 5)
        self.assertEqual(self.lan.resolver.asked, [])

    def test_broken_questions(self):
        good = self.question(b"bad", b"test")
        rows = (b"", b"x", good[:11], good[:-1], good[:12] + b"\xc0\x0c\0\1\0\1", good[:12] + b"\x3f" + good[13:],
                good[:4] + b"\0\2" + good[6:], good[:4] + b"\0\0" + good[6:], b"\0\7\x81\x80" + good[4:],
                b"\0\7\x28\0" + good[4:], good + b"trailing", good[:12] + b"\x40" * 20, os.urandom(512))
        self.lan.jobs(*({"do": "dns", "packet": row.decode("latin-1"), "wait": 1} for row in rows))
        self.assertEqual(self.lan.resolver.asked, [])
        self.assertEqual(self.rcode(good), 0)

    def test_refused_names_are_never_asked(self):
        for url in ("http://evil.test/", "https://evil.test/", "http://x.bad.test:8080/", "http://bad.test.evil.test/"):
            self.assertEqual(self.lan.curl(url).returncode, 6)
        for host in ("evil.test", "evil.test:{port}", "secret-data.evil.test"):
            self.send(get(host=host), until="\r\n\r\n")
        self.h2(stream("/", "evil.test"), sni="evil.test")
        self.assertEqual(self.lan.resolver.asked, [])
        self.nothing_left()

    def test_rebinding(self):
        """A public address for the check, an internal one for the connection: there is only one look."""
        turns = []

        def turn():
            turns.append([FAR] if len(turns) % 2 == 0 else [ORIGIN])
            return turns[-1]
        self.lan.resolver.names["far.test"] = turn
        self.lan.far.requests.clear()
        results = [self.lan.curl("-o", "/dev/null", "-w", "%{http_code}", "http://far.test:8080/rebind").stdout
                   for _ in range(6)]
        self.assertIn(b"200", results)
        self.assertIn(b"403", results)
        self.assertEqual(len(self.lan.far.requests), results.count(b"200"))
        self.nothing_left()
        asked = [a for a in self.lan.resolver.asked if a == ("far.test", 1)]
        self.assertEqual(len(asked), len(turns))
        self.assertLessEqual(len(asked), len(results))

    def test_internal_beside_public(self):
        """An answer with both is no way to the internal one."""
        for addresses in ([ORIGIN, FAR], [FAR, ORIGIN], ["127.0.0.1"], ["169.254.169.254"], ["10.78.0.1"],
                          ["10.78.0.2"], ["0.0.0.0"], ["192.168.127.1"], ["100.64.0.1"], ["224.0.0.1"]):
            self.lan.resolver.names["two.far.test"] = addresses
            self.lan.curl("http://two.far.test:8080/two")
        self.nothing_left()


class Secrets(Case):
    options = ("--secret", f"TOKEN@https://bad.test:8443={SECRET}")

    def setUp(self):
        super().setUp()
        lines = self.lan.records.read_text().splitlines()
        self.placeholder = next(line.split()[2] for line in lines if line.startswith("secret TOKEN "))

    def field(self, name="authorization", before="Bearer "):
        return ["-H", f"{name}: {before}{self.placeholder}"]

    def refused(self, *arguments):
        r = self.lan.curl("-i", *arguments)
        self.assertIn(b"x-gondolin-denied:", r.stdout)
        self.assertNotIn(SECRET.encode(), r.stdout)

    def test_where_it_belongs(self):
        for version in ("--http1.1", "--http2"):
            r = self.lan.curl(version, *self.field(), "https://bad.test:8443/good")
            self.assertEqual(r.returncode, 0, r.stderr)
        r = self.lan.curl("-u", f"user:{self.placeholder}", "https://bad.test:8443/basic")
        self.assertEqual(r.returncode, 0, r.stderr)
        basic = base64.b64encode(f"user:{SECRET}".encode())
        heads = [head.lower() for head, _ in self.lan.tls.requests]
        self.assertEqual([f"bearer {SECRET}".encode() in h for h in heads], [True, True, False])
        self.assertIn(b"basic " + basic.lower(), heads[2])

    def test_wrong_host_scheme_and_port(self):
        self.refused(*self.field(), "https://b.bad.test:8443/wrong")
        self.refused(*self.field(), "http://bad.test:8080/wrong")
        self.refused(*self.field(), "https://origin.test/small")
        self.refused("-u", f"user:{self.placeholder}", "https://b.bad.test:8443/wrong")
        self.nothing_left()

    def test_other_places(self):
        url = "https://bad.test:8443/"
        self.refused(url + self.placeholder)
        self.refused(url + "?q=" + self.placeholder)
        self.refused("-d", "x=" + self.placeholder, url)
        self.nothing_left(connections=True)

    def test_after_a_redirect(self):
        self.lan.tls.answers["/away"] = (b"HTTP/1.1 302 Found\r\nLocation: https://b.bad.test:8443/stolen\r\n"
                                         b"Content-Length: 0\r\n\r\n")
        self.refused("-L", "--location-trusted", *self.field(), "https://bad.test:8443/away")
        self.assertEqual([head.split()[1] for head, _ in self.lan.tls.requests], [b"/away"])

    def test_split_over_two_fields(self):
        half = len(self.placeholder) // 2
        r = self.lan.curl("-H", f"x-a: {self.placeholder[:half]}", "-H", f"x-b: {self.placeholder[half:]}",
                          "https://b.bad.test:8443/halves")
        self.assertEqual(r.returncode, 0)
        self.assertNotIn(SECRET.encode(), self.lan.tls.requests[0][0])

    def test_reflected(self):
        def reflect(kind):
            def answer(handler, head, body):
                value = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization:"))
                value = value.split(b" ", 1)[1]
                if kind == "header":
                    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Back: " + value + b"\r\nContent-Length: 0\r\n\r\n")
                    return
                body = {"plain": value, "base64": base64.b64encode(value), "percent": b"".join(
                    b"%%%02x" % c for c in value)}[kind]
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for c in body:  # a byte a chunk
                    handler.wfile.write(b"1\r\n" + bytes([c]) + b"\r\n")
                handler.wfile.write(b"0\r\n\r\n")
            return answer
        for kind in ("header", "plain", "base64", "percent"):
            self.lan.tls.answers["/" + kind] = reflect(kind)
            r = self.lan.curl("-i", *self.field(), "https://bad.test:8443/" + kind)
            with self.subTest(kind=kind):
                self.assertEqual(r.returncode, 0, r.stderr)
                self.assertNotIn(SECRET.encode(), r.stdout)
                self.assertNotIn(base64.b64encode(SECRET.encode())[4:-4], r.stdout)
                self.assertNotIn(b"%72%65%61%6c", r.stdout.lower())
        self.assertIn(self.placeholder.encode(), self.lan.curl(*self.field(), "https://bad.test:8443/plain").stdout)


    def reflect_packed(self, coding, pack, *arguments):
        """What the guest gets where the origin packs the value that it was sent, in chunks of a few bytes."""
        def answer(handler, head, body):
            value = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization:"))
            packed = pack(b"x" * 3000 + value.rsplit(b" ", 1)[1] + b"y" * 3000)
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % coding)
            for at in range(0, len(packed), 5):
                piece = packed[at:at + 5]
                handler.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            handler.wfile.write(b"0\r\n\r\n")
        self.lan.tls.requests.clear()
        self.lan.tls.answers["/packed"] = answer
        r = self.lan.curl("-i", *arguments, *self.field(), "https://bad.test:8443/packed")
        self.assertEqual([SECRET.encode() in head for head, _ in self.lan.tls.requests], [True])
        self.assertFalse(SECRET.encode() in r.stdout)
        return r

    def test_reflected_compressed(self):
        """Answers are read unpacked, in each coding that egress knows."""
        for name, coding, pack in (
                ("gzip", b"gzip", gzip.compress), ("x-gzip", b"x-gzip", gzip.compress),
                ("deflate", b"deflate", zlib.compress), ("deflate without its header", b"deflate", raw_deflate),
                ("br", b"br", brotli), ("BR", b"BR", brotli)):
            for version in ("--http1.1", "--http2"):
                with self.subTest(name, version=version):
                    r = self.reflect_packed(coding, pack, version)
                    self.assertEqual(r.returncode, 0, r.stderr)
                    self.assertTrue(b"x" * 3000 + self.placeholder.encode() + b"y" * 3000 in r.stdout)
                    self.assertFalse(b"content-encoding" in r.stdout.lower())

    def test_codings_that_cannot_be_read(self):
        """A coding that egress does not know, or that lies: refused or broken off, never passed on as it is."""
        for name, coding, pack in (
                ("zstd", b"zstd", bytes), ("made up", b"rot13", bytes.swapcase), ("compress", b"compress", bytes),
                ("two", b"gzip, br", lambda b: brotli(gzip.compress(b))), ("twice", b"gzip, gzip", bytes),
                ("gzip as br", b"br", gzip.compress), ("br as gzip", b"gzip", brotli), ("plain as br", b"br", bytes),
                ("half of br", b"br", lambda b: brotli(b)[:-4]), ("half of gzip", b"gzip", lambda b: gzip.compress(b)[:-9]),
                ("more than br", b"br", lambda b: brotli(b) + b"more")):
            with self.subTest(name):
                r = self.reflect_packed(coding, pack)
                self.assertTrue(r.returncode != 0 or r.stdout.startswith((b"HTTP/1.1 502 ", b"HTTP/2 502 ")), r.stdout[:200])


class Slow(Case):
    options = ("--request-ms", "2000", "--response-ms", "2000", "--secret", f"TOKEN@https://bad.test:8443={SECRET}")

    def test_heads_that_never_end(self):
        """A byte now and then: the connection ends all the same, and others are served meanwhile."""
        program = f"""
import select, socket, time
s = [socket.create_connection(("bad.test", 8080)) for _ in range(100)]
for c in s:
    c.send(b"GET / HTTP/1.1\\r\\nX: ")
end = time.monotonic() + {DEADLINE}
while s and time.monotonic() < end:
    over = select.select(s, [], [], 0.2)[0]  # an answer, an end or a reset
    for c in list(s):
        try:
            if c in over and not c.recv(4096):
                s.remove(c)
            else:
                c.send(b"a")
        except OSError:
            s.remove(c)
print(len(s))
"""
        r = self.lan.inside(sys.executable, "-c", program)
        self.assertEqual(r.stdout, b"0\n", r.stderr)
        self.nothing_left()

    def test_handshakes_that_never_end(self):
        """Half a ClientHello, and not a byte at all: each ends, and the record says why."""
        jobs = [{"do": "send", "host": "bad.test", "port": port, "data": data}
                for port in (8080, 8443) for data in (["\x16\x03\x01\x02\x00\x01"], [])]
        self.assertEqual(self.lan.jobs(*jobs), ["[reset]"] * 4)
        self.assertEqual(self.lan.records.read_text().count("rule=too-slow"), 4)
        self.nothing_left()

    def test_bodies_that_never_come(self):
        answer = self.lan.jobs({"do": "send", "host": "bad.test", "port": 8080, "data": [
            "POST /slow HTTP/1.1\r\nHost: bad.test:8080\r\nX: "]})[0]
        self.assertNotIn("200", answer)
        self.nothing_left()

    def test_origin_that_says_nothing(self):
        released = threading.Event()
        self.addCleanup(released.set)
        self.lan.bad.answers["/silent"] = lambda h, head, body: released.wait(DEADLINE)
        self.assertIn(b" 504 ", self.lan.curl("-i", "http://bad.test:8080/silent").stdout)

    def endless(self, server, path, head, piece):
        ended = threading.Event()

        def answer(handler, request, body):
            try:
                handler.wfile.write(head)
                while True:
                    handler.wfile.write(piece)
            except OSError:
                ended.set()
        server.answers[path] = answer
        return ended

    def test_origin_that_never_ends(self):
        """The guest takes some and goes; egress goes then too, and never had much of it."""
        chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
        for server, url in ((self.lan.bad, "http://bad.test:8080"), (self.lan.tls, "https://bad.test:8443")):
            ended = self.endless(server, "/endless", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk)
            r = self.lan.inside("sh", "-c", f"curl -sS {url}/endless | head -c 67108864 | wc -c")
            self.assertEqual(r.stdout.strip(), b"67108864")
            self.assertTrue(ended.wait(DEADLINE))
        for name in ("netproxy", "egress"):
            self.assertLess(self.lan.peak(name), 48 << 10, name)

    def test_head_that_never_ends(self):
        ended = self.endless(self.lan.bad, "/fields", b"HTTP/1.1 200 OK\r\n", b"X-Field: " + b"y" * 1000 + b"\r\n")
        r = self.lan.curl("-i", "http://bad.test:8080/fields")
        self.assertIn(b" 502 ", r.stdout)
        self.assertTrue(ended.wait(DEADLINE))
        self.assertLess(self.lan.peak("egress"), 48 << 10)

    def test_bombs(self):
        """An answer of a secret's host is read unpacked: 256 MiB of nothing in 256 KiB."""
        squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(256)) + squeeze.flush()
        self.lan.tls.answers["/bomb"] = (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" %
                                         len(bomb) + bomb)
        r = self.lan.inside("sh", "-c", "curl -sS https://bad.test:8443/bomb | wc -c")
        self.assertEqual(int(r.stdout), 256 << 20, r.stderr)
        for name in ("netproxy", "egress"):
            self.assertLess(self.lan.peak(name), 64 << 10, name)


if __name__ == "__main__":
    program = unittest.main(exit=False)
    sys.exit(77 if program.result.skipped and not program.result.testsRun else not program.result.wasSuccessful())
