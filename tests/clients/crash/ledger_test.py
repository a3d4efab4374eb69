"""Every fault that the crash test looks for is found where there is one."""

import unittest

from ledger import Ledger, Position


class LedgerTest(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()
        self.position = Position("anna", self.ledger)

    def expect(self, *kinds):
        self.assertEqual([fault.split(":")[0] for fault in self.ledger.wrong], list(kinds))

    def test_a_run_without_a_fault_has_none(self):
        self.position.entry(1, 11, "a")
        self.ledger.told(2, "b", False)
        self.position.talked(2, 12)
        self.position.entry(3, 13, "c")
        self.ledger.told(2, "b", True)
        self.ledger.settle([(1, "a"), (2, "b"), (3, "c")])
        self.expect()
        self.assertEqual((self.position.reached, self.position.tag), (3, 13))

    def test_acknowledged_and_not_there_is_lost(self):
        self.ledger.acknowledged["b"] = 2
        self.ledger.settle([(1, "a")])
        self.expect("lost")

    def test_delivered_and_not_there_is_lost(self):
        self.ledger.seen(1, "a")
        self.ledger.settle([(1, "b")])
        self.expect("lost")

    def test_one_talk_in_two_places_is_doubled(self):
        self.ledger.seen(1, "a")
        self.ledger.seen(2, "a")
        self.expect("doubled")

    def test_a_log_that_holds_a_talk_twice_is_doubled(self):
        self.ledger.settle([(1, "a"), (2, "a")])
        self.expect("doubled")

    def test_another_talk_in_the_same_place_is_changed(self):
        self.ledger.seen(1, "a")
        self.ledger.seen(1, "b")
        self.expect("changed")

    def test_an_entry_that_is_skipped_is_a_hole(self):
        self.position.entry(1, 11, "a")
        self.position.entry(3, 13, "c")
        self.expect("hole")

    def test_a_log_that_skips_a_place_has_a_hole(self):
        self.ledger.settle([(1, "a"), (3, "c")])
        self.expect("hole")

    def test_an_entry_that_comes_again_is_repeated(self):
        self.position.entry(1, 11, "a")
        self.position.entry(1, 11, "a")
        self.expect("repeated")

    def test_after_a_crash_an_own_talk_may_come_as_an_entry(self):
        self.position.entry(1, 11, "a")
        self.position.entry(2, 12, "own")
        self.ledger.told(2, "own", True)
        self.position.entry(3, 13, "c")
        self.expect()

    def test_an_own_talk_that_is_not_the_next_comes_in_its_place(self):
        self.position.entry(1, 11, "a")
        self.position.talked(3, 13)
        self.position.entry(2, 12, "b")
        self.assertEqual((self.position.reached, self.position.tag), (2, 12))
        self.position.entry(3, 13, "own")
        self.expect()

    def test_an_own_talk_that_is_the_next_does_not_come_as_an_entry(self):
        self.position.entry(1, 11, "a")
        self.position.talked(2, 12)
        self.position.entry(2, 12, "own")
        self.expect("repeated")

    def test_a_new_talk_has_a_place_of_its_own(self):
        self.position.entry(1, 11, "a")
        self.position.talked(1, 11)
        self.expect("repeated")


if __name__ == "__main__":
    unittest.main()
