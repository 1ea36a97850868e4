"""The hidden states that a model hands over: those of transformers, exactly, in order, and no more than asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ntps.models.load import DTYPES, load_model
from ntps.models.model import LanguageModel
from tiny import DEPTH, save_model

KINDS = ("qwen2", "llama", "gpt2", "bert")
IDS = torch.tensor([[3, 4, 5, 6, 7, 8], [9, 10, 11, 0, 0, 0]])
MASK = (torch.arange(6) < torch.tensor([[6], [3]])).long()
ALL = tuple(range(DEPTH + 1))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save_model(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture
def model(folders: dict[str, Path]) -> LanguageModel:
    return load_model(folders["qwen2"])


def visited(model: LanguageModel, layers: tuple[int, ...], mask: Tensor | None = None) -> list[tuple[int, Tensor]]:
    seen: list[tuple[int, Tensor]] = []
    model.visit_layers(IDS, mask, layers, lambda layer, hidden: seen.append((layer, hidden.clone())))
    return seen


def hooks(model: LanguageModel) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.base.modules())


def calls(model: LanguageModel) -> list[str]:
    """Names of the modules that one pass up to layer 1 enters."""
    entered: list[str] = []
    handles = [
        part.register_forward_pre_hook(lambda _part, _inputs, name=name: entered.append(name))
        for name, part in model.base.named_modules()
        if name
    ]
    try:
        visited(model, (1,))
    finally:
        for handle in handles:
            handle.remove()
    return entered


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_states_are_those_of_transformers(kind: str, dtype: str, masked: bool, folders: dict[str, Path]) -> None:
    """Exactly, at every layer: 0 is the embedding output, L what the model returns."""
    model = load_model(folders[kind], dtype=dtype)
    mask = MASK if masked else None
    with torch.inference_mode():
        output = model.base(input_ids=IDS, attention_mask=mask, use_cache=False, output_hidden_states=True)
    seen = visited(model, ALL, mask)
    assert [layer for layer, _ in seen] == list(ALL)
    assert len(output.hidden_states) == DEPTH + 1
    for (layer, hidden), expected in zip(seen, output.hidden_states, strict=True):
        assert hidden.dtype == DTYPES[dtype]
        assert torch.equal(hidden, expected), layer


@pytest.mark.parametrize("layers", [(0,), (1,), (2,), (3,), (0, 3), (1, 2)])
def test_some_layers_are_the_same_as_among_all(layers: tuple[int, ...], model: LanguageModel) -> None:
    everything = dict(visited(model, ALL))
    seen = visited(model, layers)
    assert tuple(layer for layer, _ in seen) == layers
    assert all(torch.equal(hidden, everything[layer]) for layer, hidden in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_ends_after_the_last_layer_asked_for(kind: str, folders: dict[str, Path]) -> None:
    model = load_model(folders[kind])
    entered = calls(model)
    paths = {id(part): name for name, part in model.base.named_modules()}
    first, second, *_ = (paths[id(block)] for block in model.blocks)
    assert first in entered
    assert not [name for name in entered if name == second or name.startswith(f"{second}.")]


def test_no_block_runs_for_the_embedding(model: LanguageModel) -> None:
    ran: list[nn.Module] = []
    handles = [
        part.register_forward_pre_hook(lambda part, _inputs: ran.append(part)) for part in model.blocks[0].children()
    ]
    visited(model, (0,))
    assert handles and not ran


@pytest.mark.parametrize("layers", [ALL, (1,), (0,)])
def test_no_hook_is_left_behind(layers: tuple[int, ...], model: LanguageModel) -> None:
    visited(model, layers)
    assert hooks(model) == 0


@pytest.mark.parametrize("failing", ALL)
def test_no_hook_is_left_behind_when_the_sink_fails(failing: int, model: LanguageModel) -> None:
    def sink(layer: int, _hidden: Tensor) -> None:
        if layer == failing:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.visit_layers(IDS, None, ALL, sink)
    assert hooks(model) == 0
    assert len(visited(model, ALL)) == DEPTH + 1


def test_no_hook_is_left_behind_when_the_model_fails(model: LanguageModel) -> None:
    with pytest.raises(IndexError):
        model.visit_layers(torch.tensor([[10**6]]), None, ALL, lambda _layer, _hidden: None)
    assert hooks(model) == 0


def test_loading_leaves_no_hook(folders: dict[str, Path]) -> None:
    assert [hooks(load_model(folder)) for folder in folders.values()] == [0] * len(KINDS)


def test_a_pass_keeps_no_graph(model: LanguageModel) -> None:
    assert not any(hidden.requires_grad for _, hidden in visited(model, ALL))


def test_dropout_is_off(folders: dict[str, Path]) -> None:
    model = load_model(folders["gpt2"])
    config: Any = model.base.config
    assert config.resid_pdrop > 0
    first, second = visited(model, ALL), visited(model, ALL)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, second, strict=True))


def test_padding_is_filled_with_a_token_that_the_model_knows(folders: dict[str, Path]) -> None:
    """Tokenizers without a pad token, and those whose pad token was added without resizing the model."""
    for kind in KINDS:
        model = load_model(folders[kind])
        config: Any = model.base.config
        for pad in (None, "[PAD]"):
            model.tokenizer.pad_token = None
            if pad:
                model.tokenizer.add_special_tokens({"pad_token": pad})
                assert model.tokenizer.pad_token_id >= config.vocab_size
            assert 0 <= model.pad_id < config.vocab_size
