# SPDX-License-Identifier: Apache-2.0
"""The host's side of ipc/agent_frame.h and ipc/agent.proto, for tests; no protobuf library needed."""
import collections
import select
import socket
import struct
import time

CONTROL, STDIN, STDOUT, STDERR = range(4)
WINDOW = 256 * 1024
OUTPUT_START = 32 * 1024
PAYLOAD_MAX = 65536
DEADLINE = 120  # seconds until a wait counts as a failure; nothing that passes waits so long

HOST = {"exec": 1, "signal": 2, "resize": 3, "credit": 4, "shutdown": 5, "close": 6, "network": 7}
GUEST = {
    1: ("hello", {1: "version"}),
    2: ("started", {1: "id"}),
    3: ("exited", {1: "id", 2: "status", 3: "timed_out"}),
    4: ("refused", {1: "id", 2: "error", 3: "message"}),
    5: ("credit", {1: "id", 2: "stream", 3: "bytes"}),
}


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """One field: int as varint, bytes and str by length, a list as a repeated field."""
    if isinstance(value, (list, tuple)):
        return b"".join(field(number, v) for v in value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(kind, *fields):
    """An envelope HostToGuest; fields are (number, value)."""
    return field(HOST[kind], b"".join(field(n, v) for n, v in fields))


def frame(kind, ident, payload):
    return struct.pack("<IIB3x", len(payload), ident, kind) + payload


def parse(data):
    """A packed message as {number: value}."""
    at, out = 0, {}

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = take()
        if key & 7 == 2:
            length = take()
            out[key >> 3] = data[at : at + length]
            at += length
        else:
            out[key >> 3] = take()
    return out


class Closed(Exception):
    """The agent closed the port."""


class Peer:
    """Speaks to one agent.  Every output is collected per command; credit is given unless hold is set."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.setblocking(False)
        self.queue = collections.deque()  # what waits to be sent, in order
        self.sending = False
        self.input = bytearray()
        self.next_id = 1
        self.outputs = {}  # (id, kind) -> bytearray, or None to count only
        self.received = {}  # (id, kind) -> bytes so far
        self.ended = set()  # (id, kind)
        self.events = []  # (name, fields) of control messages, credits left out
        self.stdin_credit = {}  # id -> bytes
        self.hold = set()  # ids that get no credit
        self.sink = {}  # (id, kind) -> callable instead of collecting

    # ---- sending ----

    def send(self, data):
        """Sends everything; takes in what arrives meanwhile, as a host must, and answers after it."""
        self.queue.append(memoryview(data))
        if self.sending:
            return
        self.sending = True
        end = time.monotonic() + DEADLINE
        try:
            while self.queue:
                try:
                    self.queue[0] = self.queue[0][self.sock.send(self.queue[0]) :]
                    if not self.queue[0]:
                        self.queue.popleft()
                except BlockingIOError:
                    self.pump(end, write=True)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error
        finally:
            self.sending = False

    def control(self, kind, *fields):
        self.send(frame(CONTROL, 0, message(kind, *fields)))

    def start(self, argv, env=(), user="", cwd="", tty=None, timeout_ms=0, builtin=0):
        """Sends an Exec and returns its id."""
        ident = self.next_id
        self.next_id += 1
        self.stdin_credit[ident] = WINDOW
        fields = [(1, ident), (2, list(argv)), (3, list(env))]
        fields += [(4, user)] if user else []
        fields += [(5, cwd)] if cwd else []
        fields += [(6, 1), (7, tty[0]), (8, tty[1])] if tty else []
        fields += [(9, timeout_ms)] if timeout_ms else []
        fields += [(10, builtin)] if builtin else []
        self.control("exec", *fields)
        return ident

    def stdin(self, ident, data, end=False):
        """Sends bytes within the credit, waiting for more of it."""
        view = memoryview(data)
        while view:
            self.until(lambda: self.stdin_credit[ident] > 0 or self.finished(ident))
            if self.finished(ident):
                return
            n = min(len(view), self.stdin_credit[ident], PAYLOAD_MAX)
            self.stdin_credit[ident] -= n
            self.send(frame(STDIN, ident, bytes(view[:n])))
            view = view[n:]
        if end:
            self.send(frame(STDIN, ident, b""))

    def flood(self, ident, n):
        """Sends n zeros to stdin, whatever the credit."""
        self.stdin_credit[ident] -= n
        for _ in range(n // PAYLOAD_MAX):
            self.send(frame(STDIN, ident, bytes(PAYLOAD_MAX)))

    def credit(self, ident, kind, n):
        self.control("credit", (1, ident), (2, kind), (3, n))

    # ---- receiving ----

    def pump(self, end, write=False):
        left = end - time.monotonic()
        if left <= 0:
            raise AssertionError("nothing came in %d s; events so far: %r" % (DEADLINE, self.events[-5:]))
        readable, _, _ = select.select([self.sock], [self.sock] if write else [], [], left)
        if not readable:
            return
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionResetError as error:
            raise Closed from error
        if not data:
            raise Closed
        self.input += data
        self.take_frames()

    def take_frames(self):
        at = 0
        while len(self.input) - at >= 12:
            length, ident, kind = struct.unpack_from("<IIB", self.input, at)
            if len(self.input) - at < 12 + length:
                break
            payload = bytes(self.input[at + 12 : at + 12 + length])
            at += 12 + length
            self.on_frame(kind, ident, payload)
        del self.input[:at]

    def on_frame(self, kind, ident, payload):
        if kind != CONTROL:
            self.on_data(kind, ident, payload)
            return
        (tag, body), = parse(payload).items()
        name, names = GUEST[tag]
        fields = {"id": 0, "status": 0, "timed_out": 0}
        fields.update({names[n]: v for n, v in parse(body).items()})
        if name == "exited":
            fields["status"] = (fields["status"] >> 1) ^ -(fields["status"] & 1)
            for stream in (STDOUT, STDERR):
                self.received.setdefault((ident, stream), 0)
        if name == "credit":
            self.stdin_credit[fields["id"]] += fields["bytes"]
            if self.stdin_credit[fields["id"]] > WINDOW:
                raise AssertionError("the agent gave more credit than it had")
        else:
            self.events.append((name, fields))

    def on_data(self, kind, ident, payload):
        key = (ident, kind)
        if key in self.ended:
            raise AssertionError("data after the stream's end")
        if not payload:
            self.ended.add(key)
            return
        self.received[key] = self.received.get(key, 0) + len(payload)
        if key in self.sink:
            self.sink[key](payload)
        else:
            self.outputs.setdefault(key, bytearray()).extend(payload)
        if ident not in self.hold:
            self.credit(ident, kind, len(payload))

    def until(self, done):
        end = time.monotonic() + DEADLINE
        while not done():
            self.pump(end)

    def find(self, ident, *names):
        for name, fields in self.events:
            if fields["id"] == ident and name in names:
                return name, fields
        return None

    def finished(self, ident):
        return self.find(ident, "exited", "refused") is not None

    def wait_hello(self):
        self.until(lambda: self.events)
        return self.events[0]

    def wait_started(self, ident):
        self.until(lambda: self.find(ident, "started", "refused"))
        return self.find(ident, "started", "refused")

    def wait(self, ident):
        """The end of a command: ("exited" or "refused", its fields)."""
        self.until(lambda: self.finished(ident))
        return self.find(ident, "exited", "refused")

    def wait_output(self, ident, text, kind=STDOUT):
        self.until(lambda: text in self.out(ident, kind) or self.finished(ident))
        if text not in self.out(ident, kind):
            raise AssertionError("%r is not in %r" % (text, self.out(ident, kind)))

    def out(self, ident, kind=STDOUT):
        return bytes(self.outputs.get((ident, kind), b""))

    def run(self, argv, data=b"", **options):
        """Runs a command to its end; returns (what wait() returns, stdout, stderr)."""
        ident = self.start(argv, **options)
        if self.wait_started(ident)[0] == "started" and not options.get("tty"):
            self.stdin(ident, data, end=True)
        end = self.wait(ident)
        return end, self.out(ident), self.out(ident, STDERR)
