# SPDX-License-Identifier: Apache-2.0
"""A client that sends what no real one would; runs as the guest.

Reads a JSON list of jobs from standard input and prints the list of their results.  Bytes are latin-1 text.
  {"do": "send", "host": H, "port": P, "tls": bool, "sni": NAME or null, "data": [PIECE, ...], "until": TEXT}
        what came back, "[reset]" at its end where the connection was reset, "[open]" where it stayed open
  {"do": "h2", "host": H, "port": P, "tls": bool, "sni": NAME, "streams": [{"headers": [[N, V], ...], "body": B}]}
        for each stream {"status": N or 0, "data": TEXT, "end": "end" or "reset" or "closed"}
  {"do": "dns", "packet": BYTES, "tcp": bool, "server": ADDRESS}
        the answer, or null
  {"do": "connect", "host": H, "port": P, "wait": SECONDS}
        "open" or what went wrong
"""
import json
import socket
import ssl
import struct
import sys
import threading

DEADLINE = 60
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
DIGITS = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5", "011100": "6",
          "011101": "7", "011110": "8", "011111": "9"}
STATIC = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def dial(job, alpn=None):
    s = socket.create_connection((job["host"], job["port"]), DEADLINE)
    if job.get("tls"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols([alpn])
        s = context.wrap_socket(s, server_hostname=job.get("sni", job["host"]))
    return s


def send(job):
    out = b""
    try:
        s = dial(job)
        try:
            for piece in job["data"]:
                s.sendall(piece.encode("latin-1"))
            while piece := s.recv(65536):
                out += piece
                if job.get("until") and job["until"].encode("latin-1") in out:
                    break
        finally:
            s.close()
    except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
        out += b"[reset]"
    except TimeoutError:
        out += b"[open]"
    return out.decode("latin-1")


def connect(job):
    try:
        socket.create_connection((job["host"], job["port"]), job.get("wait", DEADLINE)).close()
    except OSError as error:
        return type(error).__name__
    return "open"


# ---- HTTP/2


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(text):
    data = text.encode("latin-1")
    if len(data) < 127:
        return bytes([len(data)]) + data
    n, out = len(data) - 127, bytearray([127])
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n]) + data


def header_block(headers):
    """Literals that are never indexed (RFC 7541 6.2.2)."""
    return b"".join(b"\0" + literal(n) + literal(v) for n, v in headers)


def status_of(block):
    """The :status that begins a block; the peer has no dynamic table, so it is one of these forms."""
    while block and block[0] & 0xE0 == 0x20:
        block = block[1:]
    if block[0] in STATIC:
        return STATIC[block[0]]
    length, value = block[1] & 127, block[2:2 + (block[1] & 127)]
    if not block[1] & 128:
        return int(value)
    bits, text = "".join(f"{b:08b}" for b in value[:length]), ""
    while len(text) < 3:
        n = 5 if bits[:5] in DIGITS else 6
        text, bits = text + DIGITS[bits[:n]], bits[n:]
    return int(text)


class Frames:
    def __init__(self, s):
        self.s, self.buffer = s, b""

    def take(self, n):
        while len(self.buffer) < n:
            piece = self.s.recv(65536)
            if not piece:
                raise ConnectionResetError
            self.buffer += piece
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def next(self):
        head = self.take(9)
        return head[3], head[4], struct.unpack(">I", head[5:])[0] & 0x7FFFFFFF, self.take(int.from_bytes(head[:3], "big"))


def h2(job):
    results = [{"status": 0, "data": "", "end": "closed"} for _ in job["streams"]]
    open_streams = set(range(len(results)))
    try:
        s = dial(job, "h2")
        out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 0))
        for i, stream in enumerate(job["streams"]):
            body = stream.get("body")
            out += frame(HEADERS, END_HEADERS | (END_STREAM if body is None else 0), 2 * i + 1,
                         header_block(stream["headers"]))
            if body is not None:
                out += frame(DATA, END_STREAM, 2 * i + 1, body.encode("latin-1"))
        s.sendall(out)
        frames = Frames(s)
        while open_streams:
            kind, flags, number, payload = frames.next()
            if kind == GOAWAY:
                break
            if kind == SETTINGS and not flags & ACK:
                s.sendall(frame(SETTINGS, ACK, 0, b""))
            i = number // 2
            if number == 0 or i >= len(results):
                continue
            if kind == HEADERS and not results[i]["status"]:
                results[i]["status"] = status_of(payload)
            elif kind == DATA:
                results[i]["data"] += payload.decode("latin-1")
            if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
                results[i]["end"] = "reset" if kind == RST_STREAM else "end"
                open_streams.discard(i)
        s.close()
    except (ConnectionResetError, BrokenPipeError, ssl.SSLError, TimeoutError):
        pass
    return results


def dns(job):
    packet, to = job["packet"].encode("latin-1"), (job.get("server", "192.168.127.1"), 53)
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    try:
        if job.get("tcp"):
            with socket.create_connection(to, DEADLINE) as s:
                s.sendall(struct.pack(">H", len(packet)) + packet)
                frames = Frames(s)
                return frames.take(int.from_bytes(frames.take(2), "big")).decode("latin-1")
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(job.get("wait", DEADLINE))
            s.connect(to)
            s.send(packet)
            return s.recv(65536).decode("latin-1")
    except (socket.timeout, ConnectionError):
        return None


if __name__ == "__main__":
    jobs = json.load(sys.stdin)
    answers = [None] * len(jobs)

    def work(first):
        for at in range(first, len(jobs), 8):
            answers[at] = globals()[jobs[at]["do"]](jobs[at])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    json.dump(answers, sys.stdout)
