"""Lets the tests import the explorers, which live beside the C++ they are about."""

from __future__ import annotations

import sys
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "native" / "model"

if str(MODEL) not in sys.path:
    sys.path.insert(0, str(MODEL))
