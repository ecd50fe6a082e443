# SPDX-License-Identifier: Apache-2.0
"""A guest whose agent breaks the protocol: one line, code 125, nothing left (hostile_guest.c)."""
import os
import unittest

import harness
from harness import Case, Sandbox, run, setUpModule, tearDownModule  # noqa: F401

# By the way in which it is hostile: words of the line that says so.
WAYS = {
    "other-version": "another version",
    "before-hello": "before its Hello",
    "truncated": "",  # the machine is off before the frame is whole
    "oversized": "none or too long",
    "unknown-kind": "none or too long",
    "malformed": "malformed",
    "unknown-id": "not asked for",
    "out-of-order": "Exited",
    "beyond-credit": "beyond its credit",
    "after-end": "after its end",
    "silent": "whose time was over",
}


def hostile(way):
    """Builds an image whose init is the hostile one: a later archive of an initramfs wins."""
    def build(folder, manifest):
        with open(os.path.join(harness.BUILD, "bin", "hostile_guest"), "rb") as f:
            program = f.read()
        name = b"init\0"
        fields = (1, 0o100755, 0, 0, 1, 0, len(program), 0, 0, 0, 0, len(name), 0)
        member = b"070701" + b"".join(b"%08X" % f for f in fields) + name
        member += b"\0" * (-len(member) % 4) + program + b"\0" * (-len(program) % 4)
        end = b"070701" + b"".join(b"%08X" % f for f in (0,) * 4 + (1,) + (0,) * 6 + (11, 0)) + b"TRAILER!!!\0"
        with open(os.path.join(folder, manifest["parts"]["initramfs"]["file"]), "ab") as f:
            f.write(b"\0" * (-f.tell() % 512) + member + end)
        manifest["cmdline"] = f"hostile={way}"
    return build


class HostileGuest(Case):
    def config(self, way, rest, vm=""):
        folder = harness.changed_image(self, hostile(way))
        return f'image = "{folder}"\nvm {{ memory = "192M"  accel = tcg  {vm}}}\n{rest}'

    def test_ways(self):
        for way, words in WAYS.items():
            self.doCleanups()
            with self.subTest(way):
                path = harness.write_config(self.config(way, 'timeout = 1\ncommand = {"true"}\n'))
                r = run("gondolin-supervisor", "--config", path)
                self.assertEqual((r.code, r.out), (125, b""), r)
                self.assert_one_line(r.err, words)

    def test_never_answers(self):
        """A guest that boots and says nothing is started once more, and then given up."""
        path = harness.write_config(self.config("no-hello", 'command = {"true"}\n', vm="boot-timeout = 5 "))
        r = run("gondolin-supervisor", "--config", path)
        self.assertEqual((r.code, r.out), (125, b""), r)
        first, *rest = r.err.decode().splitlines(keepends=True)
        self.assertEqual(first, "gondolin: the guest's agent did not answer within 5000 ms; trying once more\n")
        self.assert_one_line("".join(rest), "the guest's agent did not answer within 5000 ms")

    def test_way_out(self):
        """What it sends as a file gets the name that was asked for, or nothing happens."""
        place = os.path.join(harness.STAGE, "home", "place")
        os.makedirs(os.path.join(place, "deep"))
        if harness.identity():
            os.chown(place, harness.USER, harness.USER)
            os.chown(os.path.join(place, "deep"), harness.USER, harness.USER)
        with Sandbox(self.config("way-out", "")) as box:
            r = run("gondolin", "cp", f"{box.id}:/x", os.path.join(place, "deep", "x"))
            self.assertEqual(r.code, 1, r)
            self.assert_one_line(r.err, "archive", "..")
        self.assertEqual(sorted(os.listdir(place)), ["deep"])
        self.assertEqual(os.listdir(os.path.join(place, "deep")), [])


if __name__ == "__main__":
    unittest.main()
