# SPDX-License-Identifier: Apache-2.0
"""The outside world of test_network_clients.py, on this host's loopback: nginx, and an origin that does what none should.

Their certificate is of a CA made here, for the names of NAMES.
"""
import base64
import hashlib
import http.server
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading

import harness

NAMES = ("origin.test", "odd.test", "secret.test", "other.test")
NGINX = """
{user}daemon off; worker_processes 1; error_log {d}/error.log warn; pid {d}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {d}/body; proxy_temp_path {d}/proxy;
  fastcgi_temp_path {d}/fastcgi; uwsgi_temp_path {d}/uwsgi; scgi_temp_path {d}/scgi;
  default_type application/octet-stream; types {{ text/html html; }}
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2;
    ssl_certificate {d}/origin.pem; ssl_certificate_key {d}/origin.key;
    root {d}/files; index index.html;
    location = /seen {{ return 200 "$scheme $host $server_protocol $request_method\\n"; }}
    location = /redirect {{ return 302 https://other.test:{tls}/seen; }}
    location /put/ {{ dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


def run(*command):
    subprocess.run([str(c) for c in command], check=True, capture_output=True)


def certificates(d):
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("openssl", "req", "-x509", *curve, "-keyout", d / "ca.key", "-out", d / "ca.pem", "-subj", "/CN=test root",
        "-days", 2)
    run("openssl", "req", *curve, "-keyout", d / "origin.key", "-out", d / "origin.csr", "-subj", "/CN=origin.test")
    (d / "ext").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES) + "\n")
    run("openssl", "x509", "-req", "-in", d / "origin.csr", "-CA", d / "ca.pem", "-CAkey", d / "ca.key",
        "-CAcreateserial", "-out", d / "origin.pem", "-days", 2, "-extfile", d / "ext")
    (d / "ca.pem").chmod(0o644)
    (d / "origin.key").chmod(0o644)


class Odd(http.server.BaseHTTPRequestHandler):
    """git over http, a WebSocket that answers in capitals, and answers that break."""

    protocol_version = "HTTP/1.1"
    repositories = None
    seen = []

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self):
        self.seen.append((self.command, self.path, dict(self.headers.items())))
        body = self.body()
        if self.path.startswith("/git/"):
            self.git(body)
        elif self.path == "/socket":
            self.socket()
        elif self.path == "/short":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000)
            self.close_connection = True
        elif self.path == "/trailers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\r\n"
                             b"5\r\nbody\n\r\n0\r\nx-checksum: of %d\r\n\r\n" % len(body))
        elif self.path == "/garbage":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif self.path == "/lengths":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
            self.close_connection = True
        else:
            self.reply(200, body or b"hello from the odd one\n")

    do_GET = do_POST = do_PUT = answer

    def reply(self, status, body, *fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def git(self, body):
        """RFC 3875, as git http-backend wants it."""
        path, _, query = self.path[len("/git"):].partition("?")
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.repositories), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "guest",
               "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HOME": str(self.repositories),
               "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        out = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=True).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((int(value.split()[0]) for name, value in fields if name == "Status"), 200)
        self.reply(status, rest, *(f for f in fields if f[0] != "Status"))

    def socket(self):
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
        self.send_response(101)
        for field in (("Upgrade", "websocket"), ("Connection", "Upgrade"),
                      ("Sec-WebSocket-Accept", base64.b64encode(accept.digest()).decode())):
            self.send_header(*field)
        self.end_headers()
        self.close_connection = True
        while len(head := self.rfile.read(2)) == 2:
            kind, length = head[0] & 15, head[1] & 127
            if length == 126:
                length, = struct.unpack(">H", self.rfile.read(2))
            mask, data = self.rfile.read(4), self.rfile.read(length)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
            if kind == 8:
                self.wfile.write(b"\x88" + bytes([len(data)]) + data)
                return
            size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
            self.wfile.write(bytes([0x80 | kind]) + size + data.upper())

    def log_message(self, *_):
        pass


class World:
    """Everything, started; `directory` holds what nginx serves below files/."""

    def __init__(self):
        self.directory = pathlib.Path(harness.STAGE) / "world"
        self.directory.mkdir(mode=0o755)
        certificates(self.directory)
        (self.directory / "files").mkdir()
        (self.directory / "files/put").mkdir()
        hosts = self.directory / "hosts"
        hosts.write_text("127.0.0.1 " + " ".join(NAMES) + "\n")
        listeners = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2)]
        self.plain, self.tls = (s.getsockname()[1] for s in listeners)
        (self.directory / "nginx.conf").write_text(NGINX.format(
            user="user root; " if os.geteuid() == 0 else "", d=self.directory, plain=self.plain, tls=self.tls))
        self.odd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
        self.odd.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "origin.pem", self.directory / "origin.key")
        self.odd.socket = context.wrap_socket(self.odd.socket, server_side=True, do_handshake_on_connect=False)
        self.odd_port = self.odd.server_port
        Odd.repositories = self.directory / "repositories"
        Odd.repositories.mkdir()
        threading.Thread(target=self.odd.serve_forever, daemon=True).start()
        # It inherits its sockets: connections may come before it does.
        fds = [s.fileno() for s in listeners]
        self.nginx = subprocess.Popen(
            ["nginx", "-c", self.directory / "nginx.conf", "-e", self.directory / "error.log"], pass_fds=fds,
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin", "NGINX": "".join(f"{fd};" for fd in fds)})
        for listener in listeners:
            listener.close()

    def end(self):
        self.odd.shutdown()
        self.odd.server_close()
        self.nginx.terminate()
        self.nginx.wait(harness.DEADLINE)
        shutil.rmtree(self.directory)

