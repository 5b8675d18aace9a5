"""Half an hour (GHOSTS_FOR=1800 seconds) of late replies on every kind of line leaves no wrong number."""

import os

from ill_lines import haunt


def test_ghosts_leave_no_number(place):
    haunt(place, float(os.environ.get("GHOSTS_FOR", "60")))
