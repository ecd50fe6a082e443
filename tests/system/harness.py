# SPDX-License-Identifier: Apache-2.0
"""What the system tests share: a staged copy of the suite, sandboxes, and the proof that nothing is left.

Waits are for events (a packet, an exit, end of file), with deadlines that only a hang reaches.
"""
import contextlib
import ctypes
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

BUILD = os.environ["GONDOLIN_BUILD"]
MODE = os.environ.get("GONDOLIN_MODE", "user")
DEADLINE = int(os.environ.get("GONDOLIN_DEADLINE", 300))  # seconds; a boot on a busy host takes ten
USER = 61184  # an id that no account has
STAGED = ("gondolin", "jail_hold", "jail_caller")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _stage():
    """Copies programs and image where an ordinary user reaches them: a clone may lie below a closed directory."""
    root = tempfile.mkdtemp(prefix="gondolin-test-", dir="/tmp")
    os.chmod(root, 0o755)
    shutil.copytree(os.path.join(BUILD, "bin"), os.path.join(root, "bin"),
                    ignore=lambda _, names: [n for n in names if not n.startswith(STAGED)])
    subprocess.run(["cp", "-r", "--sparse=always", os.path.join(BUILD, "images"), root], check=True)
    subprocess.run(["cp", "-r", os.path.join(BUILD, "share"), root], check=True)
    for name in ("run", "tmp", "cache", "home"):
        os.mkdir(os.path.join(root, name), 0o700)
    if MODE == "user" and os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{USER}:{USER}", root], check=True)
    return root


def _own_mounts():
    """What others on the host mount meanwhile is not ours to find: a view of mounts that only we change."""
    libc = ctypes.CDLL(None, use_errno=True)
    newns, recursive_private = 0x20000, 0x4000 | 1 << 18
    if libc.unshare(newns) != 0 or libc.mount(None, b"/", None, recursive_private, None) != 0:
        raise OSError(ctypes.get_errno(), "a mount namespace")


STAGE = None


def setUpModule():  # noqa: N802 (unittest's name)
    global STAGE
    # What runs the tests may ignore these, and whoever is started would as well.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if MODE == "root" and os.geteuid() != 0:
        print("skipped: root's way of running needs root")
        sys.exit(77)
    if os.geteuid() == 0:
        _own_mounts()
    STAGE = _stage()


def tearDownModule():  # noqa: N802
    shutil.rmtree(STAGE)


def program(name):
    """A staged one, else one that PATH has."""
    path = os.path.join(STAGE, "bin", name)
    return path if os.path.exists(path) else name


def environment(**more):
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        "HOME": os.path.join(STAGE, "home"),
        "TMPDIR": os.path.join(STAGE, "tmp"),
        "GONDOLIN_RUNTIME_DIR": os.path.join(STAGE, "run"),
        "GONDOLIN_CACHE_DIR": os.path.join(STAGE, "cache"),
        "GONDOLIN_IMAGE_DIR": os.path.join(STAGE, "images"),
        "LC_ALL": "C.UTF-8",
    }
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


def identity():
    """Popen's arguments for whom the test runs as."""
    if MODE == "user" and os.geteuid() == 0:
        return {"user": USER, "group": USER, "extra_groups": []}
    return {}


def popen(argv, env=None, **how):
    how.setdefault("stdin", subprocess.DEVNULL)
    how.setdefault("stdout", subprocess.PIPE)
    how.setdefault("stderr", subprocess.PIPE)
    how.setdefault("cwd", os.path.join(STAGE, "tmp"))
    return subprocess.Popen([program(argv[0]), *argv[1:]], env=env or environment(), **identity(), **how)


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"code {self.code}, stdout {self.out[-500:]!r}, stderr {self.err[-2000:]!r}"


def run(*argv, input=None, env=None, timeout=DEADLINE, **how):  # noqa: A002
    if input is not None:
        how["stdin"] = subprocess.PIPE
    p = popen(argv, env=env, **how)
    try:
        out, err = p.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        raise AssertionError(f"{argv} did not end: {out[-500:]!r} {err[-2000:]!r}") from None
    return Result(p.returncode, out, err)


def write_config(text, name="sandbox.conf"):
    path = os.path.join(STAGE, "tmp", name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o644)
    return path


BASE = 'image = "mini"\nvm { memory = "192M" }\n'


def hold(fifo):
    """For a shell in the guest: from now on it has the FIFO, at descriptor 3, and a `cat` of it never ends."""
    return f"mkfifo {fifo}; exec 3<>{fifo}"


class Sandbox:
    """A gondolin-supervisor that serves, with the lifeline by which it says that it is ready."""

    def __init__(self, config=BASE, env=None, **how):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = write_config(config, f"sandbox-{theirs.fileno()}-{os.getpid()}.conf")
        self.lifeline = ours
        self.stderr = tempfile.TemporaryFile()
        self.process = popen(["gondolin-supervisor", "--config", path, "--lifeline", str(theirs.fileno())],
                             env=env, pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL, stderr=self.stderr,
                             **how)
        theirs.close()
        ours.settimeout(DEADLINE)
        packet = ours.recv(8192).decode()
        if not packet.startswith("ready "):
            self.process.wait(DEADLINE)
            raise AssertionError(f"not ready: {packet!r} {self.said()}")
        self.id, self.directory = packet.split()[1:3]

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read().decode()

    def session(self):
        with open(os.path.join(self.directory, "session.json"), encoding="utf-8") as f:
            return json.load(f)

    def pids(self):
        """Name to pid of every host process."""
        s = self.session()
        return {"supervisor": s["pid"], **{p["name"]: p["pid"] for p in s["processes"]}}

    def exec(self, *argv, flags=(), **how):
        return run("gondolin", "exec", "--session", self.id, *flags, "--", *argv, **how)

    def watch(self, fifo):
        """A command that ends when the last process of the guest that holds the FIFO is gone."""
        p = popen(["gondolin", "exec", "--session", self.id, "--", "sh", "-c", f"exec 3<{fifo}; echo up; cat <&3"])
        if p.stdout.readline() != b"up\n":
            raise AssertionError(f"{fifo} cannot be watched: {p.stderr.read()!r}")
        return p

    def up(self):
        """Returns once the guest runs commands."""
        r = self.exec("true")
        if r.code != 0:
            raise AssertionError(f"the guest did not come up: {r} {self.said()}")
        return self

    def wait(self):
        """The supervisor's exit code."""
        return self.process.wait(DEADLINE)

    def end(self):
        self.lifeline.close()
        code = self.wait()
        self.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.lifeline.close()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.stderr.close()


def alive(pid):
    """Whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes():
    """Pids of all processes of a staged program, and of QEMUs that they started."""
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/cmdline", "rb") as f:
                line = f.read()
            exe = os.readlink(f"/proc/{name}/exe")
            ours = exe.startswith(STAGE)
            if b"qemu-system" in line and b"org.gondolin.agent" in line:
                with open(f"/proc/{name}/mountinfo", encoding="utf-8") as f:
                    ours = os.path.basename(STAGE) in f.read()  # its kernel is bound from a staged image
            if ours:
                if alive(int(name)):
                    found.add(int(name))
    return found


def child(pid, name):
    """The child of that name."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for one in f.read().split():
            with open(f"/proc/{one}/comm", encoding="utf-8") as comm:
                if comm.read().strip() == name:
                    return int(one)
    raise AssertionError(f"{pid} has no child {name}")


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return sorted(f.read().splitlines())


def await_end(pids):
    """Returns once none of the pids lives: their pidfds say when."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:

                poll = select.poll()
                poll.register(fd, select.POLLIN)
                if not poll.poll(DEADLINE * 1000):
                    raise AssertionError(f"process {pid} still lives")
            finally:
                os.close(fd)


def settled(err):
    """What was said, without the line that the proof of KVM may cost once."""
    return b"".join(line for line in err.splitlines(keepends=True) if b"trying once more" not in line)


class Case(unittest.TestCase):
    """Every test proves that it left no process, no session, no file and no mount."""

    def setUp(self):
        self.before = (processes(), mounts())

    def tearDown(self):
        left = processes() - self.before[0]
        await_end(left)
        self.assertEqual(os.listdir(os.path.join(STAGE, "run")), [], "session directories are left")
        self.assertEqual([n for n in os.listdir(os.path.join(STAGE, "tmp")) if not n.endswith(".conf")], [],
                         "files are left")
        self.assertEqual([m for m in mounts() if m not in self.before[1]], [], "mounts are left")
        for name in os.listdir(os.path.join(STAGE, "tmp")):
            os.unlink(os.path.join(STAGE, "tmp", name))

    def assert_one_line(self, err, *words):
        """One line for people, which names what matters."""
        text = err.decode() if isinstance(err, bytes) else err
        lines = [line for line in text.splitlines() if "trying once more" not in line]
        self.assertEqual(len(lines), 1, f"not one line: {text!r}")
        for word in words:
            self.assertIn(word, lines[0])


def changed_image(case, build):
    """A copy of the image whose parts `build(folder)` may change, with a manifest that fits, until the test ends."""
    folder = os.path.join(STAGE, "broken")
    objects = os.path.join(STAGE, "images", "objects")
    shutil.copytree(os.path.join(objects, os.listdir(objects)[0]), folder)
    case.addCleanup(shutil.rmtree, folder)
    subprocess.run(["chmod", "-R", "u+w,a+rX", folder], check=True)
    path = os.path.join(folder, "manifest.json")
    with open(path, encoding="utf-8") as f:
        manifest = json.load(f)
    build(folder, manifest)
    for part in manifest["parts"].values():
        file = os.path.join(folder, part["file"])
        with open(file, "rb") as f:
            part["sha256"] = hashlib.file_digest(f, "sha256").hexdigest()
        part["size"] = os.path.getsize(file)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(manifest, f)
    return folder


class OneSandbox(Case):
    """All tests of a class that share a running sandbox."""

    CONFIG = BASE

    @classmethod
    def setUpClass(cls):
        cls.box = Sandbox(cls.CONFIG).up()

    @classmethod
    def tearDownClass(cls):
        assert cls.box.end() == 0, "the supervisor failed"

    def tearDown(self):
        pass  # the class's sandbox is there until tearDownClass


def main():
    unittest.main(module="__main__", verbosity=2)


