#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory, descriptors and processes of netproxy and egress: idle, with many open flows, and after many short ones.

    flows.py [--open 1000] [--short 10000] [--rounds 5] [--build DIR]

Prints a table.  Exit code 1 where something was left behind: a descriptor, a process, or memory that each round took
once more.  (An allocator keeps pages of a peak, now more, now fewer: what leaks grows every time.)
"""
import argparse
import os
import re
import subprocess
import sys

ARGUMENTS = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ARGUMENTS.add_argument("--open", type=int, default=1000)
ARGUMENTS.add_argument("--short", type=int, default=10000)
ARGUMENTS.add_argument("--rounds", type=int, default=5)
ARGUMENTS.add_argument("--build", help="a build's folder")
OPTIONS = ARGUMENTS.parse_args()
if OPTIONS.build:
    os.environ["GONDOLIN_BUILD"] = OPTIONS.build
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from proxy_lan import Lan, missing  # noqa: E402

POOL = 64  # connections to the world that egress keeps for a next request
GROWTH_MIB = 0.5  # 40 bytes of each connection of a round

# Opens N https connections, asks once on each, says so, and keeps them until a line comes.
OPEN = """
import socket, ssl, sys
c = ssl.create_default_context()
a = socket.getaddrinfo("origin.test", 443, socket.AF_INET, socket.SOCK_STREAM)[0][4]
kept = []
for i in range(int(sys.argv[1])):
    s = c.wrap_socket(socket.create_connection(a, 120), server_hostname="origin.test")
    s.sendall(b"GET /small HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n")
    kept.append(s)
for s in kept:
    data = b""
    while b"hello" not in data:
        data += s.recv(4096)
print("open", flush=True)
sys.stdin.readline()
"""

# N connections, so many at once, one in ten with TLS; a request on each, which also ends it.
SHORT = """
import asyncio, socket, ssl, sys
total, at_once = int(sys.argv[1]), int(sys.argv[2])
c = ssl.create_default_context()
a = socket.getaddrinfo("origin.test", 443, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
async def one(i, limit):
    async with limit:
        tls = {"port": 443, "ssl": c, "server_hostname": "origin.test"} if i % 10 == 0 else {"port": 80}
        r, w = await asyncio.open_connection(a, **tls)
        w.write(b"GET /small HTTP/1.1\\r\\nHost: origin.test\\r\\nConnection: close\\r\\n\\r\\n")
        data = await r.read()
        w.close()
        return data.endswith(b"hello\\n")
async def main():
    limit = asyncio.Semaphore(at_once)
    done = await asyncio.gather(*(one(i, limit) for i in range(total)))
    print(sum(done))
asyncio.run(main())
"""


def helpers(lan):
    """Pids of netproxy and egress, and how many processes the pump started in all."""
    found, todo, n = {}, [lan.processes[-1].pid], 0
    while todo:
        pid = todo.pop()
        n += 1
        with open(f"/proc/{pid}/comm") as f:
            name = f.read().strip()
        if name.startswith("gondolin-"):
            found["netproxy" if "netpro" in name else "egress"] = pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            todo += [int(p) for p in f.read().split()]
    return found, n


def private_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(x) for x in re.findall(r"Private_\w+:\s+(\d+)", f.read())) / 1024


class Figures:
    def __init__(self, lan, what):
        pids, self.processes = helpers(lan)
        self.memory = {name: private_mib(pid) for name, pid in pids.items()}
        self.fds = {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}
        self.total = sum(self.memory.values())
        print(f"| {what} | {self.memory['netproxy']:.2f} | {self.memory['egress']:.2f} | {self.total:.2f} | "
              f"{self.fds['netproxy']} | {self.fds['egress']} | {self.processes} |", flush=True)


def settle(lan):
    """Frames and messages are taken in their order: one more answer, and all that came before is done."""
    r = lan.curl("https://origin.test/small")
    if r.stdout != b"hello\n":
        raise RuntimeError(r.stderr.decode(errors="replace"))


def hold_open(lan, n):
    d = lan.directory
    shell = f'mount --bind {d}/resolv.conf /etc/resolv.conf && ulimit -n 8192 && exec "$@"'
    p = subprocess.Popen(["nsenter", f"--net=/run/netns/{lan.guest}", "unshare", "-m", "sh", "-c", shell, "sh",
                          sys.executable, "-c", OPEN, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         env={**os.environ, "SSL_CERT_FILE": str(d / "guest-ca.pem")}, text=True)
    if p.stdout.readline().strip() != "open":
        raise RuntimeError("the flows did not open")
    Figures(lan, f"{n} https flows open")
    p.communicate("\n", timeout=60)


def short(lan, n, at_once):
    r = lan.inside("sh", "-c", 'ulimit -n 8192; exec "$@"', "sh", sys.executable, "-c", SHORT, n, at_once, timeout=900)
    if r.stdout.strip() != str(n).encode():
        raise RuntimeError(f"{r.stdout} of {n} were answered: {r.stderr.decode()[-500:]}")


def load(lan, turn):
    hold_open(lan, OPTIONS.open)
    short(lan, OPTIONS.open, OPTIONS.open)
    short(lan, OPTIONS.short, 32)
    settle(lan)
    return Figures(lan, f"after round {turn}: those, {OPTIONS.open} at once, {OPTIONS.short} short ones")


def main():
    why = missing()
    if why is not None:
        print(why)
        return 77
    lan = Lan()
    try:
        print("| state | netproxy MiB | egress MiB | both | descriptors of netproxy | of egress | processes |")
        print("|---|---|---|---|---|---|---|")
        idle = Figures(lan, "idle")
        rounds = [load(lan, i + 1) for i in range(max(OPTIONS.rounds, 2))]
    finally:
        log = lan.end()
    if "helper ended" in log:
        print(log[-500:])
        return 1
    last = rounds[-1]
    growth = min(b.total - a.total for a, b in zip(rounds, rounds[1:]))
    print(f"least growth of a round: {growth:.2f} MiB")
    left = [what for what, bad in (
        ("descriptors of netproxy", last.fds["netproxy"] > idle.fds["netproxy"]),
        ("descriptors of egress", last.fds["egress"] > idle.fds["egress"] + POOL),
        ("processes", last.processes != idle.processes),
        ("memory", growth > GROWTH_MIB)) if bad]
    print("left behind: " + (", ".join(left) or "nothing"))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
