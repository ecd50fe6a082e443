# SPDX-License-Identifier: Apache-2.0
"""A namespace with a TAP as the guest, netproxy and egress in their jails, nginx and a misbehaving origin as the world.

The world's names come from a hosts file that egress reads; all are at ORIGIN, which is internal, so allow-internal
names them.  Other names are asked of `Lan.resolver`.  What the misbehaving origins were sent is in `Lan.bad.requests`
(http, port 8080) and `Lan.tls.requests` (https, port 8443).  With far=True there is one more, `Lan.far`, at the public
address FAR, which is routed to a namespace of its own.
"""
import json
import os
import pathlib
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

from ready import Ready, in_namespace, wait_for_ipv6

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ.get("GONDOLIN_BUILD", HERE.parent.parent / "build/release")) / "bin"
ORIGIN = "10.77.0.1"
FAR = "5.5.5.5"  # public, and neither this host's nor on its links
DEADLINE = 120
TOOLS = ("ip", "nginx", "openssl", "curl", "nsenter", "unshare")


def missing():
    """Why this machine cannot run the tests, or None."""
    if os.geteuid() != 0:
        return "needs root for namespaces and a TAP"
    absent = [t for t in TOOLS if shutil.which(t) is None]
    return f"needs {', '.join(absent)}" if absent else None


def run(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, **options)


NGINX = """
user root; daemon off; worker_processes 1; error_log {d}/error.log warn; pid {d}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log {d}/access.log; client_max_body_size 0; client_body_temp_path {d}/body;
  proxy_temp_path {d}/proxy; fastcgi_temp_path {d}/fastcgi; uwsgi_temp_path {d}/uwsgi; scgi_temp_path {d}/scgi;
  default_type application/octet-stream; sendfile on; keepalive_requests 1000000;
  server {{
    listen {o}:80; listen {o}:443 ssl http2;
    ssl_certificate {d}/origin.pem; ssl_certificate_key {d}/origin.key;
    root {d}/files;
    location = /small {{ return 200 "hello\\n"; }}
    location = /redirect {{ return 302 https://evil.test/; }}
    location = /echo-host {{ return 200 "$scheme $host $server_protocol\\n"; }}
    location /put/ {{ dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


class Misbehaving(socketserver.ThreadingTCPServer):
    """Answers with whatever `answers` has for a path, byte for byte, and keeps what it was sent."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address, context=None):
        self.requests, self.answers, self.accepted, self.broken = [], {}, 0, 0
        self.context = context
        super().__init__(address, Handler)


class Handler(socketserver.StreamRequestHandler):
    timeout = DEADLINE

    def setup(self):
        self.server.accepted += 1
        if self.server.context is not None:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass
        self.request.close()

    def handle(self):
        try:
            self.serve()
        except (ValueError, OSError):
            self.server.broken += 1  # a request that was broken off

    def serve(self):
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return
                head += line
            lower = head.lower()
            body = b""
            if b"\r\ncontent-length:" in lower:
                size = int(lower.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
                body = self.rfile.read(size)
                if len(body) < size:
                    raise ValueError("a body that breaks off")
            elif b"\r\ntransfer-encoding:" in lower:
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                while line := self.rfile.readline().strip():
                    head += line + b"\r\n"
            self.server.requests.append((head, body))
            answer = self.server.answers.get(head.split()[1].decode("latin-1"))
            if callable(answer):
                answer(self, head, body)
                return
            if answer is None:
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            self.wfile.write(answer)


class Resolver(socketserver.UDPServer):
    """Answers A questions from `names` (a list of addresses, or a function that makes one), and keeps what it was
    asked in `asked`.  Nothing lives longer than the question."""

    def __init__(self, address):
        self.names, self.asked = {}, []
        super().__init__(address, Question)


class Question(socketserver.BaseRequestHandler):
    def handle(self):
        packet, s = self.request
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        name, kind = ".".join(labels).lower(), int.from_bytes(packet[at + 1:at + 3], "big")
        self.server.asked.append((name, kind))
        known = self.server.names.get(name)
        addresses = (known() if callable(known) else known or []) if kind == 1 else []
        records = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(a) for a in addresses)
        s.sendto(packet[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, len(addresses), 0, 0) +
                 packet[12:at + 5] + records, self.client_address)


class Lan:
    """Everything, started.  allow, internal, tcp and secret are proxy_host's options."""

    def __init__(self, *options, far=False, mtu=1500, allow=("origin.test", "*.origin.test", "http://bad.test:8080"),
                 internal=("origin.test", "*.origin.test", "bad.test")):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gondolin-net-"))
        self.directory.chmod(0o755)
        self.host, self.guest, self.world = (f"gpx-{c}{os.getpid()}" for c in "hgw")
        self.processes, self.servers, self.records = [], [], self.directory / "records"
        try:
            self.bring_up(options, mtu, allow, internal, far)
        except BaseException:
            self.end()
            raise

    def bring_up(self, options, mtu, allow, internal, far):
        for name in (self.host, self.guest, *([self.world] if far else [])):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", self.host, "addr", "add", ORIGIN + "/32", "dev", "lo")
        self.make_files()
        self.start_origin()
        if far:
            self.start_far()
        pump, helpers = (Ready(self.directory / name) for name in ("pump", "helpers"))
        command = [BIN / "guestns", "--netns", self.guest, "--mtu", mtu, "--sockbuf", 4 << 20, "--ready", pump.path,
                   "--spawn-dgram", "ip", "netns", "exec", self.host, BIN / "proxy_host",
                   "--netproxy", BIN / "gondolin-netproxy", "--egress", BIN / "gondolin-egress", "--mtu", mtu,
                   "--ca", self.directory / "guest-ca.pem", "--ready", helpers.path,
                   "--ca-bundle", self.directory / "ca.pem", "--hosts", self.directory / "hosts",
                   "--resolv-conf", self.directory / "resolv.conf", "--server", ORIGIN]
        for name, values in (("--allow", allow), ("--internal", internal)):
            for value in values:
                command += [name, value]
        self.start([*command, *options], self.records)
        for up in (pump, helpers):
            up.wait(self.processes[-1])
        run("ip", "netns", "exec", self.guest, "sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=0")

    def make_files(self):
        d = self.directory
        (d / "files").mkdir()
        (d / "files/put").mkdir(mode=0o777)
        (d / "files/put").chmod(0o777)
        names = ["origin.test", "other.origin.test", "bad.test", "b.bad.test", "evil.test", *(f"c{i}.origin.test" for i in range(8))]
        (d / "hosts").write_text("".join(f"{ORIGIN} {n}\n" for n in names))
        (d / "resolv.conf").write_text("nameserver 192.168.127.1\n")
        with open(d / "files/large", "wb") as f:
            for _ in range(64):
                f.write(os.urandom(1 << 20))
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            d / "ca.key", "-out", d / "ca.pem", "-subj", "/CN=test root", "-days", 2)
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            d / "origin.key", "-out", d / "origin.csr", "-subj", "/CN=origin.test")
        (d / "ext").write_text("subjectAltName=DNS:origin.test,DNS:*.origin.test,DNS:bad.test,DNS:*.bad.test\n")
        run("openssl", "x509", "-req", "-in", d / "origin.csr", "-CA", d / "ca.pem", "-CAkey", d / "ca.key",
            "-CAcreateserial", "-out", d / "origin.pem", "-days", 2, "-extfile", d / "ext")
        (d / "nginx.conf").write_text(NGINX.format(d=d, o=ORIGIN))
        (d / "origin.key").chmod(0o644)

    def start_origin(self):
        # nginx inherits its sockets: connections may come before it is up.
        listeners = [in_namespace(self.host, lambda port=port: socket.create_server((ORIGIN, port), backlog=4096))
                     for port in (80, 443)]
        fds = [s.fileno() for s in listeners]
        self.start(["nginx", "-c", self.directory / "nginx.conf", "-e", self.directory / "error.log"],
                   self.directory / "nginx.log", pass_fds=fds,
                   env={**os.environ, "NGINX": "".join(f"{fd};" for fd in fds)})
        for listener in listeners:
            listener.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "origin.pem", self.directory / "origin.key")
        self.bad = self.serve(self.host, lambda: Misbehaving((ORIGIN, 8080)))
        self.tls = self.serve(self.host, lambda: Misbehaving((ORIGIN, 8443), context))
        self.resolver = self.serve(self.host, lambda: Resolver((ORIGIN, 53)))

    def start_far(self):
        run("ip", "-n", self.host, "link", "add", "far", "type", "veth", "peer", "name", "near", "netns", self.world)
        for name, link, address in ((self.host, "far", "10.78.0.1/30"), (self.world, "near", "10.78.0.2/30")):
            run("ip", "-n", name, "addr", "add", address, "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")
        run("ip", "-n", self.world, "addr", "add", FAR + "/32", "dev", "lo")
        run("ip", "-n", self.host, "route", "add", "default", "via", "10.78.0.2")
        self.far = self.serve(self.world, lambda: Misbehaving((FAR, 8080)))

    def serve(self, namespace, make):
        """A server of a namespace, in a thread."""
        server = in_namespace(namespace, make)
        self.servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return server

    def dial(self, port):
        """A connection to ORIGIN in the world."""
        return in_namespace(self.host, lambda: socket.create_connection((ORIGIN, port), DEADLINE))

    def start(self, command, log, **options):
        with open(log, "w") as f:
            self.processes.append(subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=f,
                                                   stderr=f, **options))

    def inside(self, *command, **options):
        """Runs a command as the guest, with the guest's resolver and CA."""
        d = self.directory
        options = {"capture_output": True, "timeout": DEADLINE, **options}
        env = {**os.environ, "SSL_CERT_FILE": str(d / "guest-ca.pem"), "CURL_CA_BUNDLE": str(d / "guest-ca.pem"),
               "NODE_EXTRA_CA_CERTS": str(d / "guest-ca.pem"), "REQUESTS_CA_BUNDLE": str(d / "guest-ca.pem"),
               "GIT_SSL_CAINFO": str(d / "guest-ca.pem")}
        shell = f"mount --bind {d}/resolv.conf /etc/resolv.conf && exec \"$@\""
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.guest}", "unshare", "-m", "sh", "-c", shell, "sh",
                               *map(str, command)], env=env, **options)

    def wait_for_ipv6(self):
        wait_for_ipv6(self.guest)

    def curl(self, *arguments):
        return self.inside("curl", "-sS", *arguments)

    def jobs(self, *jobs):
        """The results of guest_client.py's jobs, which run as the guest."""
        r = self.inside(sys.executable, HERE / "guest_client.py", input=json.dumps(jobs).encode())
        if r.returncode != 0:
            raise RuntimeError(r.stderr.decode(errors="replace"))
        return json.loads(r.stdout)

    def helper(self, name):
        """The process id of gondolin-NAME."""
        parents = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                head, tail = entry.read_text().rsplit(")", 1)
            except OSError:
                continue
            parents[int(entry.parent.name)] = (int(tail.split()[1]), head.split("(", 1)[1])
        for pid, (parent, comm) in parents.items():
            if comm != f"gondolin-{name}"[:15]:
                continue
            while parent in parents and parent != self.processes[-1].pid:
                parent = parents[parent][0]
            if parent == self.processes[-1].pid:
                return pid
        raise RuntimeError(f"no gondolin-{name}")

    def peak(self, name):
        """The most memory, in KiB, that gondolin-NAME ever had resident."""
        for line in pathlib.Path(f"/proc/{self.helper(name)}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        raise RuntimeError(f"gondolin-{name} has no memory")

    def end(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in (self.host, self.guest, self.world):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        log = self.records.read_text() if self.records.exists() else ""
        shutil.rmtree(self.directory)
        return log
