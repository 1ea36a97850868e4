"""Every form of LoRA that PEFT trains gives the hidden states that PEFT's own model gives before it is merged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from ntps import InputError, LanguageModel, load_model
from ntps.models.adapters.adapter import check_adapter
from ntps.models.adapters.files import CONFIG, PICKLED, WEIGHTS
from tiny import save_model

IDS = torch.tensor([[5, 7, 9, 11, 2, 3], [3, 4, 8, 6, 1, 10]])
QV = ["q_proj", "v_proj"]


@dataclass(frozen=True)
class Form:
    """How an adapter is trained: on which model, with which options of PEFT's configuration."""

    options: dict[str, Any] = field(default_factory=dict)
    head: Any = AutoModelForCausalLM
    kind: str = "llama"
    tokens: int | None = None
    config: dict[str, Any] = field(default_factory=dict)


def lora(**options: Any) -> Form:
    return Form({"target_modules": QV, "task_type": "CAUSAL_LM"} | options)


FORMS = {
    "plain": lora(),
    "without a head": Form({"target_modules": QV, "task_type": "FEATURE_EXTRACTION"}, AutoModel),
    "alpha by path": lora(
        alpha_pattern={r"^model\.layers\.1\.self_attn\.q_proj": 64, "model.layers.2.self_attn.v_proj": 1}
    ),
    "rank by path": lora(rank_pattern={r"^model\.layers\.1\.self_attn\.q_proj": 3, "v_proj": 1}),
    "targets by path": lora(target_modules=["model.layers.0.self_attn.q_proj", "model.layers.2.mlp.up_proj"]),
    "targets by pattern": lora(target_modules=r"model\.layers\.[0-1]\.self_attn\.(q|v)_proj"),
    "all linear": lora(target_modules="all-linear"),
    "excluded by path": lora(exclude_modules=r"model\.layers\.1\..*"),
    "some layers": lora(layers_to_transform=[0, 2]),
    "one layer by pattern": lora(layers_to_transform=1, layers_pattern="layers"),
    "parameters": lora(target_modules=[], target_parameters=["mlp.down_proj.weight"]),
    "rank stabilized": lora(use_rslora=True, r=5),
    "magnitudes": lora(use_dora=True),
    "magnitudes of the embedding": lora(use_dora=True, target_modules=["q_proj", "embed_tokens"]),
    "biases of LoRA": Form({"target_modules": QV, "lora_bias": True}, kind="qwen2"),
    "biases of its layers": Form({"target_modules": QV, "bias": "lora_only"}, kind="qwen2"),
    "all biases": Form(
        {"target_modules": ["query"], "bias": "all", "task_type": "SEQ_CLS"}, AutoModelForSequenceClassification, "bert"
    ),
    "principal components": lora(init_lora_weights="pissa"),
    "orthonormal": lora(init_lora_weights="olora"),
    "a classification head": Form({"target_modules": QV, "task_type": "SEQ_CLS"}, AutoModelForSequenceClassification),
    "a head for every token": Form({"target_modules": QV, "task_type": "TOKEN_CLS"}, AutoModelForTokenClassification),
    "the language model's head": lora(target_modules=[*QV, "lm_head"]),
    "embedding and head trained whole": lora(modules_to_save=["embed_tokens", "lm_head"]),
    "norms trained whole": lora(modules_to_save=["norm"]),
    "the embedding": lora(target_modules=[*QV, "embed_tokens"]),
    "more tokens": Form({"target_modules": QV, "task_type": "CAUSAL_LM"}, tokens=70),
    "fewer tokens": Form({"target_modules": QV, "task_type": "CAUSAL_LM"}, tokens=20),
    "more tokens, trained": Form({"target_modules": QV, "modules_to_save": ["embed_tokens", "lm_head"]}, tokens=70),
    "more tokens, with LoRA": Form({"target_modules": [*QV, "embed_tokens"]}, tokens=70),
    "some tokens": lora(trainable_token_indices=[3, 7]),
    "some tokens by name": lora(trainable_token_indices={"embed_tokens": [3, 7], "lm_head": [3]}),
    "more tokens, some trained": Form({"target_modules": QV, "trainable_token_indices": [3, 65]}, tokens=70),
    "tied": Form({"target_modules": QV, "trainable_token_indices": [3]}, config={"tie_word_embeddings": True}),
    "tied, with LoRA": Form({"target_modules": ["embed_tokens"]}, config={"tie_word_embeddings": True}),
    "tied, trained": Form(
        {"target_modules": QV, "modules_to_save": ["embed_tokens"]}, config={"tie_word_embeddings": True}
    ),
    "tied, head trained": Form(
        {"target_modules": QV, "modules_to_save": ["lm_head"]}, config={"tie_word_embeddings": True}
    ),
    "transposed": Form({"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True}, kind="gpt2"),
    "transposed, unsaid": Form({"target_modules": ["c_attn"]}, kind="gpt2"),
    "transposed, a class": Form(
        {"target_modules": ["c_attn"], "task_type": "SEQ_CLS"}, AutoModelForSequenceClassification, "gpt2"
    ),
    "an encoder": Form(
        {"target_modules": ["query", "dense"], "task_type": "SEQ_CLS"}, AutoModelForSequenceClassification, "bert"
    ),
}


def train(form: Form, model: Path, folder: Path) -> Tensor:
    """Writes an adapter with random weights; the hidden states of PEFT's model."""
    torch.manual_seed(1)
    whole = form.head.from_pretrained(model, dtype=torch.float32)
    if form.tokens:
        whole.resize_token_embeddings(form.tokens)
    peft_model: Any = get_peft_model(whole, LoraConfig(**{"r": 4, "lora_alpha": 8} | form.options)).eval()
    with torch.no_grad():
        for parameter in peft_model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    peft_model.save_pretrained(folder)
    base = whole if form.head is AutoModel else getattr(whole, whole.base_model_prefix)
    return states(base)


@torch.no_grad()
def states(base: Any) -> Tensor:
    last: Tensor = base(input_ids=IDS, use_cache=False).last_hidden_state
    return last


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str, tmp_path: Path) -> None:
    form = FORMS[name]
    folder, adapter = save_model(tmp_path / "model", form.kind, **form.config), tmp_path / "adapter"
    expected = train(form, folder, adapter)
    plain = load_model(folder)
    weights, tokens = plain.weights(), plain.vocabulary
    check_adapter(plain, adapter)
    assert plain.weights() == weights
    assert plain.vocabulary == tokens
    merged = load_model(folder, adapter=adapter)
    assert difference(states(merged.base), expected) < 1e-5
    assert difference(states(plain.base), expected) > 1e-2
    assert merged.vocabulary == (form.tokens or tokens)
    assert [name for name, _ in merged.base.named_parameters()] == [name for name, _ in plain.base.named_parameters()]


def half(name: str, folder: Path) -> dict[str, torch.dtype]:
    """What a tiny model of a kind keeps in another dtype than the run's, by name."""
    base = load_model(folder, dtype=name).base
    weights = {**dict(base.named_parameters()), **dict(base.named_buffers())}
    run = {"bfloat16": torch.bfloat16, "float16": torch.float16}[name]
    return {key: weight.dtype for key, weight in weights.items() if weight.is_floating_point() and weight.dtype != run}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_an_adapter_that_changes_nothing_changes_no_bit(dtype: str, tmp_path: Path) -> None:
    folder, adapter = save_model(tmp_path / "model", "llama"), tmp_path / "adapter"
    peft_model: Any = get_peft_model(AutoModel.from_pretrained(folder), LoraConfig(r=2, target_modules=QV))
    peft_model.save_pretrained(adapter)
    plain, merged = load_model(folder, dtype=dtype), load_model(folder, dtype=dtype, adapter=adapter)
    assert "rotary_emb.inv_freq" in half(dtype, folder)
    for (name, before), (other, after) in zip(tensors(plain), tensors(merged), strict=True):
        assert (name, before.dtype) == (other, after.dtype)
        assert torch.equal(before, after)
    assert torch.equal(states(plain.base), states(merged.base))


def tensors(model: LanguageModel) -> list[tuple[str, Tensor]]:
    return [*model.base.named_parameters(), *model.base.named_buffers()]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_fresh_weights_keep_what_the_model_keeps_in_float32(dtype: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path, "llama")
    exact, in_float32 = dict(tensors(load_model(folder, fresh=1))), half(dtype, folder)
    for name, tensor in tensors(load_model(folder, fresh=1, dtype=dtype)):
        kept = name in in_float32
        assert torch.equal(tensor, exact[name] if kept else exact[name].to(tensor.dtype)), name


def test_pickled_weights(tmp_path: Path) -> None:
    folder, adapter = save_model(tmp_path / "model", "llama"), tmp_path / "adapter"
    expected = train(lora(), folder, adapter)
    torch.save(load_file(adapter / WEIGHTS), adapter / PICKLED)
    (adapter / WEIGHTS).unlink()
    assert difference(states(load_model(folder, adapter=adapter).base), expected) < 1e-5
    (adapter / PICKLED).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(folder, adapter=adapter)


def test_an_adapter_beside_the_weights_is_told_and_not_applied(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "llama")
    plain = load_model(folder)
    expected = train(lora(), folder, folder)
    alone = load_model(folder)
    assert alone.weights() == plain.weights()
    assert alone.adapter is None
    assert [note for note in alone.notes if "holds an adapter beside its weights" in note and "`adapter`" in note]
    merged = load_model(folder, adapter=folder)
    assert difference(states(merged.base), expected) < 1e-5
    assert merged.notes == plain.notes


def test_what_is_said(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "llama")
    form = Form({"target_modules": r".*\.(q|v)_proj", "task_type": "CAUSAL_LM"}, tokens=70)
    train(form, folder, tmp_path / "adapter")
    merged = load_model(folder, adapter=tmp_path / "adapter")
    assert merged.adapter is not None
    assert merged.adapter["targets"] == [r".*\.(q|v)_proj"]
    head, vocabulary = merged.notes
    assert "(lm_head) is not used" in head
    assert "a vocabulary of 70 tokens where the model has 43" in vocabulary


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a pattern that is none": ({"target_modules": "("}, "unterminated"),
    "a token that is none": ({"trainable_token_indices": [999999]}, "the adapter lacks|out of"),
    "a rank that is none": ({"r": "many"}, "belongs to another model"),
    "targets that are none": ({"target_modules": 5}, "belongs to another model"),
    "only after some tokens": ({"alora_invocation_tokens": [3]}, "cannot be merged: aLoRA does not support merging"),
    "biases without a place": ({"lora_bias": True}, "cannot be merged|the adapter lacks"),
    "blocks repeated": ({"layer_replication": [[0, 3], [0, 3]]}, "the adapter lacks"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_configurations_that_cannot_be_merged(name: str, tmp_path: Path) -> None:
    folder, adapter = save_model(tmp_path / "model", "llama"), tmp_path / "adapter"
    train(lora(), folder, adapter)
    values, sentence = REFUSED[name]
    (adapter / CONFIG).write_text(json.dumps(json.loads((adapter / CONFIG).read_text()) | values))
    plain = load_model(folder)
    refusals: list[Callable[[], object]] = [
        lambda: check_adapter(plain, adapter),
        lambda: load_model(folder, adapter=adapter),
    ]
    for refused in refusals:
        with pytest.raises(InputError, match=sentence) as caught:
            refused()
        assert ". " not in str(caught.value)


def test_blocks_that_share_their_weights(tmp_path: Path) -> None:
    folder, adapter = save_model(tmp_path / "model", "llama"), tmp_path / "adapter"
    train(lora(layer_replication=[[0, 3], [1, 3]]), folder, adapter)
    with pytest.raises(InputError, match="share their weights"):
        check_adapter(load_model(folder), adapter)


def test_other_kinds_of_adapters(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "llama")
    peft_model: Any = get_peft_model(
        AutoModel.from_pretrained(folder), IA3Config(target_modules=["k_proj"], feedforward_modules=[])
    )
    peft_model.save_pretrained(tmp_path / "adapter")
    with pytest.raises(InputError, match=r"of the kind IA3.*merge_and_unload"):
        load_model(folder, adapter=tmp_path / "adapter")


def test_quantized_weights(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "llama")
    train(lora(), folder, tmp_path / "adapter")
    model = load_model(folder)
    model.base.config.quantization_config = {"quant_method": "bitsandbytes"}  # type: ignore[union-attr]
    with pytest.raises(InputError, match="are quantized"):
        check_adapter(model, tmp_path / "adapter")
