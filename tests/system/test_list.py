# SPDX-License-Identifier: Apache-2.0
"""list, ids and their beginnings, stop."""
import json
import unittest

import harness
from harness import BASE, Case, Sandbox, run, setUpModule, tearDownModule  # noqa: F401


class List(Case):
    def test_nothing_runs(self):
        r = run("gondolin", "list")
        self.assertEqual((r.code, r.out, r.err), (0, b"", b""), r)
        r = run("gondolin", "list", "--json")
        self.assertEqual((r.code, json.loads(r.out)), (0, []))
        r = run("gondolin", "stop", "nothing")
        self.assertEqual(r.code, 1)
        self.assert_one_line(r.err, "nothing")

    def test_two_sandboxes(self):
        one = Sandbox(BASE + 'id = "pair-one"\nlabel = "first: räum auf"\n')
        two = Sandbox(BASE + 'id = "pair-two"\n')
        with one, two:
            one.up()
            r = run("gondolin", "list", "--json")
            self.assertEqual(r.code, 0, r)
            rows = json.loads(r.out)
            self.assertEqual([row["id"] for row in rows], ["pair-one", "pair-two"])
            self.assertEqual([row["pid"] for row in rows], [one.process.pid, two.process.pid])
            self.assertEqual([row["label"] for row in rows], ["first: räum auf", ""])
            self.assertEqual({row["image"] for row in rows}, {"mini"})
            self.assertEqual(rows[0]["state"], "running")
            self.assertIn(rows[1]["state"], ("starting", "running"))
            self.assertTrue(all(row["age"] >= 0 for row in rows))

            r = run("gondolin", "list")
            lines = r.out.decode().splitlines()
            self.assertEqual(lines[0].split(), ["ID", "PID", "AGE", "STATE", "IMAGE", "LABEL"])
            self.assertEqual([line.split()[0] for line in lines[1:]], ["pair-one", "pair-two"])
            self.assertEqual(lines[1].split()[1], str(one.process.pid))

            # The beginning of an id does where it is one's alone.
            self.assertEqual(run("gondolin", "exec", "--session", "pair-o", "--", "echo", "x").out, b"x\n")
            r = run("gondolin", "exec", "--session", "pair", "--", "true")
            self.assertEqual(r.code, 125)
            self.assert_one_line(r.err, "pair-one", "pair-two")

            r = run("gondolin", "stop", "pair-t")
            self.assertEqual((r.code, r.err), (0, b""), r)
            self.assertEqual(two.wait(), 0, two.said())
            self.assertEqual(harness.settled(two.said().encode()), b"")
            self.assertEqual([row["id"] for row in json.loads(run("gondolin", "list", "--json").out)], ["pair-one"])
            # An id is free again with its sandbox's end.
            with Sandbox(BASE + 'id = "pair-two"\n'):
                self.assertEqual(len(json.loads(run("gondolin", "list", "--json").out)), 2)
            r = run("gondolin", "stop", "pair-one", "nothing")
            self.assertEqual(r.code, 1)
            self.assert_one_line(r.err, "nothing")
            self.assertEqual(one.wait(), 0, one.said())


if __name__ == "__main__":
    unittest.main()
