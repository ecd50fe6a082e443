# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a sandbox, a bare QEMU that differs in nothing but what is measured, and tables."""
import argparse
import contextlib
import ctypes
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORD = b"bench-is-up"  # protocol.h
FAILED = b"bench_guest: "
DEADLINE = 120  # seconds; only a hang reaches it


def arguments(purpose, **more):
    p = argparse.ArgumentParser(description=purpose)
    p.add_argument("--runs", type=int, default=5, help="repetitions of each measure (5)")
    p.add_argument("--json", action="store_true", help="for machines")
    p.add_argument("--build", default=os.path.join(TREE, "build", "release"), help="the built tree")
    for name, (kind, default, text) in more.items():
        p.add_argument("--" + name, type=kind, default=default, help=f"{text} ({default})")
    return p.parse_args()


class Place:
    """A folder for everything that runs, and the environment that leads there."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        subprocess.run([os.path.join(TREE, "tests/system/make-image"), self.build], check=True,
                       stdout=subprocess.DEVNULL)
        self.root = tempfile.mkdtemp(prefix="gondolin-bench-")
        for name in ("run", "cache"):
            os.mkdir(self.path(name), 0o700)
        self.env = {**os.environ, "GONDOLIN_IMAGE_DIR": os.path.join(self.build, "images"),
                    "GONDOLIN_RUNTIME_DIR": self.path("run"), "GONDOLIN_CACHE_DIR": self.path("cache")}
        with open(self.build + "/images/tags/mini:latest", encoding="ascii") as f:
            self.image = os.path.join(self.build, "images/objects", f.read().strip())

    def path(self, name):
        return os.path.join(self.root, name)

    def program(self, name):
        return os.path.join(self.build, "bin", name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root)


# ---- A sandbox ----

class Sandbox:
    """One that serves commands."""

    def __init__(self, place):
        self.place = place
        self.lifeline, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        config = place.path("sandbox.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write('image = "mini"\n')
        self.process = subprocess.Popen(
            [place.program("gondolin-supervisor"), "--config", config, "--lifeline", str(theirs.fileno())],
            env=place.env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.lifeline.settimeout(DEADLINE)
        words = self.lifeline.recv(8192).decode().split()
        if len(words) < 3 or words[0] != "ready":
            raise SystemExit("the sandbox did not start")
        self.id, self.directory = words[1:3]
        self.run(["true"])

    def command(self, *argv):
        return [self.place.program("gondolin"), "exec", "--session", self.id, "--", *argv]

    def run(self, argv, **how):
        return subprocess.run(self.command(*argv), env=self.place.env, check=True, **how)

    def put(self, path, target):
        subprocess.run([self.place.program("gondolin"), "cp", path, f"{self.id}:{target}"], env=self.place.env,
                       check=True)

    def session(self):
        with open(os.path.join(self.directory, "session.json"), encoding="utf-8") as f:
            return json.load(f)

    def pids(self):
        s = self.session()
        return {"supervisor": s["pid"], **{p["name"]: p["pid"] for p in s["processes"]}}

    def qemu_arguments(self):
        with open(f"/proc/{self.pids()['qemu']}/cmdline", "rb") as f:
            return f.read().decode().split("\0")[:-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lifeline.close()
        self.process.wait(DEADLINE)


# ---- A bare QEMU ----

def cpio(entries):
    """A newc archive of (name, mode, device, bytes)."""
    out = bytearray()
    for inode, (name, mode, device, data) in enumerate([*entries, ("TRAILER!!!", 0, (0, 0), b"")]):
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def cpio_files(data):
    """Name to bytes of the files of a newc archive."""
    files, at = {}, 0
    while data[at:at + 6] == b"070701":
        size, n_name = (int(data[at + i:at + i + 8], 16) for i in (54, 94))
        name = data[at + 110:at + 110 + n_name - 1].decode()
        at += 110 + n_name + (-(110 + n_name) % 4)
        files[name] = data[at:at + size]
        at += size + (-size % 4)
    return files


class Bare:
    """QEMU with the sandbox's machine, processor, memory, accelerator, kernel and kernel command line."""

    KEPT = ("-machine", "-accel", "-cpu", "-smp", "-m", "-append")

    def __init__(self, place, sandbox_arguments):
        words = sandbox_arguments
        self.qemu = shutil.which("qemu-system-x86_64")
        self.words = [self.qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                      "-kernel", os.path.join(place.image, "kernel")]
        for i, word in enumerate(words[:-1]):
            if word in self.KEPT:
                self.words += [word, words[i + 1]]
        with open(os.path.join(place.build, "bin", "bench_guest"), "rb") as f:
            init = [("dev", 0o40755, (0, 0), b""), ("dev/console", 0o20600, (5, 1), b""),
                    ("init", 0o100755, (0, 0), f.read())]
        with open(os.path.join(place.image, "initramfs.cpio"), "rb") as f:
            files = cpio_files(f.read())
        modules = [("modules", 0o40755, (0, 0), b"")]
        modules += [(n, 0o100644, (0, 0), files[n]) for n in files
                    if n.startswith("modules/") or n == "modules.list"]
        self.word_initramfs, self.port_initramfs = place.path("word.cpio"), place.path("port.cpio")
        for path, entries in ((self.word_initramfs, init), (self.port_initramfs, init + modules)):
            with open(path, "wb") as f:
                f.write(cpio(entries))

    def start(self, initramfs, more=(), fds=()):
        """Returns once the word came: the process, its console and the seconds that it took."""
        ours, theirs = socket.socketpair()
        began = time.monotonic()
        process = subprocess.Popen(
            [*self.words, "-initrd", initramfs, "-chardev", f"socket,id=console,fd={theirs.fileno()}",
             "-serial", "chardev:console", *more], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno(), *fds])
        theirs.close()
        said, got = b"", b" "
        while WORD not in said:
            if select.select([ours], [], [], DEADLINE)[0]:
                got = ours.recv(4096)
                said += got
            if not got or b"\n" in said.partition(FAILED)[2] or time.monotonic() - began > DEADLINE:
                process.kill()
                process.wait()
                raise SystemExit(f"the bare machine did not come up: {said[-500:]!r}")
        return process, ours, time.monotonic() - began

    def boot(self):
        """Seconds from QEMU's start to the word of its init."""
        process, console, seconds = self.start(self.word_initramfs)
        process.kill()
        process.wait()
        console.close()
        return seconds

    @contextlib.contextmanager
    def port(self):
        """A machine that answers on a virtio-serial port; gives the host's end."""
        ours, theirs = socket.socketpair()
        process, console, _ = self.start(
            self.port_initramfs,
            ["-device", "virtio-serial-device,id=ports,max_ports=8",
             "-chardev", f"socket,id=port,fd={theirs.fileno()}",
             "-device", "virtserialport,bus=ports.0,nr=1,chardev=port,name=bench"], [theirs.fileno()])
        theirs.close()
        try:
            yield ours.fileno()
        finally:
            process.kill()
            process.wait()
            console.close()
            ours.close()


# ---- Measures ----

class OpenWatch:
    """When a file is opened by anybody, an exec included (inotify(7))."""

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if libc.inotify_add_watch(self.fd, os.fsencode(path), 0x20) < 0:  # IN_OPEN
            raise SystemExit(f"cannot watch {path}: {os.strerror(ctypes.get_errno())}")

    def wait(self):
        """The time of the first opening after the last drain."""
        if not select.select([self.fd], [], [], DEADLINE)[0]:
            raise SystemExit("QEMU was not started")
        return time.monotonic()

    def drain(self):
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 4096):
                pass

    def close(self):
        os.close(self.fd)


def bench_host(place, *argv, fds=()):
    """Seconds of each repetition."""
    out = subprocess.run([place.program("bench_host"), *argv], env=place.env, check=True, pass_fds=fds,
                         stdout=subprocess.PIPE).stdout
    return [int(line) / 1e9 for line in out.split()]


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def median(values):
    return percentile(values, 50)


def memory(pid):
    """KiB resident and private, from smaps_rollup; None where that is not ours to read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            rows = {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}
    except OSError:
        return None
    return {"resident": rows["Rss"], "private": rows["Private_Clean"] + rows["Private_Dirty"]}


def table(title, rows):
    """Rows of words; the first word is left-aligned, the others right-aligned."""
    print(title)
    widths = [max(len(str(row[i])) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    for row in rows:
        print("  " + "  ".join(str(w).ljust(widths[i]) if i == 0 else str(w).rjust(widths[i])
                               for i, w in enumerate(row)))
    print()
    sys.stdout.flush()


def ms(seconds):
    return f"{seconds * 1000:.2f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
