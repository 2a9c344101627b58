# SPDX-License-Identifier: MIT
"""That edges.py sees what is missing: a small table of states, and counts as a build would write them."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import edges  # noqa: E402

MANUAL = """
<!-- states -->
| state | waits for | deadline | when it passes | may go on to |
|---|---|---|---|---|
| READ_HEAD | a head | HEADER | header_timeout | SEND FINISH |
| SEND | nothing | - | - | FINISH |
| FINISH | nothing | - | - | |
<!-- /states -->
<!-- outcomes -->
| outcome | status | meaning |
|---|---|---|
| `ok` | - | All is well. |
| `cut_off` | - | Not so. |
<!-- /outcomes -->
"""
WHOLE = {
    edges.Move('READ_HEAD', 'SEND', 'step', 'ok'): 2,
    edges.Move('READ_HEAD', 'FINISH', 'deadline', 'ok'): 1,
    edges.Move('READ_HEAD', 'FINISH', 'cut', 'cut_off'): 1,
    edges.Move('SEND', 'FINISH', 'step', 'ok'): 2,
    **{edges.Move(name, 'FINISH', 'deadline', outcome): 1 for name, outcome in edges.OTHER_DEADLINES if name == 'SEND'},
}


class Edges(unittest.TestCase):
    def setUp(self):
        others = edges.OTHER_DEADLINES
        edges.OTHER_DEADLINES = tuple(row for row in others if row[0] == 'SEND')
        self.addCleanup(setattr, edges, 'OTHER_DEADLINES', others)

    def missing(self, without=(), more=None):
        counts = {move: count for move, count in WHOLE.items() if move not in without}
        return edges.offences(*edges.read_manual(MANUAL), {**counts, **(more or {})})

    def test_nothing_is_missing(self):
        self.assertEqual(self.missing(), [])

    def test_each_thing_that_is_missing_is_named(self):
        said = {move: ' '.join(self.missing([move])) for move in WHOLE}
        self.assertIn('never made: READ_HEAD -> SEND', said[edges.Move('READ_HEAD', 'SEND', 'step', 'ok')])
        by_deadline = said[edges.Move('READ_HEAD', 'FINISH', 'deadline', 'ok')]
        self.assertIn('never left by its deadline: READ_HEAD', by_deadline)
        self.assertIn('never made: READ_HEAD -> FINISH', by_deadline)
        cut = said[edges.Move('READ_HEAD', 'FINISH', 'cut', 'cut_off')]
        self.assertIn('never cut off: READ_HEAD', cut)
        self.assertIn('no request ended with: cut_off', cut)
        self.assertIn('never passed with body_timeout: SEND', said[edges.Move('SEND', 'FINISH', 'deadline', 'body_timeout')])

    def test_a_move_that_the_table_does_not_have_is_told(self):
        self.assertEqual(self.missing(more={edges.Move('SEND', 'READ_HEAD', 'step', 'ok'): 1}),
                         ['not in the table: SEND -> READ_HEAD'])

    def test_counts_are_read_as_they_are_written(self):
        record = edges.RECORD.pack(7, b'SEND FINISH step ok')
        self.assertEqual(edges.read_counts(edges.RECORD.pack(0, b'') + record),
                         {edges.Move('SEND', 'FINISH', 'step', 'ok'): 7})


if __name__ == '__main__':
    unittest.main()
