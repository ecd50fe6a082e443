# SPDX-License-Identifier: Apache-2.0
"""Origins on loopback that record what reaches them and answer as the path says."""
import base64
import gzip
import hashlib
import html
import http.server
import json
import os
import socket
import socket
import ssl
import subprocess
import threading
import zlib


def certificates(folder, names, alternative=True):
    """A CA and a leaf for the names: paths of ca.pem, leaf.pem, leaf.key.  Without alternative names: the first."""
    def run(*words):
        subprocess.run(("openssl",) + words, check=True, cwd=folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    run("req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=" + names[0])
    with open(os.path.join(folder, "ext"), "w") as f:
        f.write("subjectAltName=" + ",".join("DNS:" + n for n in names) if alternative else "basicConstraints=CA:FALSE")
    run("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
        "leaf.pem", "-days", "2", "-extfile", "ext")
    os.chmod(folder, 0o755)
    return [os.path.join(folder, n) for n in ("ca.pem", "leaf.pem", "leaf.key")]


class Resolver:
    """A name server that says nothing until it is released, and then that there is no such name."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked, self.waiting, self.released = [], [], False
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    @staticmethod
    def question(packet):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        return ".".join(labels).lower(), int.from_bytes(packet[at + 1:at + 3], "big"), packet[12:at + 5]

    def reply(self, packet, address):
        self.socket.sendto(packet[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + self.question(packet)[2], address)

    def serve(self):
        while True:
            packet, address = self.socket.recvfrom(4096)
            if not packet:
                return
            with self.lock:
                self.asked.append(self.question(packet)[:2])
                if self.released:
                    self.reply(packet, address)
                else:
                    self.waiting.append((packet, address))

    def release(self):
        with self.lock:
            self.released = True
            for packet, address in self.waiting:
                self.reply(packet, address)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do(self):
        body = self.body()
        self.server.seen.append((self.command, self.path, list(self.headers.items()), body))
        path = self.path.split("?")[0]
        getattr(self, "on_" + path.strip("/").split("/")[0].replace("-", "_"), self.on_plain)(body)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_OPTIONS = do

    def on_plain(self, body):
        self.answer(b"hello from " + self.server.name, headers=[("X-Two", "a"), ("X-Two", "b")])

    def on_echo(self, body):
        """All that the origin got, as its answer; the header that it names as a header too."""
        text = "\n".join("%s: %s" % h for h in self.headers.items()).encode() + b"\n\n" + body
        extra = [("X-Reflected", self.headers["Authorization"])] if "Authorization" in self.headers else []
        kind = self.path.partition("?")[2]
        if kind == "gzip":
            text, extra = gzip.compress(text), extra + [("Content-Encoding", "gzip")]
        if kind == "deflate":
            text, extra = zlib.compress(text), extra + [("Content-Encoding", "deflate")]
        if kind == "zstd":
            extra = extra + [("Content-Encoding", "zstd")]
        if kind == "json":
            text = json.dumps(text.decode("latin-1")).replace("+", "\\u002B").replace("&", "\\u0026").encode()
        if kind == "javascript":
            text = b"".join(b"\\x%02x" % c for c in text)
        if kind == "html":
            text = html.escape(text.decode("latin-1")).replace("+", "&#43;").replace("/", "&#x2F;").encode()
        if kind == "base64":
            text = base64.b64encode(text)
        self.answer(text, headers=extra)

    def on_drip(self, body):
        """The Authorization header, a byte a chunk."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for c in self.headers["Authorization"].encode():
            self.wfile.write(b"1\r\n%c\r\n" % c)
            self.wfile.flush()
        self.wfile.write(b"0\r\nX-Trailer: %s\r\n\r\n" % self.headers["Authorization"].encode())

    def on_big(self, body):
        n = int(self.path.rsplit("/", 1)[1])
        self.send_response(200)
        self.send_header("Content-Length", str(n))
        self.end_headers()
        block = bytes(range(256)) * 256
        while n > 0 and self.command != "HEAD":
            n -= self.wfile.write(block[:min(n, len(block))])

    def on_bomb(self, body):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        block = bytes(1 << 20)
        packed = b"".join(packer.compress(block) for _ in range(256)) + packer.flush()
        self.answer(packed, headers=[("Content-Encoding", "gzip")])

    def on_redirect(self, body):
        self.answer(b"", 302, [("Location", "http://127.0.0.1/secret"), ("Set-Cookie", "a=b")])

    def on_status(self, body):
        self.answer(b"", int(self.path.rsplit("/", 1)[1]))

    def on_lengths(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")
        self.close_connection = True

    def on_fold(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: a\r\n  b\r\nContent-Length: 0\r\n\r\n")
        self.close_connection = True

    def on_short(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")
        self.close_connection = True

    def on_never(self, body):
        self.server.released.wait(60)
        self.close_connection = True

    def on_socket(self, body):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key.encode()).digest()) +
                         b"\r\n\r\n")
        self.wfile.flush()
        while data := self.connection.recv(65536):
            self.connection.sendall(data.upper())
            if data.endswith(b"bye"):
                break
        self.close_connection = True


class Origin(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, name, leaf=None, key=None, address="127.0.0.1"):
        super().__init__((address, 0), Handler)
        self.name = name.encode()
        self.seen = []
        self.accepted = 0
        self.released = threading.Event()
        self.port = self.server_address[1]
        self.context = None
        if leaf:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(leaf, key)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def get_request(self):
        connection, peer = super().get_request()
        self.accepted += 1
        return connection, peer

    def finish_request(self, request, client_address):
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, *_):
        pass

    def stop(self):
        self.released.set()
        self.shutdown()
        self.server_close()


class Raw:
    """Serves each connection with a function, byte for byte; what it reads with `take` is in `read`."""

    def __init__(self, serve, address="127.0.0.1", port=0, listen=16):
        self.serve, self.read = serve, []
        self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(listen)
        self.port = self.listener.getsockname()[1]

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        try:
            while True:
                threading.Thread(target=self.run, args=(self.listener.accept()[0],), daemon=True).start()
        except OSError:
            pass  # stopped

    def run(self, connection):
        with connection:
            try:
                self.serve(self, connection)
            except OSError:
                pass  # what it was to see is in `read`

    def take(self, connection, until=b"\r\n\r\n"):
        """Reads up to `until`, None: up to the end; what came is in `read`, as one piece: others may read at once."""
        piece = bytearray()
        self.read.append(piece)
        while until is None or until not in piece:
            data = connection.recv(65536)
            if not data:
                break
            piece += data
        return piece

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
