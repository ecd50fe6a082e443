# SPDX-License-Identifier: Apache-2.0
"""How the tests of this folder learn that something came up: by an event, never by looking again after a while."""
import ctypes
import os
import select
import socket
import subprocess
import threading

DEADLINE = 60
CLONE_NEWNET = 0x40000000
RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE = 0x100, 0x400


class Ready:
    """A FIFO for a program's --ready: the program opens it for writing once it is up, and closes it again."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path, 0o600)
        # Open before the program starts, so that its open(2) does not wait.
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait(self, process):
        """Until the program is up; raises where `process` ends first."""
        pidfd = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)  # and POLLHUP, once somebody had it open
            poll.register(pidfd, select.POLLIN)
            events = [fd for fd, _ in poll.poll(DEADLINE * 1000)]
            if self.fd not in events:
                raise RuntimeError(f"{self.path.name} is not ready; exit code {process.poll()}")
        finally:
            os.close(pidfd)
            os.close(self.fd)


def in_namespace(name, make):
    """What make() returns, called in the network namespace `name`: sockets stay in the one they were made in."""
    made = []

    def work():
        try:
            fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(fd)
            made.append((make(), None))
        except OSError as error:
            made.append((None, error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    result, error = made[0]
    if error is not None:
        raise error
    return result


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def wait_for_ipv6(namespace):
    """Until the namespace's kernel took a router's advertisement and tried its own address (RFC 4862 5.4)."""
    def subscribe():
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        s.bind((0, RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE))
        return s

    with in_namespace(namespace, subscribe) as changes:
        changes.settimeout(DEADLINE)
        while True:
            routes = ip("-n", namespace, "-6", "route", "show", "default")
            addresses = ip("-n", namespace, "-6", "addr", "show", "scope", "global")
            if routes and "inet6" in addresses and "tentative" not in addresses:
                return
            changes.recv(65536)
