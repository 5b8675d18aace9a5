"""The fault runs share the harness and the fixtures of the system tests."""

import pathlib
import sys

SYSTEM = pathlib.Path(__file__).resolve().parents[1] / "system"
sys.path.insert(0, str(SYSTEM))

from fixtures import *  # noqa: E402,F401,F403
