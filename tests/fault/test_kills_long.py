"""KILLS (20) times SIGKILL to every edge, the broker and the centre; then the books are balanced."""

import os

import pytest

import county
from kill_rules import *  # noqa: F401,F403

KILLS = int(os.environ.get("KILLS", "20"))


@pytest.fixture(scope="module")
def after(module_place):
    """A county that went through the kills and came to its end."""
    return county.go_through_kills(module_place, KILLS)


def test_each_process_was_killed(after):
    assert min(after.kills) >= KILLS
