# SPDX-License-Identifier: Apache-2.0
"""`gondolin audit`: what stands is said to stand, what is missing is named; the log's chain."""
import contextlib
import json
import os
import subprocess
import unittest

import harness
from harness import BASE, Case, OneSandbox, Sandbox, run, setUpModule, tearDownModule  # noqa: F401

# What has to be left out together, because one stands on the other (tests/jail/walls.c).
LEFT_OUT = (["pid namespace"], ["mount namespace", "root"], ["net namespace"], ["ipc namespace"], ["uts namespace"],
            ["root"], ["capabilities"], ["rlimits"], ["non-dumpable"], ["Landlock"], ["seccomp"], ["descriptors"],
            ["no_new_privs", "capabilities"])
# Without a user namespace an ordinary user's process has no other wall either: it does not start.
LEFT_OUT_ROOT = (["user namespace or uid"], ["no_new_privs", "capabilities", "user namespace or uid"])


def status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return int(f.read().rpartition(")")[2].split()[19])


@contextlib.contextmanager
def held(*without):
    """A process in vmrunner's walls but some: its pid and uid."""
    p = harness.popen(["jail_hold", harness.MODE, "vmrunner", *without], stdin=subprocess.PIPE,
                      env=harness.environment(JAIL_CALLER=harness.program("jail_caller"), TMPDIR=None))
    line = p.stdout.readline()
    try:
        if not line:
            raise AssertionError(f"without {without}: {p.stderr.read()}")
        yield map(int, line.split())
    finally:
        p.communicate(timeout=harness.DEADLINE)


class Audited(OneSandbox):
    def audit(self, *flags):
        return run("gondolin", "audit", self.box.id, *flags)

    @contextlib.contextmanager
    def rewritten(self, change):
        """The session's file after `change(session)` of what is in it."""
        path = os.path.join(self.box.directory, "session.json")
        with open(path, encoding="utf-8") as f:
            whole = f.read()
        session = json.loads(whole)
        change(session)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(session, f)
        try:
            yield
        finally:
            with open(path, "w", encoding="utf-8") as f:
                f.write(whole)

    def without(self, name):
        def remove(session):
            session["processes"] = [p for p in session["processes"] if p["name"] != name]

        return self.rewritten(remove)

    def set_differences(self):
        """Of the set of processes: what is said, as JSON and for people."""
        r = self.audit("--json")
        self.assertEqual((r.code, r.err), (1, b""), r)
        report = json.loads(r.out)
        self.assertFalse(report["holds"])
        out = self.audit().out.decode()
        for line in report["differences"]:
            self.assertIn(line, out)
        return report["differences"]


class Live(Audited):
    def named(self, pid, uid):
        """The session's file names another process as its vmrunner."""
        def rename(session):
            for process in session["processes"]:
                if process["name"] == "vmrunner":
                    process.update(pid=pid, uid=uid, start_time=start_time(pid))
                    if harness.MODE == "root":
                        process.update(gid=uid)

        return self.rewritten(rename)

    def differences(self):
        """Of vmrunner, the only process that has any."""
        r = self.audit("--json")
        self.assertEqual((r.code, r.err), (1, b""), r)
        report = json.loads(r.out)
        self.assertFalse(report["holds"])
        for process in report["processes"]:
            self.assertEqual(process["holds"], process["name"] != "vmrunner", process)
            self.assertEqual(process["differences"] == [], process["holds"], process)
        return next(p["differences"] for p in report["processes"] if p["name"] == "vmrunner")

    def test_walls_stand(self):
        r = self.audit()
        self.assertEqual((r.code, r.err), (0, b""), r)
        self.assertEqual(r.out.count(b"every declared wall stands"), 3)
        r = self.audit("--json")
        self.assertEqual((r.code, r.err), (0, b""), r)
        report = json.loads(r.out)
        self.assertEqual((report["id"], report["holds"]), (self.box.id, True))
        self.assertEqual({p["name"]: p["pid"] for p in report["processes"]},
                         {n: p for n, p in self.box.pids().items() if n != "supervisor"})
        self.assertTrue(all(p["holds"] and not p["differences"] for p in report["processes"]))

    def test_walls_under_load(self):
        """Descriptors and threads of a sandbox at work are within what is declared, too."""
        ps = [harness.popen(["gondolin", "exec", "--session", self.box.id, "--", "sh", "-c",
                             "dd if=/dev/zero of=/root/file bs=1M count=8 2>/dev/null; sync; echo up; cat"],
                            stdin=subprocess.PIPE) for _ in range(16)]
        for p in ps:
            self.assertEqual(p.stdout.readline(), b"up\n")
        r = self.audit()
        for p in ps:
            p.communicate(b"", timeout=harness.DEADLINE)
        self.assertEqual(r.code, 0, r)

    def test_proc_says_the_same(self):
        uids = set()
        for name, pid in self.box.pids().items():
            if name == "supervisor":
                continue
            with self.subTest(process=name):
                s = status(pid)
                self.assertEqual((s["Seccomp"], s["NoNewPrivs"]), ("2", "1"))
                # Only root may empty the bounding set outside a user namespace, where the guard is.
                for field in ("CapInh", "CapPrm", "CapEff", "CapAmb",
                              *(["CapBnd"] if name != "guard" or harness.MODE == "root" else [])):
                    self.assertEqual(int(s[field], 16), 0, field)
                if name != "guard":
                    uids.add(int(s["Uid"].split()[0]))
                    for space in ("pid", "mnt", "net", "ipc", "uts"):
                        self.assertNotEqual(os.stat(f"/proc/{pid}/ns/{space}"), os.stat(f"/proc/self/ns/{space}"))
        if harness.MODE == "root":
            self.assertEqual(len(uids), 2, "each helper has a uid of its own")
            self.assertNotIn(0, uids)

    def test_each_wall_left_out_is_named(self):
        cases = LEFT_OUT + (LEFT_OUT_ROOT if harness.MODE == "root" else ())
        if harness.MODE == "root":
            # A process that stays root needs its capabilities to install a filter without no_new_privs.
            cases = tuple(c for c in cases if c != ["no_new_privs", "capabilities"])
        for without in cases:
            with self.subTest(without=without), held(*without) as (pid, uid), self.named(pid, uid):
                found = {line.split(": ")[1] for line in self.differences()}
                self.assertEqual(found, set(without))

    def test_whole_wall_is_not_named(self):
        with held() as (pid, uid), self.named(pid, uid):
            report = json.loads(self.audit("--json").out)
        self.assertEqual([p["differences"] for p in report["processes"]], [[], [], []])
        self.assertEqual(report["differences"][0], f"vmrunner: process {pid} is no child of the supervisor")

    def test_group_is_the_declared_one(self):
        """What the session's file says is compared: QEMU's may be the group of /dev/kvm."""
        gids = {p["name"]: p["gid"] for p in self.box.session()["processes"]}
        for name in ("vmrunner", "qemu"):
            self.assertEqual(status(self.box.pids()[name])["Gid"].split(), [str(gids[name])] * 4)

        def another(session):
            next(p for p in session["processes"] if p["name"] == "vmrunner")["gid"] += 1

        with self.rewritten(another):
            self.assertEqual({line.split(" of ")[0] for line in self.differences()},
                             {"vmrunner: user namespace or uid: Gid"})

    def test_process_without_walls(self):
        p = harness.popen(["gondolin", "exec", "--session", self.box.id, "--", "sh", "-c", "echo up; cat"],
                          stdin=subprocess.PIPE)
        self.assertEqual(p.stdout.readline(), b"up\n")
        with self.named(p.pid, harness.USER if harness.MODE == "user" else 0):
            found = {line.split(": ")[1] for line in self.differences()}
            self.assertLessEqual({"seccomp", "no_new_privs", "net namespace", "mount namespace", "pid namespace",
                                  "rlimits"}, found)
            r = self.audit()
            self.assertEqual(r.code, 1)
            self.assertIn(b"vmrunner: seccomp: Seccomp of", r.out)
        p.communicate(b"", timeout=harness.DEADLINE)

    def test_process_that_is_gone(self):
        p = harness.popen(["gondolin", "help"])
        pid = p.pid
        with self.named(pid, 0):
            p.communicate(timeout=harness.DEADLINE)
            self.assertEqual(self.differences(), [f"vmrunner: process {pid} is gone"])

    def test_set_of_processes(self):
        """One that runs and is not in the session's file shows, and one that is there and does not run."""
        pids = self.box.pids()
        pid = os.getpid()
        own = {"name": "vfsd", "pid": pid, "uid": os.getuid(), "gid": os.getgid(), "start_time": start_time(pid)}
        for name in ("guard", "vmrunner", "qemu"):
            with self.subTest(missing=name), self.without(name):
                self.assertEqual(self.set_differences(), [
                    f"{name}: the configuration asks for it, and it is missing",
                    f"supervisor: its child {pids[name]} is not in the session's file"])
        with self.rewritten(lambda s: s["processes"].append(own)):
            self.assertEqual(self.set_differences(), [
                f"vfsd: process {pid} is there, and the configuration does not ask for it",
                f"vfsd: process {pid} is no child of the supervisor"])
        with self.rewritten(lambda s: s["processes"].append(dict(s["processes"][0]))):
            self.assertEqual(self.set_differences(),
                             [f"guard: process {pids['guard']} is one of several of that name"] * 2)
        with self.rewritten(lambda s: s["processes"].clear()):
            self.assertEqual(len(self.set_differences()), 6)

    def test_names_are_only_read(self):
        """What a name could tell a terminal to do is shown, and not told."""
        with self.rewritten(lambda s: s["processes"][0].update(name="\x1b]0;owned\x07\u009b2J")):
            r = self.audit()
        self.assertEqual((r.code, r.err), (1, b""), r)
        self.assertIn(rb"\x1b]0;owned\x07\xc2\x9b2J: this version declares no such process", r.out)
        self.assertTrue(all(b == 10 or 32 <= b < 127 for b in r.out), r)

    def test_no_such_session(self):
        r = run("gondolin", "audit", "nosuchsession")
        self.assertEqual(r.code, 2)
        self.assert_one_line(r.err, "nosuchsession")


class Asked(Audited):
    """What the supervisor read when it started decides which processes there must be."""

    CONFIG = BASE + 'mount "/scratch" { memory = "16M" }\nnetwork { allow = {"example.org"} }\n'

    def test_each_helper(self):
        pids = self.box.pids()
        with open(self.box.session()["config"], "w", encoding="utf-8") as f:
            f.write(BASE)  # what the file says now is nobody's configuration
        r = self.audit("--json")
        self.assertEqual((r.code, json.loads(r.out)["differences"]), (0, []), r)
        for name in ("vfsd", "netproxy", "egress"):
            with self.subTest(missing=name), self.without(name):
                self.assertEqual(self.set_differences(), [
                    f"{name}: the configuration asks for it, and it is missing",
                    f"supervisor: its child {pids[name]} is not in the session's file"])
            with self.subTest(surplus=name), self.rewritten(lambda s, name=name: s["declared"].remove(name)):
                self.assertEqual(self.set_differences(), [
                    f"{name}: process {pids[name]} is there, and the configuration does not ask for it"])


class Foreground(Case):
    def test_relay_is_declared(self):
        """A configuration's own command runs by a child of the supervisor that no profile has."""
        path = harness.write_config(BASE + 'id = "relayed"\ncommand = {"sh", "-c", "echo up; cat"}\n')
        p = harness.popen(["gondolin-supervisor", "--config", path], stdin=subprocess.PIPE)
        self.assertEqual(p.stdout.readline(), b"up\n")
        r = run("gondolin", "audit", "relayed")
        p.communicate(b"", timeout=harness.DEADLINE)
        self.assertEqual((r.code, r.err), (0, b""), r)


class Declared(Case):
    def test_declared_policy(self):
        """Printed without starting anything, by the names that the live audit uses."""
        path = harness.write_config(BASE)
        r = run("gondolin-supervisor", "--config", path, "--audit")
        self.assertEqual((r.code, r.err), (0, b""), r)
        for word in (b"vmrunner", b"qemu", b"guard", b"seccomp"):
            self.assertIn(word, r.out)
        r = run("gondolin-supervisor", "--config", path, "--audit", "--json")
        self.assertEqual((r.code, r.err), (0, b""), r)
        self.assertEqual({p["name"] for p in json.loads(r.out)["processes"]}, {"guard", "qemu", "vmrunner"})

    def test_declared_processes(self):
        """Those that the configuration asks for, and the edges between them."""
        for section, names, edge in (('network { }\n', {"netproxy", "egress"}, ("netproxy", "egress")),
                                     ('mount "/m" { memory = "1M" }\n', {"vfsd"}, ("qemu", "vfsd"))):
            path = harness.write_config(BASE + section)
            report = json.loads(run("gondolin-supervisor", "--config", path, "--audit", "--json").out)
            self.assertEqual({p["name"] for p in report["processes"]}, names | {"guard", "qemu", "vmrunner"})
            edges = {(e["a"], e["b"]) for e in report["edges"]}
            self.assertIn(edge, edges)
            self.assertEqual({end for e in edges for end in e} - {"supervisor", "qemu", "vmrunner"}, names)


class Log(Case):
    def setUp(self):
        super().setUp()
        self.log = os.path.join(harness.STAGE, "home", "turn.jsonl")
        self.addCleanup(os.unlink, self.log)

    def verify(self, *flags):
        return run("gondolin", "audit", "--verify-log", self.log, *flags)

    def change(self, change):
        """The log with its lines changed, verified, and put back."""
        with open(self.log, "rb") as f:
            whole = f.read()
        with open(self.log, "wb") as f:
            f.write(b"".join(change(whole.splitlines(keepends=True))))
        r = self.verify()
        with open(self.log, "wb") as f:
            f.write(whole)
        return r

    def test_log_of_a_turn(self):
        with Sandbox(BASE + f'audit = "{self.log}"\n') as box:
            box.up()
            self.assertEqual(box.exec("sh", "-c", "cat; exit 3", "räum auf", input=b"12345").code, 3)
            box.exec("/no/such")
        with open(self.log, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        events = [line["event"] for line in lines]
        self.assertEqual((events[0], events[-1]), ("sandbox-start", "sandbox-end"))
        self.assertEqual({line["session"] for line in lines}, {box.id})
        start = next(line for line in lines if line["event"] == "exec-start" and "räum auf" in line["argv"])
        end = next(line for line in lines if line["event"] == "exec-end" and line["exec"] == start["exec"])
        self.assertEqual((end["status"], end["bytes_in"], end["bytes_out"]), (3, 5, 5))
        self.assertEqual([line["status"] for line in lines if line["event"] == "exec-end"], [0, 3, 127])

        r = self.verify()
        self.assertEqual((r.code, r.err), (0, b""), r)
        self.assertIn(f"{len(lines)} lines of 1 sessions".encode(), r.out)
        r = self.verify("--json")
        self.assertEqual((r.code, json.loads(r.out)["lines"]), (0, len(lines)))

        middle = len(lines) // 2
        cases = {
            "a byte changed": lambda ls: [ls[0].replace(b"sandbox", b"sandbos"), *ls[1:]],
            "a byte of the last line changed": lambda ls: [*ls[:-1], ls[-1].replace(b'"event"', b'"Event"')],
            "a line removed": lambda ls: ls[:middle] + ls[middle + 1:],
            "the first line removed": lambda ls: ls[1:],
            "a line appended": lambda ls: [*ls, ls[-1]],
            "two lines swapped": lambda ls: [*ls[:1], ls[2], ls[1], *ls[3:]],
            "the last line torn": lambda ls: [*ls[:-1], ls[-1][:-5]],
        }
        for name, change in cases.items():
            with self.subTest(name):
                r = self.change(change)
                self.assertEqual((r.code, r.out), (1, b""), r)
                self.assert_one_line(r.err, self.log, ":")

        # Another turn goes on where this one ended, but never behind a torn line.
        path = harness.write_config(BASE + f'audit = "{self.log}"\ncommand = {{"true"}}\n')
        self.assertEqual(run("gondolin-supervisor", "--config", path).code, 0)
        r = self.verify("--json")
        self.assertEqual((r.code, json.loads(r.out)["sessions"]), (0, 2))
        with open(self.log, "ab") as f:
            f.write(b'{"time":')
        r = run("gondolin-supervisor", "--config", path)
        self.assertEqual(r.code, 125)
        self.assert_one_line(r.err, self.log)

    def test_no_log(self):
        with open(self.log, "wb"):
            pass
        r = run("gondolin", "audit", "--verify-log", self.log + ".none")
        self.assertEqual(r.code, 2)
        self.assert_one_line(r.err, "turn.jsonl.none")


if __name__ == "__main__":
    unittest.main()
