"""The working directory as a place to import modules from, for options that name a user's own code."""

from __future__ import annotations

import os
import sys


def make_importable() -> None:
    """Add the working directory to the end of the import path, so that a module there can be named."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
