# SPDX-License-Identifier: Apache-2.0
"""A host file system that fails as it is told: a FUSE server of a few lines, in a process of its own."""
import ctypes
import errno
import os
import signal
import stat
import struct
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
DETACH = 2
ROOT, FILE = 1, 2
NODES = {ROOT: stat.S_IFDIR | 0o755, FILE: stat.S_IFREG | 0o644}
SIZE = 1 << 20  # of the file, all of it NUL
# Opcodes of linux/fuse.h; the others are refused with the error, or always not there.
(LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET) = (
    1, 2, 3, 14, 15, 17, 18, 25, 26, 27, 29, 36, 42)
HEADER = struct.Struct("<IIQQIIII")


def attr(node):
    # A size in blocks, no times: ino, size, blocks, 3 times, 3 nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags.
    return struct.pack("<6Q10I", node, SIZE if node == FILE else 0, SIZE >> 9, 0, 0, 0, 0, 0, 0, NODES[node], 1,
                       os.geteuid(), os.getegid(), 0, 4096, 0)


class Server:
    """Answers for a directory with one file, "f".  Where `error` is set, whatever touches data or changes fails."""

    def __init__(self, device, error):
        self.device, self.error = device, error

    def answer(self, opcode, node, body):
        """The reply's body, or an errno."""
        if opcode == INIT:
            # 7.31 without a flag; 64 KiB a write.
            return struct.pack("<4I2H2I", 7, 31, 65536, 0, 8, 6, 65536, 1) + bytes(32)
        if opcode == LOOKUP:
            return struct.pack("<4Q2I", FILE, 0, 0, 0, 0, 0) + attr(FILE) if body == b"f\0" else errno.ENOENT
        if opcode == GETATTR:
            return struct.pack("<Q2I", 0, 0, 0) + attr(node)
        if opcode in (OPEN, OPENDIR):
            # The file is not cached here (FOPEN_DIRECT_IO): each read is asked for.
            return struct.pack("<Q2I", 0, 1 if opcode == OPEN else 0, 0)
        if opcode in (RELEASE, RELEASEDIR, FLUSH):
            return b""
        if self.error.value:
            return self.error.value
        if opcode == READ:
            offset, size = struct.unpack_from("<QI", body, 8)
            return bytes(min(size, max(0, SIZE - offset)))
        return errno.ENOSYS

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 18)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return  # unmounted
            _, opcode, unique, node, *_ = HEADER.unpack_from(request)
            if opcode in (FORGET, INTERRUPT, BATCH_FORGET):
                continue
            said = self.answer(opcode, node, request[HEADER.size:])
            error, body = (-said, b"") if isinstance(said, int) else (0, said)
            try:
                os.write(self.device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            except FileNotFoundError:
                pass  # nobody waits any more


class Failing:
    """`with Failing() as host:` -- host.path is the directory, host.fail(number) what its answers are from now on."""

    def __enter__(self):
        import multiprocessing.sharedctypes as shared
        self.path = tempfile.mkdtemp(prefix="gondolin-dir-")
        self.error = shared.RawValue(ctypes.c_int, 0)
        device = os.open(os.environ.get("VFS_FUSE_DEVICE", "/dev/fuse"), os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"failing", self.path.encode(), b"fuse.failing", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        self.pid = os.fork()
        if self.pid == 0:
            try:
                Server(device, self.error).serve()
            finally:
                os._exit(0)
        os.close(device)
        return self

    def fail(self, number):
        self.error.value = number

    def vanish(self):
        """Its server dies: the kernel answers for it from then on (ENOTCONN)."""
        if self.pid != 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def __exit__(self, *_):
        LIBC.umount2(self.path.encode(), DETACH)
        self.vanish()
        os.rmdir(self.path)
