"""That the table says what the rounds said."""

import unittest
from dataclasses import dataclass

import table
from loads import Figure, Goal
from measure import Measured


@dataclass(frozen=True)
class Named:
    name: str
    title: str = ""


FLOOR, KITH, PEER = Named("floor", "the floor"), Named("kith-e", "Kith e"), Named("peer", "a peer")
SERVERS = (FLOOR, KITH, PEER)
FIGURE = Figure(
    "cpu", "CPU", "µs", lambda report, _: report.get("cpu"), goals=(Goal("kith-e", most=1.1, of_ratio=True),)
)


def measured(cpu, lost=0, slow=False):
    return Measured(
        {
            "cpu": cpu,
            "verdict": {"lost": {"count": lost}},
            "traffic": {"deliveries": 1000 - lost},
            "swarm": {"is_bottleneck": slow},
        }
    )


def row(*rounds):
    """Each round has a value, or a Measured, for the floor, for Kith and for the peer."""
    made = []
    for values in rounds:
        runs = (value if isinstance(value, Measured) else measured(value) for value in values)
        made.append({server.name: run for server, run in zip(SERVERS, runs)})
    return table.cells(made, FIGURE, SERVERS)


class Cells(unittest.TestCase):
    def test_a_ratio_is_of_the_same_round(self):
        # The second round was slow for everybody; the median of the ratios is not that of the medians.
        cells = row((1, 1.5, 3), (10, 11, 30), (2, 2, 9))
        self.assertEqual((cells["kith-e"].median, cells["kith-e"].ratio), (2, 1.1))
        self.assertEqual((cells["peer"].median, cells["peer"].ratio), (9, 3))

    def test_what_failed_is_left_out_and_told(self):
        cells = row((1, 2, Measured(why="refused")), (1, 4, 5))
        self.assertEqual((cells["peer"].median, cells["peer"].ratio), (5, 5))
        self.assertEqual(table.shown(FIGURE, cells["peer"], False), "5.00 (5.00 ×); 1 of 2 failed: refused")
        cells = row((1, 2, Measured(why="error: refused; look at the log")))
        self.assertEqual(table.shown(FIGURE, cells["peer"], False), "1 of 1 failed: refused")

    def test_a_loss_is_told(self):
        for lost, said in ((0, "5.00 (5.00 ×)"), (1, "5.00 (5.00 ×); lost 0.10%"), (250, "5.00 (5.00 ×); lost 25%")):
            cells = row((1, 2, measured(5, lost)))
            self.assertEqual(table.shown(FIGURE, cells["peer"], False), said)

    def test_a_slow_swarm_is_marked(self):
        cells = row((1, measured(2, slow=True), 5), (1, 2, 5))
        self.assertEqual(table.shown(FIGURE, cells["kith-e"], False), "2.00 (2.00 ×)†")

    def test_without_the_floor_there_is_no_ratio(self):
        cells = row((Measured(why="refused"), 2, 5))
        self.assertEqual(table.shown(FIGURE, cells["kith-e"], False), "2.00")


class Tables(unittest.TestCase):
    def test_a_missed_goal_is_named_and_a_reached_one_is_not(self):
        text = table.markdown([(FIGURE, row((1, 1.2, 5)))], SERVERS, ["A machine."])
        self.assertIn("| CPU | µs | 1.00 | 1.20 (1.20 ×) | 5.00 (5.00 ×) | e ≤ 1.1 × |", text)
        self.assertIn("A machine.", text)
        self.assertIn("* kith-e, CPU: 1.20 ×, and it is to be ≤ 1.1 ×", text)
        text = table.markdown([(FIGURE, row((1, 1.1, 5)))], SERVERS, ["A machine."])
        self.assertNotIn("missed", text)

    def test_numbers_have_the_digits_that_count(self):
        for value, decimals, said in (
            (None, 2, "–"), (0.056, 2, "0.06"), (3.456, 2, "3.46"), (123.456, 2, "123.5"),
            (123.456, 0, "123"), (137_253, 0, "137,253"), (1234.5, 1, "1,234"),
        ):
            self.assertEqual(table.number(value, decimals), said)

    def test_the_data_has_every_round(self):
        data = table.data([(FIGURE, row((1, 2, 5), (1, 4, 6)))], {"cores": 2}, {"rounds": 2})
        self.assertEqual(data["rows"][0]["servers"]["kith-e"]["rounds"], [2, 4])
        self.assertEqual(data["rows"][0]["servers"]["peer"]["median"], 5.5)


if __name__ == "__main__":
    unittest.main()
