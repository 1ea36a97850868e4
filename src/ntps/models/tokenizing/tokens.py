"""Texts → token ids, once, in memory that stays close to the size of the texts."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.encode import encode


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of many texts, one after the other.

    Attributes:
        ids: ``(tokens,)`` int32.
        offsets: ``(n + 1,)`` where each text begins, and the end.
        truncated: How many texts were longer than the limit and lost their end.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    truncated: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """``(n,)`` tokens of each text."""
        return np.diff(self.offsets)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all ids, in hexadecimal."""
        digest = sha256(self.ids.data)
        digest.update(self.offsets.data)
        return digest.hexdigest()

    def take(self, texts: NDArray[np.int64]) -> TokenizedTexts:
        """Those of some texts."""
        if len(texts) == len(self):
            return self
        ids = np.concatenate([self.ids[self.offsets[text] : self.offsets[text + 1]] for text in texts])
        return TokenizedTexts(ids, np.concatenate(([0], np.cumsum(self.lengths[texts]))), self.truncated)

    def padded(self, texts: NDArray[np.int64], pad_id: int) -> NDArray[np.int64]:
        """Token ids of some texts, padded on the right to the longest: ``(B, T)``."""
        lengths = self.lengths[texts]
        rows = np.full((len(texts), int(lengths.max())), pad_id, dtype=np.int64)
        for row, text in enumerate(texts):
            rows[row, : lengths[row]] = self.ids[self.offsets[text] : self.offsets[text + 1]]
        return rows


def tokenize(
    model: LanguageModel,
    texts: Sequence[str],
    max_length: int | None = None,
    progress: Callable[[int], None] = lambda _done: None,
    at: Callable[[int], str] = "text {}".format,
) -> TokenizedTexts:
    """Tokenizes texts with the model's special tokens, and cuts them to its context.

    Args:
        model: The model.
        texts: The texts.
        max_length: A lower limit than the model's context.
        progress: Told how many texts have just been done.
        at: What errors call a text, from its index.

    Raises:
        InputError: The limit exceeds the context or leaves no token, or a text has no token at all.
    """
    # Grow in place: a list of small arrays would take several times the memory of short texts' ids.
    ids, lengths, truncated = array("i"), array("q"), 0
    for chunk in encode(model.tokenizer, texts, _limit(model, max_length)):
        if not chunk.lengths.all():
            index = len(lengths) + int((chunk.lengths == 0).argmax())
            raise InputError(
                f"{at(index)} has no tokens under the tokenizer of {model.id}: {texts[index]!r}; remove it, or use "
                "another tokenizer"
            )
        ids.frombytes(chunk.ids.tobytes())
        lengths.frombytes(chunk.lengths.tobytes())
        truncated += chunk.truncated
        progress(len(chunk.lengths))
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    tokens = TokenizedTexts(np.frombuffer(ids, dtype=np.int32), offsets, truncated)
    if len(tokens.ids) and (largest := int(tokens.ids.max())) >= model.vocabulary:
        raise InputError(
            f"the tokenizer has the id {largest}, but {model.id} knows only {model.vocabulary} tokens: they do not "
            "belong together, so name the model's own with `tokenizer`"
        )
    return tokens


def _limit(model: LanguageModel, max_length: int | None) -> int | None:
    if max_length is None:
        return model.context
    if max_length < 1:
        raise InputError(f"`max_length` must be at least 1, not {max_length}")
    if model.context is not None and max_length > model.context:
        raise InputError(f"`max_length` {max_length} exceeds the context of {model.id}, {model.context} tokens")
    special = model.tokenizer.num_special_tokens_to_add()
    if max_length <= special:
        raise InputError(
            f"`max_length` {max_length} leaves no room for the text beside {special} special tokens: give at least "
            f"{special + 1}"
        )
    return max_length
