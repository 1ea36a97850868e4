"""The start-up check: causal models need no mask, encoders do, and trouble is not mistaken for rounding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ntps.forward.causality import check_batching
from ntps.models.load import DTYPES, load_model
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from tiny import CONTEXT, DEPTH, WORDS, random_texts, save_model

ALL = tuple(range(DEPTH + 1))
BUDGET = 2048


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save_model(tmp_path_factory.mktemp(kind), kind) for kind in ("qwen2", "llama", "gpt2", "bert")}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "causal"), [("qwen2", True), ("llama", True), ("gpt2", True), ("bert", False)])
def test_causal_models_need_no_mask(kind: str, causal: bool, dtype: str, folders: dict[str, Path]) -> None:
    model = load_model(folders[kind], dtype=dtype)
    check = check_batching(model, tokenize(model, random_texts(30)), ALL, BUDGET)
    assert check.causal is causal
    assert check.passes
    assert 0 <= check.deviation <= check.tolerance
    if dtype == "float64":
        assert check.deviation < 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_encoder_that_hardly_attends_is_not_taken_for_causal(dtype: str, folders: dict[str, Path]) -> None:
    """Right after initialization, later tokens change earlier states by less than half precision rounds."""
    model = load_model(folders["bert"], dtype=dtype)
    with torch.no_grad():
        for block in model.blocks:
            block.get_parameter("attention.output.dense.weight").mul_(0.02)
    assert not check_batching(model, tokenize(model, random_texts(30)), ALL, BUDGET).causal


def test_the_embedding_alone_needs_no_mask_even_of_an_encoder(folders: dict[str, Path]) -> None:
    model = load_model(folders["bert"])
    assert check_batching(model, tokenize(model, random_texts(30)), (0,), BUDGET).causal


@pytest.mark.parametrize("texts", [["ba"], ["ba"] * 3, ["ba", " ".join(WORDS)]])
def test_few_and_equal_texts_will_do(texts: list[str], folders: dict[str, Path]) -> None:
    for kind, folder in folders.items():
        model = load_model(folder)
        check = check_batching(model, tokenize(model, texts), ALL, BUDGET)
        assert check.passes and check.causal is (kind != "bert")


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_texts_as_long_as_the_context_fit(kind: str, folders: dict[str, Path]) -> None:
    """Learned positions end with the context: the check must not ask for one more."""
    model = load_model(folders[kind])
    tokens = tokenize(model, [" ".join(WORDS), "ba be"])
    assert tokens.lengths.max() == CONTEXT
    assert check_batching(model, tokens, ALL, BUDGET).passes


def test_one_text_of_the_whole_context_fits(folders: dict[str, Path]) -> None:
    model = load_model(folders["gpt2"])
    assert check_batching(model, tokenize(model, [" ".join(WORDS)]), ALL, BUDGET).causal


def _spoil(model: LanguageModel, value: float) -> None:
    with torch.no_grad():
        model.blocks[1].get_parameter("mlp.down_proj.weight").fill_(value)


def test_states_that_are_not_finite_never_pass(folders: dict[str, Path]) -> None:
    model = load_model(folders["qwen2"])
    _spoil(model, float("nan"))
    check = check_batching(model, tokenize(model, random_texts(30)), ALL, BUDGET)
    assert not check.passes
    # Below the spoiled block all is well.
    assert check_batching(model, tokenize(model, random_texts(30)), (0, 1), BUDGET).passes


def test_a_model_that_looks_at_its_batch_does_not_pass(folders: dict[str, Path]) -> None:
    model = load_model(folders["qwen2"])

    def leak(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output + output.mean(dim=0, keepdim=True)

    model.blocks[1].register_forward_hook(leak)
    check = check_batching(model, tokenize(model, random_texts(30)), ALL, BUDGET)
    assert not check.passes
    assert check.deviation > 1e-2


@pytest.mark.parametrize("budget", [1, 2048])
def test_windows_wider_than_a_short_text_are_noticed(budget: int, folders: dict[str, Path]) -> None:
    """A model that leaks padding only into long texts, and texts one by one, which nothing pads."""
    model = load_model(folders["qwen2"])

    def leak(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output * output.shape[1] if output.shape[1] > 24 else output

    model.blocks[1].register_forward_hook(leak)
    texts = [" ".join(WORDS[:30]), *random_texts(30, longest=6)]
    check = check_batching(model, tokenize(model, texts), ALL, budget)
    assert check.passes is (budget == 1)
    assert (check.texts > 0, check.longest) == (budget > 1, 30 * (budget > 1))


def test_the_batches_are_those_of_the_pass(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest texts and those with most padding run as wide as their batch is."""
    model = load_model(folders["qwen2"])
    seen: list[tuple[int, int]] = []
    forward = model.base.forward

    def watched(*args: object, **kwargs: object) -> object:
        ids = kwargs["input_ids"]
        assert isinstance(ids, torch.Tensor)
        seen.append((len(ids), ids.shape[1]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.base, "forward", watched)
    texts = [" ".join(WORDS[:length]) for length in (30, 30, 20, 4, 3, 2, 2, 2)]
    check = check_batching(model, tokenize(model, texts), ALL, 60)
    assert [shape for shape in seen if shape[0] > 1] == [(2, 30), (3, 20)]
    assert sorted(width for rows, width in seen[3:] if rows == 1) == [3, 4, 20, 30, 30]
    assert (check.texts, check.longest) == (5, 30) and check.passes
