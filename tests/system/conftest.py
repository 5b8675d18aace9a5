"""The fixtures stand in a module of their own: the fault runs use them too."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from fixtures import *  # noqa: E402,F401,F403
