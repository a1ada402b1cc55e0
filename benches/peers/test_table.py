"""The table builder, and how turns are taken, with stand-ins for the peers: run by `make test`."""

from __future__ import annotations

import json
import sys
import time
import unittest

import rows
import sides
import table
from table import Outcome, Unit


def outcome(unit: Unit, ours: list[float], theirs: list[float], bar: float = 2.0) -> Outcome:
    return Outcome(name="x", work="some work", unit=unit, bar=bar, peer="peer", ours=ours, theirs=theirs)


class Table(unittest.TestCase):
    def test_a_ratio_is_of_medians_and_its_range_of_turns(self) -> None:
        found = table.ratio(outcome(Unit.RATE, [30.0, 10.0, 20.0], [10.0, 5.0, 4.0]))
        assert found is not None
        self.assertEqual((found.median, found.low, found.high), (4.0, 2.0, 5.0))

    def test_less_time_is_a_larger_ratio(self) -> None:
        found = table.ratio(outcome(Unit.MS, [10.0], [25.0]))
        assert found is not None
        self.assertEqual(found.median, 2.5)

    def test_a_bar_is_met_at_its_value(self) -> None:
        self.assertEqual(table.verdict(outcome(Unit.RATE, [20.0], [10.0])), "met")
        self.assertEqual(table.verdict(outcome(Unit.RATE, [19.9], [10.0])), "missed")

    def test_a_row_that_failed_stays_with_its_reason(self) -> None:
        failed = outcome(Unit.RATE, [], [3.0])
        failed.reason = "ours: not yet"
        text = table.render([outcome(Unit.RATE, [20.0], [10.0]), failed])
        self.assertEqual(len(text.splitlines()), 4)
        self.assertIn("| ours: not yet |", text.splitlines()[3])
        self.assertIn("1 bars met, 0 missed, 1 rows", table.summary([outcome(Unit.RATE, [9.0], [1.0]), failed]))

    def test_a_reason_cannot_break_the_table(self) -> None:
        failed = outcome(Unit.MS, [], [])
        failed.reason = "first | line\nsecond"
        self.assertEqual(table.render([failed]).splitlines()[2].count("|"), 8)


class Alternation(unittest.TestCase):
    def python(self, label: str, code: str) -> sides.Command:
        return sides.Command(label, [sys.executable, "-c", code], "value")

    def row(self, ours: sides.Side, *peers: sides.Side) -> rows.Row:
        return rows.Row("x", "g", "some work", Unit.RATE, ours, peers, 1.0)

    def test_the_fastest_variant_alternates_with_ours(self) -> None:
        say = "print('{\"value\": %s}')"
        row = self.row(self.python("ours", say % 6), self.python("slow", say % 2), self.python("fast", say % 3))
        found = rows.measure(row, rounds=2, seconds=0.0)
        self.assertEqual((found.peer, found.ours, found.theirs), ("fast", [6.0, 6.0], [3.0, 3.0]))
        self.assertEqual(found.heat, {"slow": 2.0, "fast": 3.0})

    def test_a_peer_that_fails_leaves_a_row_with_our_figures(self) -> None:
        broken = self.python("broken", "raise SystemExit('no such module')")
        found = rows.measure(self.row(self.python("ours", "print('{\"value\": 6}')"), broken), rounds=2, seconds=0.0)
        self.assertEqual(found.reason, "broken: no such module")
        self.assertEqual((found.ours, found.theirs), ([6.0, 6.0], []))

    def test_ours_may_be_missing_and_theirs_is_measured(self) -> None:
        peer = self.python("peer", "print('{\"value\": 3}')")
        ours = self.python("rl-run", "raise SystemExit('what came before\\nerror: no such game\\nfor more see --help')")
        found = rows.measure(self.row(ours, peer), rounds=2, seconds=0.0)
        self.assertEqual((found.reason, found.theirs), ("ours: error: no such game", [3.0, 3.0]))

    def test_a_worker_answers_each_turn(self) -> None:
        code = "import serve; serve.serve({'gflop': 1.0}, lambda seconds: 5.0)"
        worker = sides.Worker("w", [sys.executable, "-c", code])
        worker.open()
        self.assertEqual([worker.measure(0.0), worker.measure(0.0)], [5.0, 5.0])
        worker.close()

    def test_a_greeting_before_the_first_answer_is_passed_over(self) -> None:
        code = "print('Welcome', flush=True); import serve; serve.serve({}, lambda seconds: 5.0)"
        worker = sides.Worker("w", [sys.executable, "-c", code])
        worker.open()
        self.assertEqual(worker.measure(0.0), 5.0)
        worker.close()

    def test_a_program_is_timed_by_seed_and_judged_off_the_clock(self) -> None:
        write = "import sys; open(sys.argv[2] + '/w', 'w').write(sys.argv[1])"
        judge = "import sys, json, time; time.sleep(0.3); print(json.dumps({'mean': 470 + float(open(sys.argv[1] + '/w').read())}))"
        train = [sys.executable, "-c", write, "{seed}", "{dir}"]
        program = sides.Program("p", train, [sys.executable, "-c", judge, "{dir}"], threads=1)
        began = time.perf_counter()
        took = [program.measure(0.0) for _ in range(6)]
        self.assertLess(sum(took), time.perf_counter() - began - 6 * 0.3)  # what the judge sleeps
        self.assertEqual(program.scores, [471.0, 472.0, 473.0, 474.0, 475.0, 476.0])
        self.assertTrue(all(seconds > 0.0 for seconds in took))
        self.assertEqual(rows._learned(program, program), "solved by ours 2 of 6, by theirs 2 of 6")
        broken = sides.Program("b", [sys.executable, "-c", "raise SystemExit('no such game')"], [], threads=1)
        self.assertRaisesRegex(sides.Failed, "no such game", broken.measure, 0.0)

    def test_turns_of_both_sides_have_the_same_seeds(self) -> None:
        write = "import sys; open(sys.argv[2] + '/w', 'w').write(sys.argv[1])"
        judge = "import sys, json; print(json.dumps({'mean': float(open(sys.argv[1] + '/w').read())}))"
        train, judge = [sys.executable, "-c", write, "{seed}", "{dir}"], [sys.executable, "-c", judge, "{dir}"]
        ours, theirs = (sides.Program(label, train, judge, threads=1) for label in ("ours", "theirs"))
        rows.measure(self.row(ours, theirs), rounds=2, seconds=0.0)
        self.assertEqual([ours.scores, theirs.scores], [[1.0, 2.0], [1.0, 2.0]])

    def test_every_row_has_a_name_of_its_own_and_fits_into_json(self) -> None:
        every = rows.rows(rows.Tools("rl-run", sys.executable), bf16=True, numbers=[4, 7])
        self.assertEqual(len({row.name for row in every}), len(every))
        doom = [row.ours.argv[:3] for row in every if row.name.startswith("doom-") and row.name.endswith("-2")]
        self.assertEqual(doom, [["taskset", "--cpu-list", "4,7"]] * 2)
        json.dumps([table.as_json(rows.blank(row)) for row in every])


if __name__ == "__main__":
    unittest.main()
