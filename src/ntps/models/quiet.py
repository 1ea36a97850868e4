"""Keeps transformers from talking where we know better."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silences progress bars, the load report and advice about masks, and restores the user's settings afterwards.

    The load report lists the head that we leave out on purpose, and we check missing weights ourselves; a missing
    attention mask is right for causal models padded on the right, and we check that too.
    """
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("transformers")
    level, bars = logger.level, transformers_logging.is_progress_bar_enabled()
    hub_bars = not are_progress_bars_disabled()
    # Where it is quiet already, nothing is set: a new level makes all loggers of the process forget what they know.
    if level != logging.ERROR:
        logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if level != logging.ERROR:
            logger.setLevel(level)
        # Transformers switches the hub's bars along with its own, and the hub warns where its variable forbids them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if bars:
                transformers_logging.enable_progress_bar()
            (enable_progress_bars if hub_bars else disable_progress_bars)()
