# SPDX-License-Identifier: Apache-2.0
"""gondolin-egress between a netproxy that was taken over and origins that mean harm.

test_hostile.py DRIVER EGRESS
"""
import os
import sys
import tempfile
import unittest

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


if __name__ == "__main__":
    test_egress.DRIVER, test_egress.EGRESS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
