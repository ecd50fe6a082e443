# SPDX-License-Identifier: Apache-2.0
"""The network of real sandboxes: what the guest reaches, what it does not, secrets, and what is left of it."""
import base64
import contextlib
import hashlib
import http.server
import json
import os
import signal
import socket
import socketserver
import struct
import threading
import unittest

import harness
from harness import BASE, Case, OneSandbox, Sandbox, await_end, run, tearDownModule  # noqa: F401

SECRET = "s3cr3t-" + hashlib.sha256(os.urandom(16)).hexdigest()
DOWNLOAD = os.urandom(1 << 20) * 6
HOSTS = "origin.test plain.test other.test"


class Origin(http.server.BaseHTTPRequestHandler):
    """Remembers each request, and answers with what it was asked for."""

    protocol_version = "HTTP/1.1"
    seen = []
    begun = threading.Event()  # the header of an upload to /open is here

    def take(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.seen.append((self.headers["Host"].split(":")[0], self.command, self.path, dict(self.headers.items()), body))
        return body

    def do_GET(self):  # noqa: N802 (http.server's name)
        self.take()
        path = self.path.split("?")[0]
        body = {"/download": DOWNLOAD, "/echo": repr(self.headers.items()).encode()}.get(path, b"hello\n")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Reflected", self.headers.get("Authorization", "none"))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a budget may break it off
            self.wfile.write(body)

    def do_POST(self):  # noqa: N802
        if self.path == "/open":
            self.begun.set()
        body = hashlib.sha256(self.take()).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # of a sandbox that ended
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Banner(socketserver.BaseRequestHandler):
    """Something that speaks no HTTP."""

    def handle(self):
        self.request.sendall(b"banner of " + self.request.recv(64))


class Resolver(socketserver.BaseRequestHandler):
    """Answers every A with one address and every TXT with one text, and remembers the names."""

    ADDRESS = "198.51.100.7"
    asked = []

    def handle(self):
        query, sock = self.request
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind, question = ".".join(labels).lower(), query[at + 2], query[12:at + 5]
        self.asked.append(name)
        data = {1: socket.inet_aton(self.ADDRESS), 16: b"\x09some-text"}.get(kind)
        answer = b"" if data is None else (b"\xc0\x0c" + question[-4:] + struct.pack("!IH", 60, len(data)) + data)
        sock.sendto(query[:2] + struct.pack("!HHHHH", 0x8180, 1, data is not None, 0, 0) + question + answer,
                    self.client_address)


class Six(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6


ORIGIN = BANNER = BANNER6 = None


def setUpModule():  # noqa: N802 (unittest's name)
    global ORIGIN, BANNER, BANNER6
    harness.setUpModule()
    ORIGIN = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    BANNER = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Banner)
    BANNER6 = Six(("::1", 0), Banner)
    for server in (ORIGIN, BANNER, BANNER6):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        unittest.addModuleCleanup(server.server_close)
        unittest.addModuleCleanup(server.shutdown)
    path = os.path.join(harness.STAGE, "hosts")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"127.0.0.1 {HOSTS}\n")
    os.chmod(path, 0o644)


def network(more=""):
    """A section that allows two names, one with a secret, and knows a third."""
    port = ORIGIN.server_port
    return f'''{BASE}network {{
	allow = {{"http://origin.test:{port}", "http://plain.test:{port}"}}
	allow-internal = {{"*.test"}}
	hosts-file = "{harness.STAGE}/hosts"
	secret TOKEN {{ hosts = {{"origin.test:{port}", "other.test:{port}"}}  env = "TOKEN"  http = true }}
	tcp "db.test:5432" {{ to = "127.0.0.1:{BANNER.server_address[1]}" }}
	tcp "db6.test:5432" {{ to = "[::1]:{BANNER6.server_address[1]}" }}
	{more}
}}
'''


def environment(**more):
    return harness.environment(TOKEN=SECRET, **more)


def requests_of(name):
    return [seen for seen in Origin.seen if seen[0] == name]


class Reach(OneSandbox):
    @classmethod
    def setUpClass(cls):
        cls.log = os.path.join(harness.STAGE, "home", "network.jsonl")
        cls.box = Sandbox(network() + f'audit = "{cls.log}"\n', env=environment()).up()
        cls.port = ORIGIN.server_port

    def setUp(self):
        Origin.seen.clear()

    def sh(self, script, **how):
        return self.box.exec("sh", "-c", script, **how)

    def wget(self, url, flags=""):
        return self.sh(f"wget -q {flags} -O - {url}")

    def raw(self, address, request, port=None):
        """The whole answer to bytes on a connection."""
        return self.sh(f"nc {address} {port or self.port}", input=request).out

    def get(self, host, path="/", **headers):
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{self.port}", "Connection: close",
                 *(f"{name}: {value}" for name, value in headers.items())]
        return self.raw(host, ("\r\n".join(lines) + "\r\n\r\n").encode()).decode()

    def events(self, event):
        with open(self.log, encoding="utf-8") as f:
            return [line for line in map(json.loads, f) if line["event"] == event]

    def addresses(self, name):
        r = self.sh(f"nslookup {name}")
        return [line.split()[-1] for line in r.out.decode().splitlines()[2:] if line.startswith("Address")]

    # ---- What is allowed ----

    def test_get(self):
        r = self.wget(f"http://origin.test:{self.port}/x?a=b")
        self.assertEqual((r.code, r.out), (0, b"hello\n"), r)
        (host, method, path, headers, _), = Origin.seen
        self.assertEqual((host, method, path), ("origin.test", "GET", "/x?a=b"))
        self.assertEqual(headers["Host"], f"origin.test:{self.port}")
        line = self.events("request")[-1]
        self.assertEqual((line["host"], line["port"], line["status"], line["address"]),
                         ("origin.test", self.port, 200, "127.0.0.1"))
        self.assertEqual(line["rule"], f"http://origin.test:{self.port}")

    def test_both_families(self):
        addresses = self.addresses("plain.test")
        self.assertEqual(len(addresses), 2, addresses)
        for address in addresses:
            with self.subTest(address=address):
                answer = self.raw(address, f"GET / HTTP/1.0\r\nHost: plain.test:{self.port}\r\n\r\n".encode())
                self.assertTrue(answer.startswith(b"HTTP/1."), answer)
                self.assertTrue(answer.endswith(b"hello\n"), answer)
        self.assertEqual(len(Origin.seen), 2)

    def test_download_and_upload(self):
        r = self.sh(f"wget -q -O - http://plain.test:{self.port}/download | sha256sum")
        self.assertEqual(r.out.split()[0].decode(), hashlib.sha256(DOWNLOAD).hexdigest())
        text = base64.b64encode(DOWNLOAD)  # busybox ends a file to post at its first NUL
        r = self.sh(f"cat >/tmp/file; wget -q --post-file /tmp/file -O - http://plain.test:{self.port}/", input=text)
        self.assertEqual(r.out.decode(), hashlib.sha256(text).hexdigest(), r)

    def test_mapped_tcp(self):
        for name in ("db.test", "db6.test"):
            self.assertEqual(self.raw(name, b"guest", 5432), b"banner of guest")
            line = self.events("connect")[-1]
            self.assertEqual((line["host"], line["port"]), (name, 5432))

    # ---- What is not ----

    def test_names(self):
        for name in ("example.org", "origin.test.example.org", "data-to-carry-out.evil.example"):
            with self.subTest(name=name):
                self.assertIn(b"REFUSED", self.sh(f"nslookup {name} 2>&1").out)
        names = {line["name"] for line in self.events("dns") if line["rcode"] == 5}
        self.assertLessEqual({"example.org", "data-to-carry-out.evil.example"}, names)

    def test_addresses(self):
        """Refused at once, whatever is behind them."""
        for address, port in (("10.0.0.1", 80), ("127.0.0.2", self.port), ("169.254.169.254", 80), ("192.0.2.1", 443),
                              ("192.168.127.1", self.port), ("198.18.200.200", self.port), ("fd00::1", 80)):
            with self.subTest(address=address):
                r = self.sh(f"ip route get {address} >/dev/null 2>&1; nc -w 20 {address} {port} </dev/null")
                self.assertEqual((r.code, r.out), (1, b""), r)
        self.assertIn(("10.0.0.1", 80), {(line["address"], line["port"]) for line in self.events("connect-denied")})
        self.assertEqual(Origin.seen, [])

    def test_page(self):
        """A host that a secret names, but not `allow`: the denial says so, and nobody is asked."""
        answer = self.get("other.test")
        head, _, body = answer.partition("\r\n\r\n")
        self.assertTrue(head.startswith("HTTP/1.1 403 "), answer)
        self.assertIn("x-gondolin-denied: not-allowed", head.lower())
        self.assertIn("other.test", body)
        self.assertEqual(Origin.seen, [])
        self.assertEqual(self.events("request-denied")[-1]["host"], "other.test")

    def test_another_name_on_the_connection(self):
        address = self.addresses("plain.test")[0]
        answer = self.raw(address, f"GET / HTTP/1.1\r\nHost: origin.test:{self.port}\r\n\r\n".encode())
        self.assertIn(b" 403 ", answer.splitlines()[0])
        self.assertIn(b"x-gondolin-denied: name-mismatch", answer.lower())
        self.assertEqual(Origin.seen, [])

    def test_ambiguous_requests(self):
        host = f"Host: plain.test:{self.port}\r\n"
        for name, request in (
                ("two lengths", f"POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                ("length and chunks",
                 f"POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                ("a dot segment", f"GET /a/../b HTTP/1.1\r\n{host}\r\n"),
                ("a folded header", f"GET / HTTP/1.1\r\n{host}X: a\r\n b\r\n\r\n"),
                ("CONNECT", f"CONNECT plain.test:{self.port} HTTP/1.1\r\n{host}\r\n"),
        ):
            with self.subTest(name):
                answer = self.raw("plain.test", request.encode())
                self.assertIn(answer.split(b" ")[1][:1], (b"4", b"5"), answer)
        self.assertEqual(Origin.seen, [])

    # ---- Secrets ----

    def test_secret(self):
        placeholder = self.sh("echo $TOKEN").out.decode().strip()
        self.assertRegex(placeholder, "^GONDOLIN_SECRET_[0-9a-f]{32}$")
        answer = self.get("origin.test", "/echo", Authorization=f"Bearer {placeholder}")
        (_, _, _, headers, _), = Origin.seen
        self.assertEqual(headers.get("Authorization", headers.get("authorization")), f"Bearer {SECRET}")
        self.assertNotIn(SECRET, answer)
        self.assertIn(f"x-reflected: bearer {placeholder}".lower(), answer.lower())
        self.assertEqual(answer.count(placeholder), 2, answer)
        line = self.events("request")[-1]
        self.assertEqual((line["secrets"], line["scrubbed"]), (["TOKEN"], ["TOKEN"]))

    def test_secret_in_basic_credentials(self):
        placeholder = self.sh("echo $TOKEN").out.decode().strip()
        credentials = base64.b64encode(f"user:{placeholder}".encode()).decode()
        answer = self.get("origin.test", Authorization=f"Basic {credentials}")
        (_, _, _, headers, _), = Origin.seen
        sent = headers.get("Authorization", headers.get("authorization")).split()[1]
        self.assertEqual(base64.b64decode(sent).decode(), f"user:{SECRET}")
        self.assertNotIn(SECRET, answer)

    def test_secret_elsewhere(self):
        placeholder = self.sh("echo $TOKEN").out.decode().strip()
        for host, path, headers in (("plain.test", "/", {"Authorization": placeholder}),
                                    ("origin.test", f"/{placeholder}", {}),
                                    ("origin.test", f"/?q={placeholder}", {})):
            with self.subTest(host=host, path=path):
                answer = self.get(host, path, **headers)
                self.assertIn(" 403 ", answer.splitlines()[0])
                self.assertIn("x-gondolin-denied: secret", answer.lower())
        self.assertEqual(Origin.seen, [])

    # ---- The sandbox around it ----

    def test_interface(self):
        r = self.sh("cat /sys/class/net/eth0/mtu; ip -4 addr show eth0; cat /etc/resolv.conf")
        self.assertEqual(r.out.split()[0], b"65520")
        self.assertIn(b"192.168.127.3/24", r.out)
        self.assertIn(b"nameserver 192.168.127.1", r.out)

    def test_walls(self):
        r = run("gondolin", "audit", self.box.id, "--json")
        self.assertEqual((r.code, r.err), (0, b""), r)
        names = {p["name"] for p in json.loads(r.out)["processes"] if p["holds"]}
        self.assertEqual(names, {"guard", "qemu", "vmrunner", "netproxy", "egress"})

    def test_declared(self):
        path = harness.write_config(network())
        r = run("gondolin-supervisor", "--config", path, "--audit", "--json", env=environment())
        declared = json.loads(r.out)
        edges = {(e["a"], e["b"]) for e in declared["edges"]}
        self.assertLessEqual({("netproxy", "egress"), ("qemu", "netproxy"), ("supervisor", "egress")}, edges)
        walls = {p["name"]: p for p in declared["processes"]}
        self.assertNotIn("socket", {c["name"] for c in walls["netproxy"]["syscalls"]})
        os.unlink(path)

    def test_counters(self):
        """They follow within a moment, without being asked for."""
        before = self.counters()
        self.wget(f"http://plain.test:{self.port}/download")
        self.sh("nslookup never.example")
        deadline = harness.DEADLINE + os.times().elapsed
        while True:
            now = self.counters()
            if (now["requests"] > before["requests"] and now["denied"] > before["denied"] and
                    now["bytes_in"] >= before["bytes_in"] + len(DOWNLOAD)):
                break
            self.assertLess(os.times().elapsed, deadline, (before, now))

    def counters(self):
        rows = json.loads(run("gondolin", "list", "--json").out)
        return next(row["network"] for row in rows if row["id"] == self.box.id)

    def test_log_is_whole(self):
        self.wget(f"http://plain.test:{self.port}/")
        r = run("gondolin", "audit", "--verify-log", self.log)
        self.assertEqual(r.code, 0, r)
        with open(self.log, encoding="utf-8") as f:
            self.assertNotIn(SECRET, f.read())

    @unittest.skipIf(os.geteuid() != 0, "only root reads the memory of others")
    def test_memory(self):
        """The value is in egress, which has to know it, and nowhere else; the placeholder is in the guest."""
        placeholder = self.sh("echo $TOKEN").out.strip()
        self.assertNotIn(SECRET, self.get("origin.test", "/echo", Authorization=f"Bearer {placeholder.decode()}"))
        pids = self.box.pids()
        value = SECRET.encode()
        self.assertTrue(holds(pids["egress"], value))
        self.assertTrue(holds(pids["netproxy"], placeholder))
        self.assertTrue(holds(pids["qemu"], placeholder))
        for name in ("netproxy", "qemu", "vmrunner"):
            self.assertFalse(holds(pids[name], value), name)


def holds(pid, needle):
    """Whether the bytes are anywhere in a process's memory."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            fields = line.split()
            if "r" not in fields[1] or fields[-1] in ("[vvar]", "[vsyscall]"):
                continue
            at, end = (int(part, 16) for part in fields[0].split("-"))
            tail = b""
            while at < end:
                with contextlib.suppress(OSError):
                    mem.seek(at)
                    piece = mem.read(min(end - at, 1 << 22))
                    if needle in tail + piece:
                        return True
                    tail = piece[-len(needle):]
                at += 1 << 22
    return False


class Ends(Case):
    """SIGKILL of either helper ends the sandbox with one line that names it."""

    def kill(self, name):
        box = Sandbox(network(), env=environment()).up()
        pids = box.pids()
        client = harness.popen(["gondolin", "exec", "--session", box.id, "--", "sh", "-c", "echo up; exec sleep 1000"])
        self.assertEqual(client.stdout.readline(), b"up\n")
        os.kill(pids[name], signal.SIGKILL)
        self.assertEqual(box.wait(), 125)
        await_end(pids.values())
        client.communicate(timeout=harness.DEADLINE)
        self.assertEqual(client.returncode, 125)
        said = box.said()
        box.end()
        self.assert_one_line(said, f"{name} was killed by signal 9")

    def test_netproxy(self):
        self.kill("netproxy")

    def test_egress(self):
        self.kill("egress")

    def test_qemu(self):
        self.kill("qemu")

    def test_request_that_is_open_is_recorded(self):
        log = os.path.join(harness.STAGE, "home", "open.jsonl")
        name = f"plain.test:{ORIGIN.server_port}"
        with Sandbox(network() + f'audit = "{log}"\n', env=environment()) as box:
            request = f"POST /open HTTP/1.1\\r\\nHost: {name}\\r\\nContent-Length: 5\\r\\n\\r\\n"
            client = harness.popen(["gondolin", "exec", "--session", box.id, "--", "sh", "-c",
                                    f"(printf '{request}'; cat) | nc {name.replace(':', ' ')}"])
            self.assertTrue(Origin.begun.wait(harness.DEADLINE))
        client.communicate(timeout=harness.DEADLINE)
        with open(log, encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
        self.assertIn(("request-failed", "plain.test", "/open"),
                      {(r["event"], r.get("host"), r.get("path")) for r in records})
        self.assertEqual(records[-1]["event"], "sandbox-end")

    def test_supervisor(self):
        box = Sandbox(network(), env=environment()).up()
        pids = box.pids()
        os.kill(pids["supervisor"], signal.SIGKILL)
        self.assertEqual(box.wait(), -signal.SIGKILL)
        await_end(pids.values())
        said = box.said()
        box.end()
        self.assert_one_line(said, "supervisor")


class Names(Case):
    """dns = trusted and open, with a resolver that remembers what it was asked."""

    def sandbox(self, dns, allow):
        Resolver.asked.clear()
        server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Resolver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        resolver = os.path.join(harness.STAGE, "home", "no-hosts")
        with open(resolver, "w", encoding="ascii"):
            pass
        os.chmod(resolver, 0o644)
        return Sandbox(BASE + f'''network {{
	allow = {{{allow}}}
	allow-internal = {{"*.example"}}
	hosts-file = "{resolver}"
	dns = {dns}
	{f'dns-trusted-server = {{"127.0.0.1:{server.server_address[1]}"}}' if dns == "trusted" else ""}
}}
''').up()

    def test_trusted(self):
        with self.sandbox("trusted", '"a.example", "*.b.example"') as box:
            for name in ("a.example", "deep.in.b.example"):
                self.assertIn(Resolver.ADDRESS.encode(), box.exec("nslookup", name).out)
            for name in ("b.example", "secrets-go-here.evil.example"):
                self.assertIn(b"REFUSED", box.exec("sh", "-c", f"nslookup {name} 2>&1").out)
            self.assertEqual(set(Resolver.asked), {"a.example", "deep.in.b.example"})
            box.exec("nslookup", "-type=txt", "a.example")
            self.assertEqual(set(Resolver.asked), {"a.example", "deep.in.b.example"})

    def test_open_is_said_loudly(self):
        with self.sandbox("open", "") as box:
            self.assertIn("dns = open", box.said())


class Budget(Case):
    def test_bytes(self):
        """What is used up breaks off, and is refused from then on."""
        Origin.seen.clear()
        log = os.path.join(harness.STAGE, "home", "budget.jsonl")
        url = f"http://plain.test:{ORIGIN.server_port}"
        config = network('budget { bytes-in = "64K" }') + f'audit = "{log}"\n'
        with Sandbox(config, env=environment()) as box:
            box.up()
            r = box.exec("sh", "-c", f"wget -q -O - {url}/download | wc -c")
            self.assertLess(int(r.out), len(DOWNLOAD), r)
            r = box.exec("nc", "plain.test", str(ORIGIN.server_port),
                         input=f"GET /later HTTP/1.1\r\nHost: {url[7:]}\r\nConnection: close\r\n\r\n".encode())
            self.assertTrue(r.out.startswith(b"HTTP/1.1 429 "), r)
            self.assertIn(b"x-gondolin-denied: budget", r.out.lower())
        self.assertEqual([seen[2] for seen in Origin.seen], ["/download"])
        with open(log, encoding="utf-8") as f:
            self.assertIn("budget-denied", {json.loads(line)["event"] for line in f})


class Without(Case):
    def test_no_network_section(self):
        with Sandbox() as box:
            self.assertEqual(box.up().exec("ls", "/sys/class/net").out.split(), [b"lo"])
            self.assertNotIn("netproxy", box.pids())

    def test_empty_section(self):
        """A LAN and nobody on it."""
        with Sandbox(BASE + "network { }\n") as box:
            r = box.up().exec("sh", "-c", "nslookup localhost.example 2>&1; nc -w 20 192.0.2.1 443 </dev/null")
            self.assertEqual(r.code, 1)
            self.assertIn(b"REFUSED", r.out)

    def refuse(self, text, *words, env=None):
        r = run("gondolin-supervisor", "--config", harness.write_config(text), env=env)
        self.assertEqual(r.code, 125, r)
        self.assert_one_line(r.err, *words)
        self.assertNotIn(b"hunter", r.err)

    def test_secrets_that_are_none(self):
        secret = BASE + 'network { secret T { hosts = {"a.example"}  %s } }\n'
        path = os.path.join(harness.STAGE, "home", "secret")
        with open(path, "w", encoding="ascii") as f:
            f.write("hunter2 two\nhunter2 lines\n")
        os.chmod(path, 0o644)
        self.refuse(secret % 'env = "T"', ":3", '"T"', "is not set")
        self.refuse(secret % 'env = "T"', ":3", "8 to 8192", env=harness.environment(T="hunter2"))
        self.refuse(secret % 'env = "T"', ":3", "control character", env=harness.environment(T="hunter2\thunter2"))
        self.refuse(secret % f'file = "{path}"', ":3", "control character")
        self.refuse(secret % 'file = "/no/such/file"', ":3", "/no/such/file", "No such file")

    def test_check_knows_hosts_that_no_request_can_name(self):
        path = harness.write_config(BASE + 'network {\nallow = {"host.10"} }\n')
        r = run("gondolin-supervisor", "--config", path, "--check")
        self.assertEqual(r.code, 125, r)
        self.assert_one_line(r.err, ":4", "host.10")

    def test_files_that_are_not_there(self):
        for key in ("ca-bundle", "hosts-file"):
            self.refuse(BASE + 'network {\n%s = "/no/such/file" }\n' % key, ":4", key, "/no/such/file")
        self.refuse(BASE + 'network {\nca-bundle = "/etc/passwd" }\n', ":4", "ca-bundle", "/etc/passwd", "no certificate")


class Flags(Case):
    """The network by the command line, on top of a configuration."""

    def test_exec(self):
        Origin.seen.clear()
        port = ORIGIN.server_port
        path = harness.write_config(f'image = "mini"\nnetwork {{ hosts-file = "{harness.STAGE}/hosts" }}\n')
        r = run("gondolin", "exec", "--config", path, "--allow-host", f"http://origin.test:{port}",
                "--allow-internal", "origin.test", "--host-secret", f"OTHER@origin.test:{port}={SECRET}",
                "--mount-memfs", "/scratch", "--tcp-map", f"db.test=127.0.0.1:{BANNER.server_address[1]}", "--", "sh", "-c",
                f"wget -q -O /scratch/x http://origin.test:{port}/; cat /scratch/x; echo $OTHER; "
                f"echo mapped | nc db.test {BANNER.server_address[1]}")
        lines = r.out.decode().splitlines()
        self.assertEqual((r.code, lines[0], lines[2]), (0, "hello", "banner of mapped"), r)
        self.assertRegex(lines[1], "^GONDOLIN_SECRET_[0-9a-f]{32}$")
        self.assertEqual(len(Origin.seen), 1)


class Policy(Case):
    """`gondolin policy check`: the same judge, and nothing is started."""

    CONFIG = '''image = "no-such-image"
network {
	allow = {"api.example.org", "*.example.net", "https://mirror.example.com:8443",
		 "10.1.2.3"}
	allow-internal = {"git.example.net"}
	secret T { hosts = {"api.example.org"}  env = "NOT_SET" }
	tcp "db.example:5432" { to = "127.0.0.1:5432" }
	websockets = false
}
'''

    def check(self, *urls, flags=()):
        path = harness.write_config(self.CONFIG)
        r = run("gondolin", "policy", "check", "--config", path, "--json", *flags, *urls)
        self.assertEqual(r.err, b"", r)
        rows = json.loads(r.out)
        self.assertEqual(r.code, 0 if all(row["allowed"] for row in rows) else 1)
        return rows

    def test_allowed(self):
        for url, line in (("https://api.example.org/v1?x=1", 3), ("http://api.example.org", 3), ("API.example.org", 3),
                          ("https://a.b.example.net/", 3), ("https://mirror.example.com:8443/x", 3)):
            with self.subTest(url=url):
                row, = self.check(url)
                self.assertTrue(row["allowed"], row)
                self.assertEqual(row["allow"]["line"], line)
        row, = self.check("https://api.example.org/")
        self.assertEqual(row["secrets"], ["T"])
        row, = self.check("https://git.example.net/")
        self.assertEqual((row["allow_internal"]["pattern"], row["secrets"]), ("git.example.net", []))
        row, = self.check("tcp://db.example:5432")
        self.assertEqual((row["to"], row["to_port"]), ("127.0.0.1", 5432))

    def test_refused(self):
        for url, rule in (("https://example.net/", "not-allowed"), ("https://api.example.org:8443/", "not-allowed"),
                          ("http://mirror.example.com:8443/", "not-allowed"), ("https://evil.example/", "not-allowed"),
                          ("https://api.example.org/a/../b", "bad-path"), ("https://api.example.org/%2e%2e/", "bad-path"),
                          ("https://api.example.org./", "bad-host"), ("https://0x7f.1/", "bad-host"),
                          ("http://10.1.2.3/", "internal-address"), ("wss://api.example.org/", "no-websockets"),
                          ("tcp://db.example:5433", "not-mapped")):
            with self.subTest(url=url):
                row, = self.check(url)
                self.assertEqual((row["allowed"], row.get("rule")), (False, rule), row)

    def test_text_and_flags(self):
        r = run("gondolin", "policy", "check", "--config", harness.write_config(self.CONFIG), "https://api.example.org/",
                "https://evil.example/")
        lines = r.out.decode().splitlines()
        self.assertEqual((r.code, len(lines)), (1, 2), r)
        self.assertIn("sandbox.conf:3", lines[0])
        self.assertTrue(lines[1].startswith("refused https://evil.example/: not-allowed: "), lines)
        row, = self.check("https://evil.example/", flags=["--allow-host", "evil.example"])
        self.assertEqual((row["allowed"], "line" in row["allow"]), (True, False))
        r = run("gondolin", "policy", "check", "--allow-host", "*", "https://public.example.org/", "https://one-label/")
        self.assertEqual((r.code, [line.split()[0] for line in r.out.decode().splitlines()]), (1, ["allowed", "refused"]))

    def test_misuse(self):
        for words, said in (([], "check"), (["check"], "URL"), (["check", "ftp://a.example"], "ftp"),
                            (["check", "https://user@a.example/"], "user"), (["check", "--config", "/no/such", "x"], "/no/such")):
            with self.subTest(words=words):
                r = run("gondolin", "policy", *words)
                self.assertEqual((r.code, r.out), (2, b""), r)
                self.assert_one_line(r.err, said)


if __name__ == "__main__":
    unittest.main()
