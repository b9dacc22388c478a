"""The version of this package, for what names it to others."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
