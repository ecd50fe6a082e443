#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The two ends that test_stack.py puts on either side of the stack.

peers.py serve HOST READY     answers on the ports below until it is ended
peers.py PART HOST [BYTES]    one part of the client; exit code 0 where all of it was right
"""
import concurrent.futures
import hashlib
import os
import random
import selectors
import socket
import sys
import threading

SOURCE, SINK, ECHO, STALL, TURN, ASK = range(9001, 9007)
CHUNK = 1 << 20
DEADLINE = 600.0
digests, digested = {}, threading.Condition()


def pattern(size, seed=1):
    """Pieces of a stream of bytes that both ends know."""
    rng = random.Random(seed)
    while size > 0:
        piece = rng.randbytes(min(size, CHUNK))
        size -= len(piece)
        yield piece


def pattern_digest(size):
    h = hashlib.sha256()
    for piece in pattern(size):
        h.update(piece)
    return h.hexdigest().encode()


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise EOFError(f"{len(data)} of {n} bytes came")
        data += piece
    return data


def read_to_end(s):
    """The digest and the number of all bytes up to the end."""
    h, n = hashlib.sha256(), 0
    while piece := s.recv(CHUNK):
        h.update(piece)
        n += len(piece)
    return h.hexdigest().encode(), n


# ---- The server's side


def tell(name, digest):
    with digested:
        digests[name] = digest
        digested.notify_all()


def serve_source(s):
    for piece in pattern(int.from_bytes(read_exactly(s, 8), "big")):
        s.sendall(piece)


def serve_sink(s):
    digest, _ = read_to_end(s)
    s.sendall(digest)


def serve_echo(s):
    while piece := s.recv(65536):
        s.sendall(piece)


def serve_stall(s):
    """Sends until nothing moves any more, says so on the ASK port, then sends the rest."""
    size = int.from_bytes(read_exactly(s, 8), "big")
    name = read_exactly(s, 16)
    s.setblocking(False)
    writable = selectors.DefaultSelector()
    writable.register(s, selectors.EVENT_WRITE)
    stalled = False
    for piece in pattern(size):
        view = memoryview(piece)
        while view:
            if not stalled and not writable.select(2):
                tell(name, b"stalled")
                stalled = True
            writable.select()
            view = view[s.send(view):]
    s.setblocking(True)


def serve_turn(s):
    """Ends its own half first and then listens."""
    name = read_exactly(s, 16)
    s.sendall(b"over to you")
    s.shutdown(socket.SHUT_WR)
    tell(name, read_to_end(s)[0])


def serve_ask(s):
    """Answers once there is something to say."""
    name = read_exactly(s, 16)
    with digested:
        digested.wait_for(lambda: name in digests, DEADLINE)
        s.sendall(digests[name].ljust(64))


def accept_all(listener, answer):
    def run(s):
        with s:
            try:
                answer(s)
            except (OSError, EOFError):
                pass

    while True:
        s, _ = listener.accept()
        threading.Thread(target=run, args=(s,), daemon=True).start()


def echo_all(listener):
    """Many at once: one thread for all of them."""
    poll = selectors.DefaultSelector()
    poll.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            if key.fileobj is listener:
                s, _ = listener.accept()
                poll.register(s, selectors.EVENT_READ)
                continue
            try:
                piece = key.fileobj.recv(65536)
                key.fileobj.sendall(piece)
            except OSError:
                piece = b""
            if not piece:
                poll.unregister(key.fileobj)
                key.fileobj.close()


def serve(host, ready):
    answers = {SOURCE: serve_source, SINK: serve_sink, STALL: serve_stall, TURN: serve_turn, ASK: serve_ask}
    threads = []
    for port in (*answers, ECHO):
        listener = socket.create_server((host, port), backlog=4096)
        target, args = (echo_all, (listener,)) if port == ECHO else (accept_all, (listener, answers[port]))
        threads.append(threading.Thread(target=target, args=args))
        threads[-1].start()
    open(ready, "w").close()  # tells who has it open
    for t in threads:
        t.join()


# ---- The guest's side


def dial(host, port):
    return socket.create_connection((host, port), DEADLINE)


def ask(host, name):
    with dial(host, ASK) as s:
        s.sendall(name)
        return read_exactly(s, 64).strip()


def download(host, size):
    with dial(host, SOURCE) as s:
        s.sendall(size.to_bytes(8, "big"))
        assert read_to_end(s) == (pattern_digest(size), size), "the bytes differ"


def upload(host, size):
    h = hashlib.sha256()
    with dial(host, SINK) as s:
        for piece in pattern(size):
            h.update(piece)
            s.sendall(piece)
        s.shutdown(socket.SHUT_WR)
        assert read_exactly(s, 64) == h.hexdigest().encode(), "the bytes differ"


def half_close(host, size):
    name = os.urandom(16)
    with dial(host, TURN) as s:
        s.sendall(name)
        assert read_exactly(s, 11) == b"over to you" and s.recv(1) == b""
        for piece in pattern(size):
            s.sendall(piece)
        s.shutdown(socket.SHUT_WR)
        assert ask(host, name) == pattern_digest(size), "the bytes differ"


def zero_window(host, size):
    """Reads nothing until the other end stands still."""
    name = os.urandom(16)
    with dial(host, STALL) as s:
        s.sendall(size.to_bytes(8, "big") + name)
        assert ask(host, name) == b"stalled"
        assert read_to_end(s) == (pattern_digest(size), size), "the bytes differ"


def at_once(host, count):
    flows = [dial(host, ECHO) for _ in range(count)]
    for turn in range(3):
        for i, s in enumerate(flows):
            s.sendall(b"%08d.%08d" % (turn, i))
        for i, s in enumerate(flows):
            assert read_exactly(s, 17) == b"%08d.%08d" % (turn, i)
    for s in flows:
        s.close()


def short(host, count):
    def one(i):
        with dial(host, ECHO) as s:
            s.sendall(b"%08d" % i)
            return read_exactly(s, 8) == b"%08d" % i

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(count)))


def refused(host, port):
    """The relay connects after the handshake: the reset comes within connect() or after it."""
    try:
        with dial(host, port) as s:
            assert s.recv(1) == b""
    except (ConnectionRefusedError, ConnectionResetError):
        pass


PARTS = {"download": download, "upload": upload, "half_close": half_close, "zero_window": zero_window,
         "concurrent": at_once, "short": short, "refused": refused}

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3])
    else:
        PARTS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
