"""The tokenizer's work: chunk by chunk, on all cores."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK, CHUNK_CHARACTERS = 1000, 1_000_000
"""Largest number of texts, and of their characters, a call of the tokenizer: what it returns takes a hundred times the
memory of the ids."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of some texts.

    Attributes:
        ids: ``(tokens,)`` one text after the other.
        lengths: ``(n,)`` tokens of each text.
        truncated: How many texts were longer than the limit and lost their end.
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    truncated: int


def encode(tokenizer: Any, texts: Sequence[str], limit: int | None) -> Iterator[Encoded]:
    """Tokenizes texts, and yields them chunk by chunk in their order.

    Tokenizers in Rust use all cores by themselves. Those in Python get a process a core where there are several chunks.

    Args:
        tokenizer: The tokenizer.
        texts: The texts.
        limit: Largest number of tokens a text, if any.
    """
    chunks = list(_chunks(texts))
    processes = 1 if tokenizer.is_fast or not _can_fork() else min(len(os.sched_getaffinity(0)), len(chunks))
    if processes <= 1:
        yield from (_encode(tokenizer, chunk, limit) for chunk in chunks)
        return
    # Processes that start afresh would import the caller's script again, and many tokenizers cannot be pickled.
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, fork, _inherit, (tokenizer, limit)) as pool:
        yield from pool.map(_encode_in_worker, chunks)


def _can_fork() -> bool:
    return sys.platform == "linux"


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for text in texts:
        if chunk and (len(chunk) == CHUNK or characters + len(text) > CHUNK_CHARACTERS):
            yield chunk
            chunk, characters = [], 0
        chunk.append(text)
        characters += len(text)
    if chunk:
        yield chunk


def _encode(tokenizer: Any, texts: list[str], limit: int | None) -> Encoded:
    bare = {"return_attention_mask": False, "return_token_type_ids": False}
    rows = tokenizer(texts, verbose=False, **bare)["input_ids"]
    long = [index for index, row in enumerate(rows) if limit is not None and len(row) > limit]
    if long:
        # Cut by the tokenizer, which keeps its special tokens at the end.
        cut = tokenizer([texts[index] for index in long], truncation=True, max_length=limit, **bare)["input_ids"]
        for index, row in zip(long, cut, strict=True):
            rows[index] = row
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(lengths.sum()))
    return Encoded(ids, lengths, len(long))


_inherited: tuple[Any, int | None]
"""Tokenizer and limit of a worker process."""


def _inherit(tokenizer: Any, limit: int | None) -> None:
    global _inherited
    _inherited = tokenizer, limit


def _encode_in_worker(texts: list[str]) -> Encoded:
    tokenizer, limit = _inherited
    return _encode(tokenizer, texts, limit)
