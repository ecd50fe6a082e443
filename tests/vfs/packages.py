# SPDX-License-Identifier: Apache-2.0
"""Packages for the tests of real programs: one of npm's own, and one that dpkg unpacks."""
import json
import os
import shutil
import subprocess
import tarfile


def npm_package():
    """A package that npm itself is made of, without dependencies: its folder, or None."""
    program = shutil.which("npm")
    if program is None:
        return None
    folder = os.path.dirname(os.path.dirname(os.path.realpath(program)))
    for above in (os.path.join(folder, "node_modules"), "/usr/share/nodejs"):
        for name in ("ini", "inherits", "wrappy"):
            path = os.path.join(above, name, "package.json")
            if os.path.exists(path):
                with open(path, encoding="utf-8") as f:
                    if not json.load(f).get("dependencies"):
                        return os.path.dirname(path)
    return None


def pack_npm(folder, path):
    with tarfile.open(path, "w:gz") as t:
        t.add(folder, "package", filter=lambda i: None if "/node_modules" in i.name else i)


def make_deb(path):
    """A package "hello" with a file and a link in usr/share/hello."""
    tree = path + ".tree"
    os.makedirs(os.path.join(tree, "DEBIAN"))
    os.makedirs(os.path.join(tree, "usr/share/hello"))
    with open(os.path.join(tree, "DEBIAN/control"), "w", encoding="ascii") as f:
        f.write("Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: hello\n")
    with open(os.path.join(tree, "usr/share/hello/text"), "w", encoding="ascii") as f:
        f.write("hello\n")
    os.symlink("text", os.path.join(tree, "usr/share/hello/link"))
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, path], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
