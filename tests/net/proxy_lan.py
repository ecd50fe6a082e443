# SPDX-License-Identifier: Apache-2.0
"""A namespace with a TAP as the guest, netproxy and egress in their jails, nginx and a misbehaving origin as the world.

The world's names come from a hosts file that egress reads; all are at ORIGIN, which is internal, so allow-internal
names them.  What the misbehaving origin was sent is in `Lan.requests`.
"""
import os
import pathlib
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ.get("GONDOLIN_BUILD", HERE.parent.parent / "build/release")) / "bin"
ORIGIN = "10.77.0.1"
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


def wait_for(path, process):
    end = time.monotonic() + 60
    while not path.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{path.name} did not appear; exit code {process.poll()}")
        time.sleep(0.01)


NGINX = """
daemon off; master_process off; error_log {d}/error.log warn; pid {d}/nginx.pid;
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

    def __init__(self, address):
        self.requests, self.answers = [], {}
        super().__init__(address, Handler)


class Handler(socketserver.StreamRequestHandler):
    timeout = DEADLINE

    def handle(self):
        try:
            self.serve()
        except (ValueError, OSError):
            pass  # a request that was broken off

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
                body = self.rfile.read(int(lower.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0]))
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


class Lan:
    """Everything, started.  allow, internal, tcp and secret are proxy_host's options."""

    def __init__(self, *options, mtu=1500, allow=("origin.test", "*.origin.test", "http://bad.test:8080"),
                 internal=("origin.test", "*.origin.test", "bad.test")):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gondolin-net-"))
        self.directory.chmod(0o755)
        self.host, self.guest = f"gpx-h{os.getpid()}", f"gpx-g{os.getpid()}"
        self.processes, self.bad, self.records = [], None, self.directory / "records"
        try:
            self.bring_up(options, mtu, allow, internal)
        except BaseException:
            self.end()
            raise

    def bring_up(self, options, mtu, allow, internal):
        for name in (self.host, self.guest):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", self.host, "addr", "add", ORIGIN + "/32", "dev", "lo")
        self.make_files()
        self.start_origin()
        command = [BIN / "guestns", "--netns", self.guest, "--mtu", mtu, "--sockbuf", 4 << 20, "--ready",
                   self.directory / "pump", "--spawn-dgram", "ip", "netns", "exec", self.host, BIN / "proxy_host",
                   "--netproxy", BIN / "gondolin-netproxy", "--egress", BIN / "gondolin-egress", "--mtu", mtu,
                   "--ca", self.directory / "guest-ca.pem", "--ready", self.directory / "ready",
                   "--ca-bundle", self.directory / "ca.pem", "--hosts", self.directory / "hosts",
                   "--resolv-conf", self.directory / "resolv.conf"]
        for name, values in (("--allow", allow), ("--internal", internal)):
            for value in values:
                command += [name, value]
        self.start([*command, *options], self.records)
        wait_for(self.directory / "pump", self.processes[-1])
        wait_for(self.directory / "ready", self.processes[-1])
        run("ip", "netns", "exec", self.guest, "sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=0")

    def make_files(self):
        d = self.directory
        (d / "files").mkdir()
        (d / "files/put").mkdir(mode=0o777)
        (d / "files/put").chmod(0o777)
        names = ["origin.test", "other.origin.test", "bad.test", "evil.test", *(f"c{i}.origin.test" for i in range(8))]
        (d / "hosts").write_text("".join(f"{ORIGIN} {n}\n" for n in names))
        (d / "resolv.conf").write_text("nameserver 192.168.127.1\n")
        with open(d / "files/large", "wb") as f:
            for _ in range(64):
                f.write(os.urandom(1 << 20))
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            d / "ca.key", "-out", d / "ca.pem", "-subj", "/CN=test root", "-days", 2)
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            d / "origin.key", "-out", d / "origin.csr", "-subj", "/CN=origin.test")
        (d / "ext").write_text("subjectAltName=DNS:origin.test,DNS:*.origin.test\n")
        run("openssl", "x509", "-req", "-in", d / "origin.csr", "-CA", d / "ca.pem", "-CAkey", d / "ca.key",
            "-CAcreateserial", "-out", d / "origin.pem", "-days", 2, "-extfile", d / "ext")
        (d / "nginx.conf").write_text(NGINX.format(d=d, o=ORIGIN))
        (d / "origin.key").chmod(0o644)

    def start_origin(self):
        self.start(["ip", "netns", "exec", self.host, "nginx", "-c", self.directory / "nginx.conf", "-e",
                    self.directory / "error.log"], self.directory / "nginx.log")
        wait_for(self.directory / "nginx.pid", self.processes[-1])
        ready = threading.Event()

        def serve():
            """A thread may be in a namespace of its own."""
            fd = os.open(f"/run/netns/{self.host}", os.O_RDONLY)
            import ctypes
            if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            os.close(fd)
            self.bad = Misbehaving((ORIGIN, 8080))
            ready.set()
            self.bad.serve_forever(0.1)

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        if not ready.wait(30):
            raise RuntimeError("the misbehaving origin did not start")

    def start(self, command, log):
        with open(log, "w") as f:
            self.processes.append(subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=f,
                                                   stderr=f))

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
        """Until the guest's kernel took the router's advertisement and tried its address."""
        end = time.monotonic() + DEADLINE
        while True:
            routes = run("ip", "-n", self.guest, "-6", "route", "show", "default").stdout
            addresses = run("ip", "-n", self.guest, "-6", "addr", "show", "scope", "global").stdout
            if routes and "inet6" in addresses and "tentative" not in addresses:
                return
            if time.monotonic() > end:
                raise RuntimeError(f"no IPv6: {routes} {addresses}")
            time.sleep(0.1)

    def curl(self, *arguments):
        return self.inside("curl", "-sS", *arguments)

    def end(self):
        if self.bad is not None:
            self.bad.shutdown()
            self.bad.server_close()
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in (self.host, self.guest):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        log = self.records.read_text() if self.records.exists() else ""
        shutil.rmtree(self.directory)
        return log
