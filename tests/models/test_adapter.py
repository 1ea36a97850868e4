"""LoRA goes on queries, keys and values alone; merging it changes no hidden state; a wrong one is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from ntps import InputError, LanguageModel, load_model
from ntps.models.adapters.adapter import attach_adapter, check_adapter
from ntps.models.adapters.files import CONFIG, ORIGIN, WEIGHTS
from ntps.models.adapters.lora import adapter_tensors, add_lora
from openelm import save_openelm
from tiny import DEPTH, config_of, save_model, tokenizer_of

KINDS = {
    "qwen2": {"q_proj", "k_proj", "v_proj"},
    "llama": {"q_proj", "k_proj", "v_proj"},
    "gpt2": {"c_attn"},
    "openelm": {"qkv_proj"},
    "bert": {"query", "key", "value"},
}
IDS = torch.tensor([[5, 7, 9, 11], [3, 3, 8, 6]])


def save(folder: Path, kind: str, **config: Any) -> Path:
    if kind == "openelm":
        tokenizer = tokenizer_of("llama")
        return save_openelm(folder, tokenizer, vocabulary=len(tokenizer))
    return save_model(folder, kind, **config)


def write_adapter(folder: Path, peft_model: Any) -> Path:
    """An adapter with random weights."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in peft_model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    tensors, config = adapter_tensors(peft_model)
    folder.mkdir()
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


def states(base: Any) -> Tensor:
    with torch.no_grad():
        hidden: Tensor = base(input_ids=IDS, use_cache=False).last_hidden_state
    return hidden


def lora(model: LanguageModel, start_layer: int = 0) -> Any:
    return add_lora(model, rank=4, alpha=8, dropout=0.1, start_layer=start_layer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [0, 2])
def test_what_is_trained(kind: str, start: int, tmp_path: Path) -> None:
    model = load_model(save(tmp_path, kind))
    trained = [name for name, weight in lora(model, start).named_parameters() if weight.requires_grad]
    found = {(name.split(".lora_")[0].rpartition(".")[2], name.split(".lora_")[1][0]) for name in trained}
    assert found == {(target, side) for target in KINDS[kind] for side in "AB"}
    blocks = {int(next(part for part in name.split(".") if part.isdigit())) for name in trained}
    assert blocks == set(range(start, DEPTH))
    assert len(trained) == 2 * len(KINDS[kind]) * (DEPTH - start)


@pytest.mark.parametrize("start", [-1, DEPTH])
def test_there_is_no_such_block(start: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"`start_layer` must be 0 to {DEPTH - 1} .*, not {start}"):
        lora(load_model(save_model(tmp_path)), start)


@pytest.mark.parametrize("kind", KINDS)
def test_merged_and_unmerged_are_the_same(kind: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", kind)
    plain = load_model(folder)
    before = states(plain.base)
    weights = plain.weights()
    adapter = write_adapter(tmp_path / "adapter", lora(load_model(folder)))
    check_adapter(plain, adapter)
    assert plain.weights() == weights
    assert torch.equal(states(plain.base), before)
    merged = load_model(folder, adapter=adapter)
    unmerged = attach_adapter(load_model(folder).base, adapter, "it")
    torch.testing.assert_close(states(merged.base), states(unmerged), rtol=0, atol=1e-5)
    assert (states(merged.base) - before).abs().max() > 0.01
    assert merged.weights() != weights
    assert merged.adapter is not None
    assert merged.adapter["rank"] == 4
    assert [name for name, _ in merged.base.named_parameters()] == [name for name, _ in plain.base.named_parameters()]


def test_it_is_merged_before_the_weights_are_rounded(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    adapter = write_adapter(tmp_path / "adapter", lora(load_model(folder)))
    exact = dict(load_model(folder, adapter=adapter).base.named_parameters())
    for name, weight in load_model(folder, adapter=adapter, dtype="bfloat16").base.named_parameters():
        assert torch.equal(weight, exact[name].bfloat16())


def test_adapters_of_models_with_their_head(tmp_path: Path) -> None:
    """As PEFT trains them for text generation."""
    folder = save_model(tmp_path / "model")
    causal = AutoModelForCausalLM.from_config(config_of("qwen2"))
    causal.model.load_state_dict(load_model(folder).base.state_dict())
    peft_model: Any = get_peft_model(causal, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    adapter = write_adapter(tmp_path / "adapter", peft_model)
    with torch.no_grad():
        expected = peft_model.eval().base_model.model.model(input_ids=IDS, use_cache=False).last_hidden_state
    torch.testing.assert_close(states(load_model(folder, adapter=adapter).base), expected, rtol=0, atol=1e-5)


def change_config(folder: Path, **values: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def drop_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    del tensors[min(tensors)]
    save_file(tensors, folder / WEIGHTS)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "is not a folder"),
    "no configuration": (lambda folder: (folder / CONFIG).unlink(), f"has no {CONFIG}"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), f"has no {WEIGHTS}"),
    "damaged weights": (lambda folder: (folder / WEIGHTS).write_bytes(b"?"), "cannot be read"),
    "damaged configuration": (lambda folder: (folder / CONFIG).write_text("[]"), "cannot be read"),
    "damaged origin": (lambda folder: (folder / ORIGIN).write_text("[]"), "cannot be read"),
    "another kind": (lambda folder: change_config(folder, peft_type="IA3"), "of the kind IA3"),
    "another rank": (lambda folder: change_config(folder, r=8), r"\(4, 16\) in the adapter, \(8, 16\) expected"),
    "other modules": (lambda folder: change_config(folder, target_modules=["c_attn"]), "another model than .*c_attn"),
    "more modules": (lambda folder: change_config(folder, target_modules=["q_proj"]), "the model has no place for"),
    "fewer tensors": (drop_a_tensor, "the adapter lacks"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_adapters(what: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    adapter = write_adapter(tmp_path / "adapter", lora(load_model(folder)))
    spoil, sentence = WRONG[what]
    spoil(adapter)
    with pytest.raises(InputError, match=sentence) as caught:
        load_model(folder, adapter=adapter)
    assert ". " not in str(caught.value)


@pytest.mark.parametrize("other", [{"hidden_size": 32}, {"num_hidden_layers": 2}, {"num_hidden_layers": 4}])
def test_adapters_of_other_models(other: dict[str, Any], tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", lora(load_model(save_model(tmp_path / "model"))))
    types = ["full_attention"] * other.get("num_hidden_layers", DEPTH)
    with pytest.raises(InputError, match="belongs to another model than"):
        load_model(save_model(tmp_path / "other", layer_types=types, **other), adapter=adapter)


def test_fresh_weights_follow_from_their_seed(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    first, again, other = (load_model(folder, fresh=seed).weights() for seed in (1, 1, 2))
    assert first == again != other
    assert other != load_model(folder).weights()
    # Not even looked for.
    (folder / "model.safetensors").unlink()
    assert load_model(folder, fresh=1).weights() == first
