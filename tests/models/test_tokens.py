"""Texts → token ids: the model's own, cut to its context, every cut counted."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ByT5Tokenizer

from ntps.errors import InputError
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.encode import CHUNK, encode
from ntps.models.tokenizing.tokens import TokenizedTexts, tokenize
from tiny import CONTEXT, WORDS, random_texts, save_model, tokenizer_of


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    kinds = ("qwen2", "llama", "bert")
    return {kind: load_model(save_model(tmp_path_factory.mktemp(kind), kind)) for kind in kinds}


def ids_of(tokens: TokenizedTexts) -> list[list[int]]:
    return [tokens.ids[start:stop].tolist() for start, stop in zip(tokens.offsets, tokens.offsets[1:], strict=False)]


@pytest.mark.parametrize("kind", ["qwen2", "llama", "bert"])
def test_ids_are_the_tokenizers_own(kind: str, models: dict[str, LanguageModel]) -> None:
    texts = random_texts(50)
    tokens = tokenize(models[kind], texts)
    assert ids_of(tokens) == [models[kind].tokenizer(text)["input_ids"] for text in texts]
    assert len(tokens) == 50
    assert tokens.truncated == 0
    assert tokens.lengths.tolist() == [len(text.split()) + 2 * (kind == "bert") for text in texts]


def test_more_texts_than_a_chunk_stay_in_order(models: dict[str, LanguageModel]) -> None:
    texts = [WORDS[i % len(WORDS)] for i in range(CHUNK)] + [f"{WORDS[1]} {WORDS[2]}", " ".join(WORDS)]
    tokens = tokenize(models["llama"], texts)
    first = models["llama"].tokenizer(WORDS[0])["input_ids"][0]
    assert ids_of(tokens)[:CHUNK] == [[first + i % len(WORDS)] for i in range(CHUNK)]
    assert ids_of(tokens)[CHUNK] == [first + 1, first + 2]
    assert len(ids_of(tokens)[CHUNK + 1]) == CONTEXT and tokens.truncated == 1


def test_long_texts_make_small_chunks(models: dict[str, LanguageModel], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tokenizer returns takes a hundred times the memory of the ids: its size must not depend on the texts'."""
    monkeypatch.setattr("ntps.models.tokenizing.encode.CHUNK_CHARACTERS", 10)
    texts = ["ba be", "bi bo bu", "da", "de", "di", "do du da de"]
    chunks = [chunk.lengths.tolist() for chunk in encode(models["llama"].tokenizer, texts, None)]
    assert chunks == [[2], [3, 1], [1, 1], [4]]


@pytest.mark.parametrize("limit", [None, 20])
def test_a_tokenizer_in_python_works_in_several_processes(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the texts, and with what it alone would give."""
    tokenizer = ByT5Tokenizer()
    texts = random_texts(3 * CHUNK + 7)
    seen: set[int] = set()
    monkeypatch.setattr(tokenizer, "convert_tokens_to_ids", _telling(tokenizer.convert_tokens_to_ids, seen))
    chunks = list(encode(tokenizer, texts, limit))
    assert not seen or len(os.sched_getaffinity(0)) == 1, "the texts were tokenized in this process"
    rows = np.split(
        np.concatenate([c.ids for c in chunks]), np.cumsum(np.concatenate([c.lengths for c in chunks]))[:-1]
    )
    options = {} if limit is None else {"truncation": True, "max_length": limit}
    assert [row.tolist() for row in rows] == tokenizer(texts, **options)["input_ids"]
    longer = sum(len(text) + 1 > (limit or np.inf) for text in texts)
    assert sum(chunk.truncated for chunk in chunks) == longer


def _telling(function: Callable[..., Any], seen: set[int]) -> Callable[..., Any]:
    """A function that leaves the number of the process it ran in, in this process only."""

    def wrapper(*arguments: Any) -> Any:
        seen.add(os.getpid())
        return function(*arguments)

    return wrapper


def test_progress_counts_every_text(models: dict[str, LanguageModel]) -> None:
    seen: list[int] = []
    tokenize(models["llama"], random_texts(CHUNK + 5), progress=seen.append)
    assert seen == [CHUNK, 5]


def test_a_tokenizer_without_a_pad_token_stays_so(models: dict[str, LanguageModel]) -> None:
    tokenize(models["llama"], ["ba be", "ba"])
    assert models["llama"].tokenizer.pad_token is None


def test_a_tokenizer_that_would_pad_or_cut_by_itself_does_not(tmp_path: Path) -> None:
    """``tokenizer.json`` of sentence encoders often says how to pad and where to cut."""
    folder = save_model(tmp_path, "llama")
    own = tokenizer_of("llama", pad=True)
    own.backend_tokenizer.enable_padding(length=10)
    own.backend_tokenizer.enable_truncation(4)
    own.save_pretrained(folder)
    tokens = tokenize(load_model(folder), [" ".join(WORDS[:7]), WORDS[0]])
    assert (tokens.lengths.tolist(), tokens.truncated) == ([7, 1], 0)


def test_long_texts_are_cut_to_the_context_and_counted(models: dict[str, LanguageModel]) -> None:
    texts = [" ".join(WORDS[:CONTEXT]), " ".join(WORDS[: CONTEXT + 1]), WORDS[0], " ".join(WORDS)]
    tokens = tokenize(models["llama"], texts)
    assert tokens.lengths.tolist() == [CONTEXT, CONTEXT, 1, CONTEXT]
    assert tokens.truncated == 2
    assert ids_of(tokens)[3] == models["llama"].tokenizer(texts[0])["input_ids"]


def test_a_cut_text_keeps_its_special_tokens(models: dict[str, LanguageModel]) -> None:
    model = models["bert"]
    tokens = tokenize(model, [" ".join(WORDS)])
    whole = model.tokenizer(" ".join(WORDS))["input_ids"]
    assert ids_of(tokens) == [[*whole[: CONTEXT - 1], whole[-1]]]
    assert tokens.truncated == 1


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_a_lower_limit_wins(kind: str, models: dict[str, LanguageModel]) -> None:
    tokens = tokenize(models[kind], [" ".join(WORDS[:9]), " ".join(WORDS[:3])], max_length=4)
    assert (tokens.lengths.tolist(), tokens.truncated) == ([4, 3], 1)


def test_the_limit_of_the_tokenizer_counts_too(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "llama")
    own = tokenizer_of("llama")
    own.model_max_length = 5
    own.save_pretrained(folder)
    model = load_model(folder)
    assert model.context == 5
    assert tokenize(model, [" ".join(WORDS)]).lengths.tolist() == [5]


@pytest.mark.parametrize("limit", [0, -3, CONTEXT + 1])
def test_a_limit_that_cannot_be(limit: int, models: dict[str, LanguageModel]) -> None:
    with pytest.raises(InputError, match=f"`max_length`.*{limit}"):
        tokenize(models["llama"], ["ba"], max_length=limit)


@pytest.mark.parametrize("limit", [1, 2])
def test_a_limit_that_leaves_no_room_beside_special_tokens(limit: int, models: dict[str, LanguageModel]) -> None:
    """Two special tokens a text: a limit of 1 is impossible, and with 2 nothing of the text would be left."""
    with pytest.raises(InputError, match="`max_length`"):
        tokenize(models["bert"], ["ba be bi"], max_length=limit)


def test_a_model_without_a_limit(models: dict[str, LanguageModel]) -> None:
    endless = replace(models["llama"], context=None)
    tokens = tokenize(endless, [" ".join(WORDS * 3)])
    assert (tokens.lengths.tolist(), tokens.truncated) == ([3 * len(WORDS)], 0)


def test_positions_that_begin_late_shorten_the_context(tmp_path: Path) -> None:
    """RoBERTa counts positions from the padding index on, so its embedding is longer than its context."""
    from transformers import RobertaConfig, RobertaModel

    words = tokenizer_of("bert")
    config = RobertaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        pad_token_id=1,
    )
    RobertaModel(config).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    tokens = tokenize(model, [" ".join(WORDS)])
    import torch

    seen: list[torch.Size] = []
    model.visit_layers(torch.as_tensor(tokens.padded(np.array([0]), 0)), None, (2,), lambda _l, h: seen.append(h.shape))
    assert seen == [(1, CONTEXT - 2, 16)]


def test_a_text_without_tokens_is_named(models: dict[str, LanguageModel]) -> None:
    with pytest.raises(InputError, match=r"text 1 has no tokens.*'   '"):
        tokenize(models["llama"], ["ba", "   ", "be"])


def test_a_text_without_words_has_its_special_tokens(models: dict[str, LanguageModel]) -> None:
    assert tokenize(models["bert"], ["   "]).lengths.tolist() == [2]


def test_a_tokenizer_of_another_model_is_refused(models: dict[str, LanguageModel]) -> None:
    """Its ids exceed the vocabulary: one sentence, and not an index error out of the middle of the model."""
    foreign = replace(models["llama"], tokenizer=models["qwen2"].tokenizer)
    with pytest.raises(InputError, match="tokenizer"):
        tokenize(foreign, ["ba be"])


def test_no_texts_are_no_tokens(models: dict[str, LanguageModel]) -> None:
    tokens = tokenize(models["llama"], [])
    assert (len(tokens), tokens.lengths.tolist(), tokens.truncated) == (0, [], 0)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), min_size=1, max_size=8), st.data())
def test_padded_rows_hold_their_texts_on_the_left(rows: list[list[int]], data: st.DataObject) -> None:
    offsets = np.cumsum([0, *map(len, rows)])
    tokens = TokenizedTexts(np.concatenate(rows).astype(np.int32), offsets, 0)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    width = max(len(rows[index]) for index in chosen)
    expected = [rows[index] + [-7] * (width - len(rows[index])) for index in chosen]
    assert tokens.padded(np.array(chosen), -7).tolist() == expected


def test_lengths_and_fingerprint_are_computed_once() -> None:
    tokens = TokenizedTexts(np.arange(5, dtype=np.int32), np.array([0, 2, 5]), 0)
    assert tokens.lengths is tokens.lengths and tokens.lengths.tolist() == [2, 3]
    assert tokens.fingerprint is tokens.fingerprint
    assert tokens.fingerprint == sha256(tokens.ids.tobytes() + tokens.offsets.tobytes()).hexdigest()
