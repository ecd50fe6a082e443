# SPDX-License-Identifier: Apache-2.0
"""gondolin-egress in its wall: what it refuses whoever asks, and what it brings back.

test_egress.py DRIVER EGRESS
"""
import base64
import binascii
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import origin  # noqa: E402

DRIVER, EGRESS = None, None
SECRET = "s3cret/va+lue&0123456789"
PLACEHOLDER = "GONDOLIN_SECRET_00000000000000000000000000000001"
DENIED, BAD, BUDGET, NO_NAME, UNREACHED, TLS, BROKEN, TIMEOUT, CANCELLED = range(1, 10)


class Egress:
    """The driver and the egress that it started."""

    def __init__(self, **setup):
        self.process = subprocess.Popen([DRIVER, EGRESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.next_id = 0
        self.kept = []
        self.say(op="setup", **setup)
        self.pid = self.take("ready")["pid"]

    def say(self, **order):
        self.process.stdin.write(json.dumps(order).replace("\\u0000", "<00>").encode() + b"\n")
        self.process.stdin.flush()

    def take(self, *events, id=None):
        """The next of these events; others are kept."""
        def fits(e):
            return e["event"] in events and (id is None or e["id"] == id)
        for e in self.kept:
            if fits(e):
                self.kept.remove(e)
                return e
        while line := self.process.stdout.readline():
            e = json.loads(line)
            if fits(e):
                return e
            self.kept.append(e)
        raise AssertionError("the driver ended")

    def ask(self, **q):
        self.next_id += 1
        q.setdefault("destination_port", q.get("port"))
        q = dict({"https": True, "sni": q.get("host") if q.get("https", True) else "",
                  "destination": q.get("host"), "method": "GET", "path": "/", "end": True}, **q)
        self.say(op="request", id=self.next_id, **q)
        return self.next_id

    def answer(self, id):
        """The whole answer: text, and the stream's part of it."""
        e = self.take("answer", "refused", id=id)
        if e["event"] == "answer" and not e["end"]:
            end = self.take("end", id=id)
            e["cause"] = end["cause"]
            e["body"] += end["body"] + end.get("text", "")
            e["total"] = end.get("stream_bytes", 0)
            e["trailers"] = end["trailers"]
        e["fields"] = dict(e.get("headers", []))
        return e

    def get(self, **q):
        return self.answer(self.ask(**q))

    def close(self):
        self.process.stdin.close()
        self.take("exit")
        self.process.wait()
        self.process.stdout.close()


class Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        names = ["one.test", "two.test", "wild.one.test", "evil.test", "inside.test"]
        cls.ca, leaf, key = origin.certificates(cls.folder.name, names)
        cls.tls = origin.Origin("one", leaf, key)
        cls.plain = origin.Origin("plain")
        cls.hosts = os.path.join(cls.folder.name, "hosts")
        with open(cls.hosts, "w") as f:
            f.write("127.0.0.1 " + " ".join(names) + " plain.test\n192.0.2.1 unreachable.test\n"
                    "64:ff9b::7f00:1 nat64.test\n::ffff:127.0.0.1 mapped.test\n")
        tls, plain = cls.tls.port, cls.plain.port
        cls.setup = {
            "ca": cls.ca, "hosts": cls.hosts, "server": "127.0.0.1:9",
            "allow": [["https", "one.test", tls], ["https", "*.one.test", tls], ["https", "two.test", tls],
                      ["http", "plain.test", plain], ["http", "one.test", plain],
                      ["https", "inside.test", tls], ["https", "nat64.test", tls],
                      ["https", "mapped.test", tls], ["https", "127.0.0.1", tls],
                      ["https", "wrong.test", tls]],
            "internal": [["", "one.test", 0], ["", "two.test", 0], ["", "plain.test", 0],
                         ["", "wild.one.test", 0], ["", "evil.test", 0]],
            "secrets": [{"name": "TOKEN", "value": SECRET, "placeholder": PLACEHOLDER, "query": True,
                         "hosts": [["https", "one.test", tls]]}],
            "tcp": [{"from": "db.internal", "from_port": 5432, "to": "127.0.0.1", "to_port": plain}],
        }
        cls.egress = Egress(**cls.setup)

    @classmethod
    def tearDownClass(cls):
        cls.egress.close()
        cls.tls.stop()
        cls.plain.stop()
        cls.folder.cleanup()

    def setUp(self):
        self.tls.seen.clear()
        self.plain.seen.clear()

    def get(self, host="one.test", **q):
        q.setdefault("port", self.tls.port if q.get("https", True) else self.plain.port)
        return self.egress.get(host=host, **q)

    def two(self, **q):
        return self.get("two.test", **q)

    # ---- What works ----

    def test_short(self):
        for _ in range(3):
            a = self.two(headers=[["accept", "x/y"], ["x-empty", ""]])
            self.assertEqual((a["status"], a["body"], a["streamed"]), (200, "hello from one", False))
        self.assertEqual([v for n, v in a["headers"] if n == "x-two"], ["a", "b"])
        method, path, headers, _ = self.tls.seen[0]
        self.assertEqual((method, path), ("GET", "/"))
        self.assertEqual(sorted(n.lower() for n, _ in headers), ["accept", "host", "x-empty"])
        self.assertEqual(dict(headers)["Host"], "two.test:%d" % self.tls.port)

    def test_plain_http(self):
        a = self.get("plain.test", https=False, path="/a?b=%zz&c")
        self.assertEqual(a["body"], "hello from plain")
        self.assertEqual(self.plain.seen[0][1], "/a?b=%zz&c")

    def test_wildcard_inherits_internal_only_by_name(self):
        self.assertEqual(self.get("wild.one.test")["status"], 200)

    def test_big(self):
        n = 200 << 20
        a = self.two(path="/big/%d" % n)
        inline = len(a["body"]) - min(a["total"], 4000)
        self.assertEqual((a["status"], a["length"], a["cause"]), (200, n, 0))
        self.assertTrue(a["streamed"] and 0 <= n - a["total"] <= 16384, inline)

    def test_head(self):
        a = self.two(method="HEAD", path="/big/12345")
        self.assertEqual((a["length"], a["body"], a["end"]), (12345, "", True))

    def test_status_without_body(self):
        for status in (204, 304, 404, 503):
            self.assertEqual(self.two(path="/status/%d" % status)["status"], status)

    def test_upload_inline(self):
        a = self.two(method="POST", path="/echo", body="abc", has_body=True, has_length=True, length=3)
        self.assertIn("\n\nabc", a["body"])
        a = self.two(method="POST", path="/echo", has_body=True)
        self.assertIn("Content-Length: 0", a["body"])

    def test_upload_streamed(self):
        for known in (True, False):
            self.tls.seen.clear()
            block, count = "0123456789abcdef" * 1024, 200
            n = 3 + len(block) * count
            id = self.egress.ask(host="two.test", port=self.tls.port, method="PUT", path="/plain", body="abc",
                                 has_body=True, end=False, has_length=known, length=n if known else 0)
            self.egress.take("stream", id=id)
            self.egress.say(op="feed", id=id, count=count, text=block)
            self.egress.say(op="end", id=id, length=n - 3)
            self.assertEqual(self.egress.answer(id)["status"], 200)
            body = self.tls.seen[0][3]
            self.assertEqual(binascii.crc32(body), binascii.crc32(b"abc" + block.encode() * count))

    def test_upload_that_breaks_off(self):
        id = self.egress.ask(host="two.test", port=self.tls.port, method="PUT", path="/plain", has_body=True,
                             end=False)
        self.egress.take("stream", id=id)
        self.egress.say(op="feed", id=id, count=1, text="abcdef")
        self.egress.say(op="end", id=id, length=3)
        a = self.egress.answer(id)
        self.assertEqual((a["event"], a["cause"]), ("refused", BAD))
        self.assertEqual(self.tls.seen, [])

    def test_redirect_is_the_guests(self):
        a = self.two(path="/redirect")
        self.assertEqual((a["status"], a["fields"]["location"]), (302, "http://127.0.0.1/secret"))
        self.two()
        self.assertNotIn("Cookie", dict(self.tls.seen[-1][2]))

    def test_websocket(self):
        id = self.egress.ask(host="two.test", port=self.tls.port, path="/socket", upgrade=True,
                             headers=[["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
                                      ["sec-websocket-version", "13"]])
        a = self.egress.take("answer", "refused", id=id)
        self.assertEqual(a["status"], 101, a)
        self.egress.say(op="feed", id=id, count=3, text="hello ")
        self.egress.say(op="feed", id=id, count=1, text="bye")
        end = self.egress.take("end", id=id)
        self.assertEqual((end["text"], end["cause"]), ("HELLO HELLO HELLO BYE", 0))

    def test_mapped_tcp(self):
        self.egress.next_id += 1
        self.egress.say(op="connect", id=self.egress.next_id, host="db.internal", port=5432)
        self.assertIn("400", self.egress.take("connected")["text"])
        self.egress.next_id += 1
        self.egress.say(op="connect", id=self.egress.next_id, host="db.internal", port=22)
        self.assertEqual(self.egress.take("refused", id=self.egress.next_id)["rule"], "not-mapped")

    def test_many_at_once(self):
        ids = [self.egress.ask(host="two.test", port=self.tls.port, path="/big/100000") for _ in range(50)]
        for id in ids:
            a = self.egress.answer(id)
            self.assertEqual(a["status"], 200, a)

    # ---- What is refused, and never reaches the origin ----

    def test_refused(self):
        port = self.tls.port
        smuggled = [["transfer-encoding", "chunked"]]
        rows = [
            ("not-allowed", dict(host="evil.test")),
            ("not-allowed", dict(host="one.test", port=port + 1)),
            ("not-allowed", dict(host="one.test", https=False, port=port)),
            ("not-allowed", dict(host="x.evil.test")),
            ("not-allowed", dict(host="::1", sni="", destination="", address="::1")),
            ("internal-address", dict(host="inside.test")),
            ("internal-address", dict(host="nat64.test")),
            ("internal-address", dict(host="mapped.test")),
            ("internal-address", dict(host="127.0.0.1", sni="", destination="", address="127.0.0.1")),
            ("name-mismatch", dict(host="two.test", sni="evil.test")),
            ("name-mismatch", dict(host="two.test", sni="")),
            ("name-mismatch", dict(host="two.test", destination="evil.test")),
            ("name-mismatch", dict(host="two.test", destination="")),
            ("name-mismatch", dict(host="two.test", destination_port=1)),
            ("name-mismatch", dict(host="127.0.0.1", sni="", destination="", address="127.0.0.2")),
        ]
        rows += [("bad-host", dict(host=h)) for h in (
            "Two.test", "two.test.", "two.test\x00.evil.test", "2130706433", "0x7f.1", "0177.0.0.1", "127.1",
            "::ffff:7f00:1", "fe80::1%eth0", "two..test", "b\u00fccher.test", "two.test:443", "a@two.test", "")]
        rows += [("bad-path", dict(host="two.test", path=p)) for p in (
            "/../x", "/%2e%2e/x", "/a//b", "/..;/x", "//two.test/x", "http://two.test/", "two", "/a b",
            "/a\r\nX: y", "/%00", "/a%5c..", "*")]
        rows += [("bad-method", dict(host="two.test", method=m)) for m in (
            "CONNECT", "TRACE", "get", "G T", "GET / HTTP/1.1\r\nX: y\r\n\r\nGET")]
        rows += [("bad-request", dict(host="two.test", headers=h)) for h in (
            smuggled, [["content-length", "5"]], [["host", "evil.test"]], [["connection", "x"]],
            [["X-Upper", "a"]], [["x", "a\r\ny: b"]], [["x ", "a"]], [["x", "a\x00b"]], [["x", " a"]],
            [[":path", "/"]], [["upgrade", "websocket"]], [["te", "chunked"]], [["expect", "100-continue"]],
            [["authorization", "a"], ["authorization", "b"]], [["x", "y" * 8000]] * 6)]
        rows += [("bad-request", dict(host="two.test", body="abc", has_body=True, has_length=True, length=4)),
                 ("bad-request", dict(host="two.test", body="abc"))]
        before = self.tls.accepted
        for rule, q in rows:
            a = self.get(**q)
            self.assertEqual((a["event"], a.get("rule")), ("refused", rule), q)
            self.assertIn(a["status"], (400, 403))
            self.assertTrue(a["message"])
        self.assertEqual((self.tls.seen, self.plain.seen, self.tls.accepted), ([], [], before))

    def test_a_refusal_is_recorded(self):
        id = self.egress.ask(host="evil.test", port=self.tls.port, path="/x")
        self.egress.answer(id)
        r = self.egress.take("record", id=id)
        self.assertEqual((r["kind"], r["host"], r["path"], r["status"]), (2, "evil.test", "/x", 403))

    def test_no_lookup_without_policy(self):
        for type in (1, 28, 16):
            self.egress.next_id += 1
            self.egress.say(op="resolve", id=self.egress.next_id, host="one.test", type=type)
            self.assertEqual(self.egress.take("refused", id=self.egress.next_id)["rule"], "not-allowed")

    def test_failures(self):
        rows = [("/lengths", BROKEN), ("/fold", BROKEN)]
        for path, cause in rows:
            a = self.two(path=path)
            self.assertEqual((a["event"], a["cause"], a["status"]), ("refused", cause, 502), path)
        self.assertEqual(self.two(path="/short")["cause"], BROKEN)

    def test_cancel(self):
        id = self.egress.ask(host="two.test", port=self.tls.port, path="/never")
        self.egress.say(op="cancel", id=id)
        self.assertEqual(self.egress.answer(id)["cause"], CANCELLED)
        self.egress.say(op="cancel", id=id)
        self.assertEqual(self.two()["status"], 200)

    # ---- Secrets ----

    def auth(self, value, **q):
        return self.get(headers=[["authorization", value]], **q)

    def test_secret_goes_in_and_not_out(self):
        basic = "Basic " + base64.b64encode(("u:" + PLACEHOLDER).encode()).decode()
        for value, sent in (("Bearer " + PLACEHOLDER, "Bearer " + SECRET),
                            (basic, "Basic " + base64.b64encode(("u:" + SECRET).encode()).decode())):
            for kind in ("", "?gzip", "?deflate", "?base64", "?json", "?javascript", "?html"):
                self.tls.seen.clear()
                a = self.auth(value, path="/echo" + kind)
                self.assertEqual(a["status"], 200, a)
                self.assertEqual(dict(self.tls.seen[0][2])["authorization"], sent)
                whole = json.dumps(a)
                if kind == "?base64":
                    self.assertNotIn(SECRET.encode(), base64.b64decode(a["body"] + "===", validate=False))
                else:
                    self.assertIn(PLACEHOLDER, a["body"])
                self.assertIn(PLACEHOLDER, a["fields"]["x-reflected"])
                self.assertNotIn(SECRET, whole)
                self.assertNotIn("content-encoding", a["fields"])

    def test_secret_used_twice(self):
        basic = "Basic " + base64.b64encode(("u:" + PLACEHOLDER).encode()).decode()
        other = "Basic " + base64.b64encode(b"u:p").decode()
        for value, sent in ((basic, "Basic " + base64.b64encode(("u:" + SECRET).encode()).decode()), (other, other)):
            a = self.get(headers=[["x-key", PLACEHOLDER], ["authorization", value],
                                  ["proxy-authorization", value]], path="/echo")
            self.assertEqual(a["status"], 200)
            headers = dict(self.tls.seen[-1][2])
            self.assertEqual((headers["x-key"], headers["authorization"], headers["proxy-authorization"]),
                             (SECRET, sent, sent))

    def test_secret_across_chunks_and_in_trailers(self):
        a = self.auth("Bearer " + PLACEHOLDER, path="/drip")
        self.assertEqual(a["body"], "Bearer " + PLACEHOLDER)
        self.assertEqual(a["trailers"], [["x-trailer", "Bearer " + PLACEHOLDER]])

    def test_secret_in_query(self):
        self.assertEqual(self.get(path="/plain?t=" + PLACEHOLDER)["status"], 200)
        self.assertEqual(self.tls.seen[0][1], "/plain?t=s3cret%2Fva%2Blue%260123456789")

    def test_secret_where_it_may_not_be(self):
        head = [["x", PLACEHOLDER]]
        rows = [
            ("secret-elsewhere", dict(host="two.test", headers=head)),
            ("secret-elsewhere", dict(host="wild.one.test", headers=head)),
            ("secret-elsewhere", dict(host="one.test", https=False, headers=head)),
            ("secret-place", dict(path="/" + PLACEHOLDER)),
            ("secret-place", dict(method="POST", body="a" + PLACEHOLDER, has_body=True)),
            ("secret-websocket", dict(upgrade=True, path="/socket")),
        ]
        for rule, q in rows:
            a = self.get(**q)
            self.assertEqual((a["event"], a.get("rule")), ("refused", rule), q)
        self.assertEqual((self.tls.seen, self.plain.seen), ([], []))

    def test_secret_in_a_streamed_body(self):
        id = self.egress.ask(host="one.test", port=self.tls.port, method="POST", path="/plain", has_body=True,
                             end=False)
        self.egress.take("stream", id=id)
        self.egress.say(op="feed", id=id, count=1, text=PLACEHOLDER[:20])
        self.egress.say(op="feed", id=id, count=1, text=PLACEHOLDER[20:])
        self.egress.say(op="end", id=id, length=len(PLACEHOLDER))
        self.assertEqual(self.egress.answer(id)["rule"], "secret-place")
        self.assertEqual(self.tls.seen, [])

    def test_secret_halves_stay_halves(self):
        a = self.get(headers=[["x", PLACEHOLDER[:20]], ["y", PLACEHOLDER[20:]]], path="/echo")
        self.assertNotIn(SECRET[:8], json.dumps(self.tls.seen[0][2]))
        self.assertEqual(a["status"], 200)

    def test_unreadable_encoding(self):
        self.assertEqual(self.get(path="/echo?zstd")["rule"], "unreadable-answer")

    def test_bomb(self):
        a = self.get(path="/bomb")
        self.assertEqual((a["status"], a["cause"]), (200, 0))
        self.assertGreaterEqual(a["total"], (256 << 20) - 16384)
        with open("/proc/%d/status" % self.egress.pid) as f:
            resident = [line for line in f if line.startswith("VmHWM")][0]
        self.assertLess(int(resident.split()[1]), 64 << 10, resident)

    # ---- The wall ----

    def test_wall(self):
        with open("/proc/%d/status" % self.egress.pid) as f:
            status = dict(line.strip("\n").split(":\t", 1) for line in f if line.strip("\n").count(":\t"))
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
        self.assertEqual(int(status["CapEff"], 16) | int(status["CapBnd"], 16), 0)


class Other(unittest.TestCase):
    """Egresses of their own."""

    setUpClass = classmethod(lambda cls: Test.setUpClass.__func__(cls))
    tearDownClass = classmethod(lambda cls: Test.tearDownClass.__func__(cls))

    def started(self, **changes):
        e = Egress(**dict(self.setup, **changes))
        self.addCleanup(e.close)
        return e

    def test_budget(self):
        e = self.started(requests=5)
        answers = [e.get(host="two.test", port=self.tls.port) for _ in range(20)]
        refused = [a for a in answers if a["event"] == "refused"]
        self.assertTrue(refused)
        self.assertEqual({(a["status"], a["cause"], a["rule"]) for a in refused}, {(429, BUDGET, "budget")})

    def test_budget_of_mapped_connections(self):
        e = self.started(requests=5)
        for k in range(20):
            e.say(op="connect", id=k + 1, host="db.internal", port=5432)
        told = [e.take("connected", "refused", id=k + 1) for k in range(20)]
        refused = [a for a in told if a["event"] == "refused"]
        self.assertLess(0, len(refused), told)
        self.assertLess(len(refused), 20)
        self.assertEqual({(a["cause"], a["rule"]) for a in refused}, {(BUDGET, "budget")})

    def test_host_budget_of_bytes(self):
        e = self.started(host_bytes_in=1 << 20)
        a = e.get(host="two.test", port=self.tls.port, path="/big/%d" % (4 << 20))
        self.assertEqual(a["cause"], BUDGET)
        self.assertEqual(e.get(host="two.test", port=self.tls.port)["status"], 429)
        self.assertEqual(e.get(host="wild.one.test", port=self.tls.port)["status"], 200)

    def test_time_out(self):
        e = self.started(response=1000)
        a = e.get(host="two.test", port=self.tls.port, path="/never")
        self.assertEqual((a["cause"], a["status"]), (TIMEOUT, 504))

    def test_unknown_authority(self):
        e = self.started(ca="")
        a = e.get(host="two.test", port=self.tls.port)
        self.assertEqual((a["cause"], a["status"]), (TLS, 502))

    def test_wrong_name_in_certificate(self):
        with open(self.hosts) as f:
            text = f.read()
        path = os.path.join(self.folder.name, "hosts2")
        with open(path, "w") as f:
            f.write(text + "127.0.0.1 wrong.test\n")
        e = self.started(hosts=path, internal=[["", "wrong.test", 0]])
        self.assertEqual(e.get(host="wrong.test", port=self.tls.port)["cause"], TLS)

    def test_secret_within_a_secret(self):
        """Also where the longer one breaks off."""
        inner, outer = PLACEHOLDER, PLACEHOLDER[:-1] + "2"
        value = "hunter2hunter2"
        url = "postgres://app:%s@db.example/prod-key" % value
        hosts = [["https", "one.test", self.tls.port]]
        e = self.started(secrets=[{"name": n, "value": v, "placeholder": p, "hosts": hosts}
                                  for n, v, p in (("IN", value, inner), ("OUT", url, outer))])
        for head, end in (("x" + outer + "x", 1), (outer + inner, 2), (inner + "@db.example/prod-kez", 1)):
            for path in "/echo", "/echo?gzip", "/drip":
                a = e.get(host="one.test", port=self.tls.port, path=path, headers=[["authorization", head]])
                self.assertIn(head, a["body"])
                self.assertNotIn("hunter", json.dumps(a))
                self.assertNotIn("postgres", json.dumps(a))
                self.assertEqual(e.take("record", id=a["id"])["scrubbed"], end)

    def test_lookups_are_bounded(self):
        """Those of requests that went away too; one name is one question; and answers end them."""
        resolver = origin.Resolver()
        self.addCleanup(resolver.stop)
        e = self.started(server="127.0.0.1:%d" % resolver.port, allow=[["http", "*.lookup.test", 80]], dns=2)

        def ask(name):
            return e.ask(host=name + ".lookup.test", port=80, https=False)

        def look_up(name, kind):
            e.next_id += 1
            e.say(op="resolve", id=e.next_id, host=name + ".lookup.test", type=kind)
            return e.next_id
        requests, names = [ask("n0"), ask("n0")], [look_up("n0", 1), look_up("n0", 28)]
        raw = [look_up("n0", 16), look_up("n0", 16)]
        for k in range(1, 560):
            id = ask("n%d" % k)
            e.say(op="cancel", id=id)
            # Two are n0's.
            self.assertEqual(e.take("refused", id=id)["cause"] == CANCELLED, k <= 510, k)
        for id in look_up("more", 1), look_up("more", 16), ask("more"):
            a = e.take("refused", id=id)
            self.assertEqual((a["cause"], a["rule"], a["status"]), (BUDGET, "budget", 429))
            self.assertEqual(e.take("record", id=id)["status"], 429)
        requests.append(ask("n0"))
        names.append(look_up("n0", 1))
        raw.append(look_up("n0", 16))
        self.assertLessEqual(len({name for name, kind in resolver.asked}), 511)
        resolver.release()
        for id in requests:
            self.assertEqual(e.answer(id)["cause"], NO_NAME)
        for id in names:
            self.assertEqual(e.take("resolved", "refused", id=id).get("rcode"), 3)
        for id in raw:
            self.assertGreater(e.take("resolved", "refused", id=id).get("packet", 0), 0)
        self.assertEqual(e.answer(ask("more"))["cause"], NO_NAME)
        self.assertIn(("more.lookup.test", 1), resolver.asked)

    def test_no_connection(self):
        e = self.started(internal=[["", "two.test", 0]], allow=[["https", "two.test", 9]])
        a = e.get(host="two.test", port=9)
        self.assertEqual((a["cause"], a["status"]), (UNREACHED, 502))

    def test_broken_protocol(self):
        for raw in ("x", "\x12\x02\x08\x01", "\x32\x01x"):
            e = Egress(**self.setup)
            e.say(op="raw", text=raw)
            self.assertEqual(e.take("exit")["code"], 125)
            e.process.stdin.close()
            e.process.wait()
            e.process.stdout.close()


if __name__ == "__main__":
    DRIVER, EGRESS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
