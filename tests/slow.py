"""Parameters of the long tests."""

from __future__ import annotations

from typing import Any

import pytest


def slow(*values: object) -> Any:
    """A set of parameters that `make test-slow` runs."""
    return pytest.param(*values, marks=pytest.mark.slow)
