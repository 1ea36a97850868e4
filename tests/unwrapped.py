"""What commands say, whatever the width that they said it in."""

from __future__ import annotations

import re


def unwrapped(said: str) -> str:
    """Each sentence in one line: where it was too long, it went on in lines that are indented."""
    return re.sub(r"\n +", " ", said)
