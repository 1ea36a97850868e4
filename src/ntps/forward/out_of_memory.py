"""What happens when a batch does not fit the memory: it is cut, and what it left half done is done again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from ntps.errors import InputError

Result = TypeVar("Result")
OOM_MESSAGES = ("DefaultCPUAllocator", "can't allocate memory", "ALLOC_FAILED", "CUDA error: out of memory")
"""How the allocators that raise no error of their own kind say it."""


class OutOfMemory(InputError):
    """A batch does not fit the memory.

    Attributes:
        texts: How many texts it has.
        tokens: Its padded tokens.
    """

    def __init__(self, texts: int, tokens: int) -> None:
        smaller = "`tokens_per_batch`" if texts > 1 else "`max_length`"
        super().__init__(
            f"out of memory in a batch of {texts} texts and {tokens} tokens: lower {smaller}, choose fewer `layers`, "
            "or spread the model with `device` auto"
        )
        self.texts, self.tokens = texts, tokens


@contextmanager
def explained_memory(texts: int, tokens: int) -> Iterator[None]:
    """Turns the many errors of allocators into one.

    Args:
        texts: Texts of the batch that runs.
        tokens: Its padded tokens.

    Raises:
        OutOfMemory: It does not fit.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(
            s in str(error) for s in OOM_MESSAGES
        ):
            raise
        raise OutOfMemory(texts, tokens) from error


def retry_smaller(
    attempt: Callable[[int | None], Result], largest: int | None, smaller: Callable[[int], None]
) -> Result:
    """Runs a pass, with ever smaller batches as long as one does not fit the memory.

    Some layers have seen the batch that failed and some have not, and one may have seen half of it. So the sums are
    dropped, and the attempt begins again where they were last whole.

    Args:
        attempt: Runs the pass from the last whole sums on, with batches of at most so many padded tokens.
        largest: How many to begin with; None for whatever the plan says.
        smaller: Told how many from now on.

    Raises:
        OutOfMemory: Not even one text fits.
    """
    while True:
        try:
            return attempt(largest)
        except OutOfMemory as error:
            if error.texts == 1:
                raise
            largest = error.tokens // 2
        # Outside the handler: until its end the frames of the error keep the memory of the batch.
        gc.collect()
        torch.cuda.empty_cache()
        smaller(largest)
