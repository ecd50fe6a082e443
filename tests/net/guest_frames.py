# SPDX-License-Identifier: Apache-2.0
"""Frames that no kernel would send, from a packet socket on the guest's link: guest_frames.py NAME PORT SCENARIO.

TCP that has to go on has an address of its own in the LAN's IPv6 prefix, so that the guest's kernel does not answer
for it.  What the origin saw is the caller's to look at; here, a scenario ends with a handshake that works.
"""
import hashlib
import os
import socket
import struct
import sys

DEADLINE = 60
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
GUEST4 = socket.inet_aton("192.168.127.3")
GATEWAY4 = socket.inet_aton("192.168.127.1")
GUEST6 = socket.inet_pton(socket.AF_INET6, "fd67:6f6e:646f:1::77")
GATEWAY6 = socket.inet_pton(socket.AF_INET6, "fd67:6f6e:646f:1::1")
ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def filled(segment, at, source, to, protocol, spoil=0):
    """The segment with its checksum at `at`, over the pseudo-header too."""
    pseudo = source + to + struct.pack(">II" if len(source) == 16 else ">HH", *(
        (len(segment), protocol) if len(source) == 16 else (protocol, len(segment))))
    return segment[:at] + struct.pack(">H", checksum(pseudo + segment) ^ spoil) + segment[at + 2:]


def ip(source, to, protocol, payload, fragment=0, spoil=0, ttl=64):
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, ttl) + source + to + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, ttl, protocol, 0) + source + to
    return head[:10] + struct.pack(">H", checksum(head) ^ spoil) + head[12:] + payload


class Link:
    def __init__(self, name, port):
        self.interface = next(n for _, n in socket.if_nameindex() if n != "lo")
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.s.bind((self.interface, 0))
        self.s.settimeout(DEADLINE)
        self.mac = self.s.getsockname()[4]
        # The kernel's own connection finds the gateway.
        with socket.create_connection((name, port), DEADLINE):
            pass
        with open("/proc/net/arp", encoding="ascii") as f:
            line = next(line for line in f if line.startswith("192.168.127.1 "))
        self.gateway = bytes.fromhex(line.split()[3].replace(":", ""))
        self.port, self.next_port = port, 20000 + os.getpid() % 20000
        self.to4, self.to6 = (socket.inet_pton(family, socket.getaddrinfo(name, port, family)[0][4][0])
                              for family in (socket.AF_INET, socket.AF_INET6))

    def send(self, packet, to=None, kind=None):
        kind = kind or (0x86DD if packet[0] >> 4 == 6 else 0x0800)
        self.s.send((to or self.gateway) + self.mac + struct.pack(">H", kind) + packet)

    def tcp(self, port, flags, seq, ack=0, data=b"", window=65535, spoil=0, family=6):
        """A segment, not yet in a packet."""
        source, to = (GUEST6, self.to6) if family == 6 else (GUEST4, self.to4)
        segment = struct.pack(">HHIIBBHHH", port, self.port, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, window,
                              0, 0) + data
        return source, to, 6, filled(segment, 16, source, to, 6, spoil)

    def replies(self, seen=lambda packet: None):
        """Segments of the origin's address: (port, flags, seq, ack, data), either family; seen gets every packet."""
        while True:
            frame = self.s.recv(70000)
            if frame[:6] != self.mac or frame[12:14] not in (b"\x86\xdd", b"\x08\0"):
                continue
            packet = frame[14:]
            seen(packet)
            six = packet[0] >> 4 == 6
            if (packet[6] if six else packet[9]) != 6:
                continue
            if packet[8:24] != self.to6 if six else packet[12:16] != self.to4:
                continue
            body = packet[40:40 + int.from_bytes(packet[4:6], "big")] if six else \
                packet[20:int.from_bytes(packet[2:4], "big")]
            _, port, seq, ack, offset, flags = struct.unpack(">HHIIBB", body[:14])
            yield port, flags, seq, ack, body[(offset >> 4) * 4:]

    def fresh_port(self):
        self.next_port += 1
        return self.next_port

    def nothing_for(self, *ports, **how):
        """A handshake that works; no SYN-ACK for the ports came before it.  Returns the connection."""
        port = self.fresh_port()
        self.send(ip(*self.tcp(port, SYN, 1000)))
        for to, flags, seq, _, _ in self.replies(**how):
            assert to not in ports or not flags & SYN, f"port {to} was answered"
            if to == port and flags == SYN | ACK:
                self.send(ip(*self.tcp(port, ACK, 1001, seq + 1)))
                return port, 1001, seq + 1
        return None

    def close(self, port, seq):
        self.send(ip(*self.tcp(port, RST, seq)))


# ---- Scenarios


def syn_flood(link):
    """Half-open connections of one guest are bounded: old ones make room."""
    for i in range(8000):
        link.send(ip(*link.tcp(1024 + i, SYN, i)))
    port, seq, _ = link.nothing_for()
    link.close(port, seq)


def checksums(link):
    ports = [link.fresh_port() for _ in range(4)]
    link.send(ip(*link.tcp(ports[0], SYN, 1, spoil=1)))
    link.send(ip(*link.tcp(ports[1], SYN, 1, spoil=1, family=4)))
    link.send(ip(*link.tcp(ports[2], SYN, 1, family=4), spoil=1))
    link.send(ip(*link.tcp(ports[3], SYN, 1, spoil=0xFFFE)))
    port, seq, ack = link.nothing_for(*ports)
    # A request in a segment that is wrong, on a connection that is right.
    link.send(ip(*link.tcp(port, ACK | PSH, seq, ack, b"GET /checksum HTTP/1.1\r\nHost: bad.test:8080\r\n\r\n", spoil=8)))
    other, seq2, _ = link.nothing_for()
    link.close(port, seq)
    link.close(other, seq2)


def fragments(link):
    ports = [link.fresh_port() for _ in range(4)]
    source, to, protocol, segment = link.tcp(ports[0], SYN, 1, family=4)
    link.send(ip(source, to, protocol, segment[:8], fragment=0x2000))
    link.send(ip(source, to, protocol, segment[8:], fragment=1))
    source, to, protocol, segment = link.tcp(ports[1], SYN, 1, family=4)
    link.send(ip(source, to, protocol, segment, fragment=0x2000))
    for i, (offset, piece) in enumerate(((1, slice(None)), (0, slice(None)))):
        source, to, protocol, segment = link.tcp(ports[2 + i], SYN, 1)
        link.send(ip(source, to, 44, struct.pack(">BBHI", protocol, 0, offset, 7) + segment[piece]))
    for header in (0, 43, 60):  # hop-by-hop, routing, destination options
        source, to, protocol, segment = link.tcp(ports[3], SYN, 1)
        link.send(ip(source, to, header, bytes([protocol, 0]) + b"\1\4\0\0\0\0" + segment))
    port, seq, _ = link.nothing_for(*ports)
    link.close(port, seq)


def sizes(link):
    """Runts, giants, lengths that lie, and noise of each kind."""
    ports = [link.fresh_port() for _ in range(2)]
    whole = ip(*link.tcp(ports[0], SYN, 1))
    for n in (*range(1, 40), 53):
        link.send(whole[:n], kind=0x86DD)
    whole = ip(*link.tcp(ports[0], SYN, 1, family=4))
    for n in range(1, 40):
        link.send(whole[:n], kind=0x0800)
    for size in (1515, 4000, 8900):
        link.send(ip(*link.tcp(ports[1], SYN, 1, data=bytes(size))))
    for kind in (0, 60, 0x0806, 0x8100, 0x88A8, 0x88CC, 0x888E, 0xFFFF):
        for n in (1, 20, 46, 1400):
            link.send(os.urandom(n), kind=kind)
            link.send(os.urandom(n), kind=kind, to=b"\xff" * 6)
    for kind in (0x0800, 0x86DD):
        for n in (20, 40, 60, 1400):
            for _ in range(50):
                link.send(bytes([0x45 if kind == 0x0800 else 0x60]) + os.urandom(n), kind=kind)
    port, seq, _ = link.nothing_for(ports[0])
    link.close(port, seq)


def overlap(link):
    """Three accounts of the same bytes: what was first is what is judged, and what is sent."""
    port, seq, ack = link.nothing_for()
    rest = b" HTTP/1.1\r\nHost: bad.test:8080\r\nConnection: close\r\n\r\n"
    link.send(ip(*link.tcp(port, ACK, seq + 4, ack, b"/first" + rest)))
    link.send(ip(*link.tcp(port, ACK, seq + 4, ack, b"/other" + rest)))
    link.send(ip(*link.tcp(port, ACK, seq + 6, ack, b"hird" + rest)))
    link.send(ip(*link.tcp(port, ACK | PSH, seq, ack, b"GET /other" + rest)))
    got = b""
    for to, flags, at, _, data in link.replies():
        if to == port and at == (ack + len(got)) & 0xFFFFFFFF:
            got += data
        if to == port and (flags & (FIN | RST) or b"\r\n\r\n" in got):
            break
    link.close(port, seq + 4 + 6 + len(rest))
    print(got.split(b"\r\n")[0].decode())


def window(link):
    """A window that closes, shrinks behind what is on its way, and opens again: no byte is lost."""
    port, seq, ack = link.nothing_for()
    request = b"GET /pattern HTTP/1.1\r\nHost: bad.test:8080\r\nConnection: close\r\n\r\n"
    link.send(ip(*link.tcp(port, ACK | PSH, seq, ack, request)))
    seq += len(request)
    first, body, turns = ack, b"", 0
    for to, flags, at, _, data in link.replies():
        if to != port:
            continue
        assert not flags & RST, "reset"
        if data and at == (first + len(body)) & 0xFFFFFFFF:
            body += data
            turns += 1
        new = first + len(body) + (1 if flags & FIN and at + len(data) == first + len(body) else 0)
        # Now and then nothing, a little, or all: each is less than what the last one promised.
        size = (65535, 20000, 0, 1, 3000)[turns % 5] if turns % 40 < 5 else 65535
        link.send(ip(*link.tcp(port, ACK, seq, new, window=size)))
        if size < 65535:
            link.send(ip(*link.tcp(port, ACK, seq, new, window=65535)))
        if new != first + len(body):
            break
    link.close(port, seq)
    print(hashlib.sha256(body.partition(b"\r\n\r\n")[2]).hexdigest())


def martians(link):
    """Where nothing can be: a reset and "unreachable" at once; a group or a broadcast is never answered."""
    pack = socket.inet_pton
    answered = [pack(socket.AF_INET, a) for a in ("127.0.0.1", "127.1.2.3", "0.1.2.3", "240.0.0.1", "192.168.127.9",
                                                  "192.168.127.200")]
    answered += [pack(socket.AF_INET6, a) for a in ("::ffff:10.77.0.1", "64:ff9b::a4d:1", "::10.77.0.1", "fec0::1",
                                                    "fe80::9", "fd67:6f6e:646f:1::9")]
    silent = [pack(socket.AF_INET, a) for a in ("0.0.0.0", "255.255.255.255", "192.168.127.255", "192.168.127.0",
                                                "224.0.0.1", "239.1.2.3", "192.168.127.3")]
    silent += [pack(socket.AF_INET6, a) for a in ("::", "::1", "ff02::1", "ff0e::1", "fd67:6f6e:646f:1::77")]
    rows = [(to, link.fresh_port(), to in answered) for to in answered + silent]
    for to, port, _ in rows:
        source = GUEST6 if len(to) == 16 else GUEST4
        syn = struct.pack(">HHIIBBHHH", port, 8080, 1, 0, 0x50, SYN, 65535, 0, 0)
        link.send(ip(source, to, 6, filled(syn, 16, source, to, 6)))
        datagram = struct.pack(">HHHH", port, 443, 9, 0) + b"x"
        link.send(ip(source, to, 17, filled(datagram, 6, source, to, 17)))
    resets, unreachable = set(), set()
    last, seq, _ = link.nothing_for(seen=lambda packet: note_refusal(packet, resets, unreachable))
    assert resets == {port for _, port, answer in rows if answer}, sorted(resets)
    assert unreachable == {port for _, port, answer in rows if answer}, sorted(unreachable)
    link.close(last, seq)


def note_refusal(packet, resets, unreachable):
    """The guest's port of a reset, or of the datagram that an ICMP message quotes."""
    six = packet[0] >> 4 == 6
    kind, body = (packet[6], packet[40:]) if six else (packet[9], packet[20:])
    if kind == 6 and body[13] & RST:
        resets.add(struct.unpack(">H", body[2:4])[0])
    elif kind in (1, 58) and body[0] == (1 if six else 3):
        quoted = body[8:]
        if (quoted[6] if six else quoted[9]) == 17:
            unreachable.add(struct.unpack(">H", quoted[40:42] if six else quoted[20:22])[0])


def arp_forgeries(link):
    zero, broadcast = bytes(6), b"\xff" * 6
    evil = b"\x02\0\0\0\0\x66"
    for operation in (0, 1, 2, 3, 8):
        for sender_mac, sender, target in ((link.mac, GATEWAY4, GATEWAY4), (evil, GUEST4, GATEWAY4),
                                           (link.mac, GATEWAY4, GUEST4), (link.gateway, GATEWAY4, GUEST4),
                                           (evil, socket.inet_aton("192.168.127.9"), GATEWAY4)):
            for to in (broadcast, link.gateway):
                link.send(struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + sender_mac + sender + zero + target,
                          to=to, kind=0x0806)
    link.send(struct.pack(">HHBBH", 1, 0x0800, 255, 255, 1) + bytes(20), kind=0x0806)
    port, seq, _ = link.nothing_for()
    link.close(port, seq)


def dhcp_forgeries(link):
    def message(kind, options, op=2, source=GATEWAY4, ports=(67, 68), hlen=6):
        body = struct.pack(">BBBBIHH", op, 1, hlen, 0, 7, 0, 0x8000) + bytes(4) + GUEST4 + GATEWAY4 + bytes(4) + \
            link.mac + bytes(10 + 192) + b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + options
        segment = struct.pack(">HHHH", *ports, 8 + len(body), 0) + body
        to = b"\xff" * 4
        return ip(source, to, 17, filled(segment, 6, source, to, 17))
    for kind in range(0, 9):
        for options in (b"\xff", b"", b"\x06\xff", b"\x03\x04" + GUEST4 + b"\xff", b"\x36\x04" + GUEST4 + b"\xff",
                        b"\x33\x00\xff", b"\x52" + b"\xff" + bytes(255)):
            link.send(message(kind, options), to=b"\xff" * 6)
            link.send(message(kind, options, op=1, ports=(68, 67), source=bytes(4), hlen=16), to=b"\xff" * 6)
            link.send(message(kind, options, op=1, ports=(68, 67), source=GATEWAY4), to=b"\xff" * 6)
    port, seq, _ = link.nothing_for()
    link.close(port, seq)


def router_forgeries(link):
    local = socket.inet_pton(socket.AF_INET6, "fe80::66")
    prefix = struct.pack(">BBBBIII", 3, 4, 64, 0xC0, 0xFFFFFFFF, 0xFFFFFFFF, 0) + \
        socket.inet_pton(socket.AF_INET6, "2001:db8:66::")
    mac = b"\2\1" + link.mac
    bodies = (struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 9000, 0, 0) + prefix,  # router advertisement
              struct.pack(">BBHBBHII", 134, 0, 0, 64, 0xC0, 0, 0, 0),  # one that ends the router
              struct.pack(">BBHI", 136, 0, 0, 0xE0000000) + GATEWAY6 + mac,  # the gateway's neighbour advertisement
              struct.pack(">BBHI", 137, 0, 0, 0) + GUEST6 + link.to6 + mac,  # redirect
              struct.pack(">BBHI", 133, 0, 0, 0) + b"\1\0" + bytes(6),  # an option of no length
              struct.pack(">BBHI", 135, 0, 0, 0) + GATEWAY6 + b"\1\xff" + bytes(6),  # one past the end
              struct.pack(">BBHI", 135, 0, 0, 0) + GATEWAY6[:7])
    for body in bodies:
        for source in (local, GUEST6, GATEWAY6, bytes(16)):
            for to, ttl in ((ALL_NODES, 255), (GATEWAY6, 255), (GATEWAY6, 64)):
                link.send(ip(source, to, 58, filled(body, 2, source, to, 58), ttl=ttl))
    port, seq, _ = link.nothing_for()
    link.close(port, seq)


if __name__ == "__main__":
    globals()[sys.argv[3]](Link(sys.argv[1], int(sys.argv[2])))
