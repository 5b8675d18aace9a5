"""SIGKILL to edge, broker and centre, one after the other and all at once: nothing is missing.

The long form, KILLS=20 of each, is tests/fault/test_kills_long.py.
"""

import pytest

import county
from kill_rules import *  # noqa: F401,F403

TIMES = 3


@pytest.fixture(scope="module")
def after(module_place):
    """A county that went through the kills and came to its end."""
    return county.go_through_kills(module_place, TIMES, both=False)


def test_each_process_was_killed(after):
    assert min(after.kills) >= TIMES
