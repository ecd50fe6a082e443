# SPDX-License-Identifier: Apache-2.0
"""gondolin-egress between a netproxy that was taken over and origins that mean harm.

test_hostile.py DRIVER EGRESS
"""
import gzip
import os
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import origin  # noqa: E402
import test_egress  # noqa: E402
from test_egress import BAD, PLACEHOLDER, SECRET, Egress  # noqa: E402,F401

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        names = ["one.test", "plain.test"]
        cls.ca, cls.leaf, cls.key = origin.certificates(cls.folder.name, names)
        cls.hosts = os.path.join(cls.folder.name, "hosts")
        with open(cls.hosts, "w") as f:
            f.write("127.0.0.1 " + " ".join(names) + "\n::1 dual.test\n127.0.0.1 dual.test\n")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def origin(self, serve, **more):
        o = origin.Raw(serve, **more).start()
        self.addCleanup(o.stop)
        return o

    def egress(self, *allow, **changes):
        """An egress that allows these (scheme, host, port)."""
        e = Egress(**dict({"ca": self.ca, "hosts": self.hosts, "server": "127.0.0.1:9",
                           "allow": [list(a) for a in allow],
                           "internal": [["", host, 0] for _, host, _ in allow]}, **changes))
        self.addCleanup(e.close)
        return e

    def plain(self, serve, **changes):
        """An origin of plain HTTP, an egress that allows it alone, and what a request to it says."""
        o = self.origin(serve)
        return o, self.egress(("http", "plain.test", o.port), **changes), \
            dict(host="plain.test", port=o.port, https=False)

    # ---- Bodies that are not what their heads say ----

    def upload(self, e, q, length, *texts, said=None, **more):
        """A streamed body that declares length, and the answer; said: what RequestEnd says."""
        id = e.ask(method="POST", has_body=True, has_length=True, length=length, end=False, **dict(q, **more))
        e.take("stream", id=id)
        for text in texts:
            e.say(op="feed", id=id, count=1, text=text)
        if said is not None:
            e.say(op="end", id=id, length=said)
        return e.answer(id)

    def test_body_longer_than_declared(self):
        """What follows the declared length would be the next request on the origin's connection."""
        def serve(o, connection):
            while o.take(connection, b"hello"):
                connection.sendall(OK)

        hidden = "GET /hidden HTTP/1.1\r\nHost: other.test\r\n\r\n"
        o, e, q = self.plain(serve)
        for texts, body in ((["hello" + hidden], ""), (["he", "llo" + hidden], ""), (["lo" + hidden], "hel"),
                            (["he", "llo", hidden], "")):
            for said in (None, len("".join(texts))):
                a = self.upload(e, q, 5, *texts, said=said, body=body)
                # What came in time for the answer was the whole body; then the rest is left where it is.
                if a["event"] == "refused" or texts[-1] != hidden:
                    self.assertEqual((a["event"], a.get("rule")), ("refused", "bad-body"), texts)
        self.assertIn(b"POST ", b"".join(o.read))
        self.assertNotIn(b"hidden", b"".join(o.read))

    def test_body_shorter_than_declared(self):
        """The next request on the connection would be taken for the body's rest."""
        def serve(o, connection):
            while o.take(connection, b"whole"):
                connection.sendall(OK)

        o, e, q = self.plain(serve)
        for text, said in (("hell", 4), ("hello", 4), ("hello", 6), ("hello", 2**63 - 1), ("", 0)):
            a = self.upload(e, q, 5, text, said=said)
            self.assertEqual((a["event"], a.get("cause")), ("refused", BAD), (text, said))
        self.assertEqual(self.upload(e, q, 5, "whole", said=5)["body"], "ok")
        for read in o.read:
            self.assertLessEqual(read.count(b"POST "), 1)

    def test_body_as_declared(self):
        def serve(o, connection):
            while o.take(connection, b"hello"):
                connection.sendall(OK)

        _, e, q = self.plain(serve)
        for texts, body in ((["hello"], ""), (["he", "llo"], ""), (["lo"], "hel")):
            a = self.upload(e, q, 5, *texts, said=5 - len(body), body=body)
            self.assertEqual((a.get("status"), a["body"]), (200, "ok"), texts)

    # ---- Connections ----

    def test_address_literals(self):
        def serve(o, connection):
            while o.take(connection):
                connection.sendall(OK)

        for address in ("127.0.0.1", "::1"):
            o = self.origin(serve, address=address)
            q = dict(host=address, port=o.port, https=False, destination="", address=address)
            e = self.egress(("http", address, o.port))
            for _ in range(2):
                a = e.get(**q)
                self.assertEqual((a.get("status"), a["body"]), (200, "ok"), a)
            # Allowed, and still an address of this host.
            e = self.egress(("http", address, o.port), internal=[])
            n = len(o.read)
            self.assertEqual(e.get(**q)["rule"], "internal-address")
            self.assertEqual(len(o.read), n)

    def test_one_attempt_of_two_is_refused(self):
        """IPv6 hangs, IPv4 is one connection too many, then IPv6 goes on: that is no refusal."""
        def serve(o, connection):
            while o.take(connection):
                connection.sendall(OK)

        six = origin.Raw(serve, address="::1", listen=0)
        self.addCleanup(six.stop)
        four = self.origin(serve, port=six.port)
        filler = socket.create_connection(("::1", six.port))  # another's SYN is dropped, and sent again
        self.addCleanup(filler.close)
        e = self.egress(("http", "dual.test", six.port), connections=1)
        id = e.ask(host="dual.test", port=six.port, https=False)
        trying, end = ":%04X 02 " % six.port, time.monotonic() + 60
        with open("/proc/net/tcp6") as connections:
            while trying not in connections.read() and time.monotonic() < end:
                os.sched_yield()
                connections.seek(0)
        six.start()
        a = e.answer(id)
        self.assertEqual((a.get("status"), a["body"], four.read), (200, "ok", []), a)

    def test_all_attempts_are_refused(self):
        """One connection open, and no other allowed."""
        def serve(o, connection):
            o.take(connection)
            arrived.set()
            released.wait(60)
            connection.sendall(OK)

        arrived, released = threading.Event(), threading.Event()
        o, e, q = self.plain(serve, connections=1)
        id = e.ask(path="/first", **q)
        self.assertTrue(arrived.wait(60))
        self.assertEqual(e.get(path="/second", **q)["rule"], "budget")
        released.set()
        self.assertEqual(e.answer(id)["status"], 200)
        self.assertNotIn(b"/second", b"".join(o.read))

    def test_mapped_connection_stays_where_it_is(self):
        """netproxy gets a socket of the host's network: once its peer reset it, it must not be another's."""
        def reset(o, connection):
            o.take(connection, b"hello")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        o, elsewhere = self.origin(reset), self.origin(lambda o, connection: o.read.append(connection.recv(1)))
        e = self.egress(tcp=[{"from": "db.internal", "from_port": 5432, "to": "127.0.0.1", "to_port": o.port}])
        e.say(op="connect", id=1, host="db.internal", port=5432, elsewhere=elsewhere.port)
        self.assertFalse(e.take("connected")["elsewhere"])
        self.assertEqual(elsewhere.read, [])

    def test_proxy_at_an_address(self):
        def serve(o, connection):
            if b"CONNECT one.test:80 " in o.take(connection):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                o.take(connection)
                connection.sendall(OK)

        for address, spelling in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            o = self.origin(serve, address=address)
            e = self.egress(("http", "one.test", 80), proxy="http://%s:%d" % (spelling, o.port))
            a = e.get(host="one.test", port=80, https=False)
            self.assertEqual((a.get("status"), a["body"]), (200, "ok"), a)
            # Where an address is needs no look-up: a proxy is not asked for internal ones.
            asked = len(o.read)
            for inside in ("10.77.0.1", "127.0.0.1", "169.254.169.254", "::1"):
                e = self.egress(("http", inside, 80), internal=[], proxy="http://%s:%d" % (spelling, o.port))
                a = e.get(host=inside, port=80, https=False, destination="", address=inside)
                self.assertEqual((a["event"], a.get("rule")), ("refused", "internal-address"), inside)
            self.assertEqual(len(o.read), asked)

    # ---- Budgets ----

    def test_idle_connections_are_in_nobodys_way(self):
        """A connection that an origin keeps open is closed where the budget needs it for the next."""
        def serve(o, connection):
            while o.take(connection):
                connection.sendall(OK)

        for more in (dict(connections=1), dict(connections=3), dict(host_connections=1)):
            origins = [self.origin(serve) for _ in range(6)]
            e = self.egress(*(("http", "plain.test", o.port) for o in origins), **more)
            for o in 2 * origins:
                a = e.get(host="plain.test", port=o.port, https=False)
                self.assertEqual((a.get("status"), a["body"]), (200, "ok"), more)

    def test_bytes_in_many_small_requests(self):
        """Bodies, paths and headers all carry data out."""
        data = "d" * 1000
        posts = dict(method="POST", has_body=True, has_length=True, length=len(data), body=data)

        def serve(o, connection):
            while o.take(connection, b"d" * 1000):
                connection.sendall(OK)

        for q in (posts, dict(path="/" + data), dict(headers=[["x-data", data]])):
            o, e, where = self.plain(serve, bytes_out=10000)
            answers = [e.get(**where, **q) for _ in range(20)]
            self.assertEqual({a["status"] for a in answers}, {200, 429})
            self.assertEqual({a["rule"] for a in answers if a["status"] == 429}, {"budget"})
            self.assertTrue(5000 < b"".join(o.read).count(b"d") <= 10000)

    def test_bytes_in_heads(self):
        """An answer without a body carries data in."""
        def serve(o, connection):
            while request := o.take(connection):
                if b"/interim" in request:
                    for _ in range(100):
                        connection.sendall(b"HTTP/1.1 103 Hints\r\nx-data: " + b"d" * 1000 + b"\r\n\r\n")
                connection.sendall(b"HTTP/1.1 204 No\r\nx-data: " + b"d" * 1000 + b"\r\n\r\n")

        _, e, q = self.plain(serve, host_bytes_in=10000)
        answers = [e.get(**q) for _ in range(20)]
        self.assertEqual({a["status"] for a in answers}, {204, 429})
        _, e, q = self.plain(serve, host_bytes_in=10000)
        self.assertEqual(e.get(path="/interim", **q)["status"], 429)

    # ---- Answers ----

    def test_head_and_trailers_that_fit_no_message_together(self):
        """One message for both would be longer than a message may be."""
        def fields(n):
            return b"".join(b"%03d:" % k + b"v" * 120 + b"\r\n" for k in range(n))

        def serve(o, connection):
            while request := o.take(connection):
                sizes = request.split()[1].strip(b"/").split(b"/")
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + fields(int(sizes[0])) +
                                   b"\r\n1\r\nx\r\n0\r\n" + fields(int(sizes[1])) + b"\r\n")

        _, e, q = self.plain(serve)
        for head, trailers in ((255, 256), (255, 1), (1, 256), (140, 150), (3, 4)):
            a = e.get(path="/%d/%d" % (head, trailers), **q)
            self.assertEqual((a.get("status"), a["body"], a.get("cause", 0)), (200, "x", 0), (head, trailers))
            self.assertEqual((len(a["headers"]), len(a["trailers"])), (head, trailers))

    def secret(self, port):
        return {"name": "TOKEN", "value": SECRET, "placeholder": PLACEHOLDER, "http": True,
                "hosts": [["http", "plain.test", port]]}

    def test_codings_that_hide_a_secret(self):
        """What a reader would undo that takes all fields for one list is undone, or refused."""
        text = b"token=" + SECRET.encode()
        codings = {b"gzip": gzip.compress, b"deflate": zlib.compress, b"identity": bytes, b"br": bytes, b"": bytes}
        rows = [[b"identity", b"gzip"], [b"gzip", b"identity"], [b"gzip", b"gzip"], [b"", b"gzip"],
                [b"identity, gzip"], [b"gzip, identity"], [b"gzip,gzip"], [b"identity", b"identity"], [b"gzip"],
                [b"deflate"], [b"identity"], []]

        def serve(o, connection):
            while request := o.take(connection):
                row = rows[int(request.split()[1].strip(b"/"))]
                body = text
                for coding in b",".join(row).split(b","):
                    body = codings[coding.strip()](body)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" +
                                   b"".join(b"Content-Encoding: %s\r\n" % line for line in row) +
                                   b"Content-Length: %d\r\n\r\n" % len(body) + body)

        o = self.origin(serve)
        e = self.egress(("http", "plain.test", o.port), secrets=[self.secret(o.port)])
        for i, row in enumerate(rows):
            a = e.get(host="plain.test", port=o.port, https=False, path="/%d" % i)
            if len(row) == 1 and b"," not in row[0] or not row:
                self.assertEqual((a.get("status"), a["body"]), (200, "token=" + PLACEHOLDER), row)
            else:
                self.assertEqual((a["event"], a.get("rule")), ("refused", "unreadable-answer"), row)

    def test_answers_that_hide_a_secret(self):
        """In a field's name, in a coding of the transfer, and in a body that no head announced."""
        value, loud = b"hunter2-hunter2", b"HUNTER2-HUNTER2"
        chunk = b"%x\r\n%s\r\n0\r\n" % (len(value), value)
        ok = b"HTTP/1.1 200 OK\r\n"
        rows = [(ok + b"X-" + name + b": 1\r\nX-Two: 2\r\nContent-Length: 2\r\n\r\nok", [["x-two", "2"]])
                for name in (value, value.title(), loud)]
        rows += [
            (ok + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk + b"\r\n", "unreadable-answer"),
            (ok + b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"\r\n", "unreadable-answer"),
            (b"HTTP/1.1 101 Now\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + ok + b"\r\n", "bad-answer"),
            (b"HTTP/1.1 101 Now\r\nUpgrade: h2c\r\n\r\n" + value, "bad-answer")]

        def serve(o, connection):
            connection.sendall(rows[int(o.take(connection).split()[1].strip(b"/"))][0])

        o = self.origin(serve)
        e = self.egress(("http", "plain.test", o.port), secrets=[
            dict(self.secret(o.port), value=value.decode()),
            dict(self.secret(o.port), name="LOUD", value=loud.decode(), placeholder=PLACEHOLDER[:-1] + "2")])
        for i, (sent, expected) in enumerate(rows):
            a = e.get(host="plain.test", port=o.port, https=False, path="/%d" % i)
            self.assertNotIn(value.decode(), str(a).lower(), sent)
            if isinstance(expected, str):
                self.assertEqual((a["event"], a.get("rule")), ("refused", expected), sent)
            else:
                self.assertEqual((a.get("status"), a["body"]), (200, "ok"), sent)
                self.assertEqual(a["headers"], expected)

    def test_certificate_that_names_a_secret(self):
        """Why a connection failed is told, in the origin's words."""
        value = "hunter2-hunter2"

        def serve(o, connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(leaf, key)
            with context.wrap_socket(connection, server_side=True) as tls:
                o.take(tls)

        with tempfile.TemporaryDirectory() as folder:
            ca, leaf, key = origin.certificates(folder, [value], alternative=False)
            o = self.origin(serve)
            e = self.egress(("https", "one.test", o.port), ca=ca, secrets=[
                {"name": "TOKEN", "value": value, "placeholder": PLACEHOLDER,
                 "hosts": [["https", "one.test", o.port]]}])
            a = e.get(host="one.test", port=o.port)
            self.assertEqual((a["event"], a["cause"]), ("refused", test_egress.TLS))
            self.assertNotIn(value, str(a) + str(e.take("record", id=a["id"])))
            self.assertEqual(b"".join(o.read), b"")

    # ---- Answers that come before the request's body is through ----

    def stream(self, e, q, **more):
        """Asks with a body that is not there yet."""
        return e.ask(**dict(dict(q, method="POST", has_body=True, end=False), **more))

    def whole(self, e, id):
        """The whole answer, wherever the stream's descriptor came."""
        a = e.take("answer", "refused", id=id)
        self.assertEqual(a["event"], "answer", a)
        end = a if a["end"] else e.take("end", id=id)
        self.assertEqual(end.get("cause", 0), 0, end)
        return a["status"], a["body"] + ("" if a["end"] else end["body"] + end.get("text", ""))

    def test_answer_before_the_body(self):
        """It is complete: the guest gets it, whatever becomes of the body."""
        answers = {"/length": (OK, "ok"), "/none": (b"HTTP/1.1 204 No\r\n\r\n", ""),
                   "/no": (b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", "no"),
                   "/empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "")}

        def serve(o, connection):
            head = o.take(connection)
            connection.sendall(answers[head.split()[1].decode()][0])
            o.take(connection, None)

        _, e, q = self.plain(serve)
        for path, (bytes, body) in answers.items():
            for length in (None, 100000):
                for wait in (True, False):
                    id = self.stream(e, q, path=path, has_length=length is not None, length=length or 0)
                    if wait:
                        e.take("stream", id=id)
                    self.assertEqual(self.whole(e, id), (int(bytes[9:12]), body), path)
        self.assertFalse([k for k in e.kept if k["event"] == "stream" and k["id"] > id])

    def test_answer_before_the_request(self):
        """Behind the handshake's last bytes: the stream comes with the answer, and no other after it."""
        answered = threading.Event()

        def serve(o, connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.leaf, self.key)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            from_peer, to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(from_peer, to_peer, server_side=True)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(to_peer.read())
                    from_peer.write(connection.recv(65536))
            tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
            connection.sendall(to_peer.read())
            answered.wait(60)
            tls.write(b"y" * 50)
            connection.sendall(to_peer.read())
            o.take(connection, None)

        o = self.origin(serve)
        e = self.egress(("https", "one.test", o.port))
        id = self.stream(e, dict(host="one.test", port=o.port), has_length=True, length=100000)
        events = []
        while "end" not in events:
            x = e.take("stream", "answer", "refused", "end", id=id)
            events.append(x["event"])
            if x["event"] == "answer":
                answered.set()
                self.assertTrue(x["streamed"])
        self.assertIn(events, (["answer", "end"], ["stream", "answer", "end"]))

    def test_both_ways_at_once(self):
        """An answer that goes on does not end the request."""
        def serve(o, connection):
            o.take(connection)
            o.read.append(b"")
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for word in (b"part0", b"part1", b"part2", b"0\r\n\r\n"):
                connection.sendall(b"5\r\nready\r\n")
                while word not in o.read[-1]:
                    o.read[-1] += connection.recv(65536)
            connection.sendall(b"0\r\n\r\n")

        o, e, q = self.plain(serve)
        id = self.stream(e, q)
        self.assertTrue(e.take("answer", id=id)["streamed"])
        for n in range(3):
            e.say(op="feed", id=id, count=1, text="part%d" % n)
        e.say(op="end", id=id, length=15)
        end = e.take("end", id=id)
        self.assertEqual((end["cause"], end["text"][-5:]), (0, "ready"))

    def test_http2_answer_before_the_body(self):
        """The same by frames; :status 200, then content-length 2 (RFC 7541 6.1, 6.2.2)."""
        def frame(kind, flags, stream, payload=b""):
            return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

        def serve(o, connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.leaf, self.key)
            context.set_alpn_protocols(["h2"])
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(frame(4, 0, 0))
                held = b""
                while data := tls.recv(65536):
                    held += data
                    held = held.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                    while len(held) >= 9 and len(held) >= 9 + int.from_bytes(held[:3], "big"):
                        n, kind, stream = int.from_bytes(held[:3], "big"), held[3], int.from_bytes(held[5:9], "big")
                        held = held[9 + n:]
                        o.read.append((kind, stream))
                        if kind == 1:
                            tls.sendall(frame(1, 4, stream, b"\x88\x0f\x0d\x012") + frame(0, 1, stream, b"ok"))

        o = self.origin(serve)
        e = self.egress(("https", "one.test", o.port))
        for length in (None, 100000):
            id = self.stream(e, dict(host="one.test", port=o.port), has_length=length is not None, length=length or 0)
            self.assertEqual(self.whole(e, id), (200, "ok"))
        self.assertEqual([stream for kind, stream in o.read if kind == 1], [1, 3])  # of one connection


if __name__ == "__main__":
    test_egress.DRIVER, test_egress.EGRESS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
