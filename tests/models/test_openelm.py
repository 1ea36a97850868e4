"""OpenELM against a float64 evaluation in NumPy loops, and through every road that loads, pads, trains and saves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from ntps.errors import InputError
from ntps.models.openelm import OpenELMConfig, OpenELMForCausalLM, OpenELMModel, published_configs, register

Array = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]

register()

# Worked out by hand: widths 80, 107.2, 132.8, 160 in steps of 32, where 96 would lose more than a tenth of 107.2.
QUERY_HEADS, KV_HEADS = [12, 16, 16, 20], [3, 4, 4, 5]
FFN_MULTIPLIERS, FFN_DIMS = [0.5, 1.67, 2.83, 4.0], [80, 272, 448, 640]
SMALL = json.loads("""{
    "model_type": "openelm", "architectures": ["OpenELMForCausalLM"],
    "auto_map": {"AutoConfig": "configuration_openelm.OpenELMConfig",
                 "AutoModelForCausalLM": "modeling_openelm.OpenELMForCausalLM"},
    "vocab_size": 61, "max_context_length": 64, "num_transformer_layers": 4, "model_dim": 160, "head_dim": 8,
    "qkv_multipliers": [0.5, 1.0], "num_gqa_groups": 4, "ffn_multipliers": [0.5, 4.0], "ffn_with_glu": true,
    "ffn_dim_divisor": 16, "activation_fn_name": "swish", "normalization_layer_name": "rms_norm",
    "normalize_qk_projections": true, "share_input_output_layers": true, "rope_freq_constant": 10000,
    "rope_max_length": 128, "initializer_range": 0.02, "bos_token_id": 1, "eos_token_id": 2,
    "torch_dtype": "float32", "transformers_version": "4.39.3", "use_cache": true
}""")
LISTS = {"num_query_heads": QUERY_HEADS, "num_kv_heads": KV_HEADS, "ffn_multipliers": FFN_MULTIPLIERS}
IDS = torch.from_numpy(np.random.default_rng(1).integers(3, 61, (2, 11)))


def random_weights() -> Weights:
    """Weights of the small model under the published names, scaled so that every sublayer matters."""
    rng = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        values: NDArray[np.float32] = (0.7 * rng.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)
        return values

    def norm(width: int) -> NDArray[np.float32]:
        return (1 + 0.3 * rng.standard_normal(width)).astype(np.float32)

    weights = {"token_embeddings": matrix(61, 160), "norm": norm(160)}
    for i, (query_heads, kv_heads, width) in enumerate(zip(QUERY_HEADS, KV_HEADS, FFN_DIMS, strict=True)):
        weights |= {
            f"layers.{i}.attn.qkv_proj": matrix((query_heads + 2 * kv_heads) * 8, 160),
            f"layers.{i}.attn.out_proj": matrix(160, query_heads * 8),
            f"layers.{i}.ffn.proj_1": matrix(2 * width, 160),
            f"layers.{i}.ffn.proj_2": matrix(160, width),
        }
        weights |= {f"layers.{i}.attn.{name}": norm(8) for name in ("q_norm", "k_norm")}
        weights |= {f"layers.{i}.{name}": norm(160) for name in ("attn_norm", "ffn_norm")}
    return {f"transformer.{name}.weight": value for name, value in weights.items()}


WEIGHTS = random_weights()


def write_checkpoint(folder: Path, weights: Weights, **changes: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(SMALL | changes))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published"), WEIGHTS)


def load(folder: Path, **options: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, **options)


def states(model: torch.nn.Module, ids: torch.Tensor, **options: Any) -> torch.Tensor:
    """All hidden states, `[layers + 1, batch, time, width]`."""
    with torch.no_grad():
        return torch.stack(model(input_ids=ids, output_hidden_states=True, **options).hidden_states)


def rms_norm(x: Array, weight: Array) -> Array:
    normed: Array = x / np.sqrt(np.mean(x * x) + 1e-6) * weight
    return normed


def rotate(head: Array, position: int, base: float = 10000.0) -> Array:
    half, rotated = len(head) // 2, np.empty_like(head)
    for j in range(half):
        turned = complex(head[j], head[j + half]) * np.exp(1j * position * base ** (-2 * j / len(head)))
        rotated[j], rotated[j + half] = turned.real, turned.imag
    return rotated


def attention(normed: list[Array], w: dict[str, Array], query_heads: int, kv_heads: int) -> list[Array]:
    queries, keys, values = [], [], []
    for position, x in enumerate(normed):
        heads = (w["attn.qkv_proj"] @ x).reshape(-1, 8)
        queries.append([rotate(rms_norm(h, w["attn.q_norm"]), position) for h in heads[:query_heads]])
        keys.append([rotate(rms_norm(h, w["attn.k_norm"]), position) for h in heads[query_heads:-kv_heads]])
        values.append(heads[-kv_heads:])
    outputs = []
    for position in range(len(normed)):
        mixed, seen = [], range(position + 1)
        for head in range(query_heads):
            shared = head // (query_heads // kv_heads)
            scores = np.array([queries[position][head] @ keys[s][shared] / np.sqrt(8) for s in seen])
            attended = np.exp(scores - scores.max())
            mixed.append(sum(attended[s] * values[s][shared] for s in seen) / attended.sum())
        outputs.append(w["attn.out_proj"] @ np.concatenate(mixed))
    return outputs


def brute_force(ids: NDArray[np.int64]) -> tuple[list[list[Array]], list[Array]]:
    """Hidden states `[layers + 1][time]` and logits `[time]` of one sequence, in float64 and without torch."""
    exact = {k.removeprefix("transformer.").removesuffix(".weight"): v.astype(np.float64) for k, v in WEIGHTS.items()}
    hidden = [exact["token_embeddings"][token] for token in ids]
    every = [hidden]
    for i, (query_heads, kv_heads) in enumerate(zip(QUERY_HEADS, KV_HEADS, strict=True)):
        w = {k.removeprefix(f"layers.{i}."): v for k, v in exact.items() if k.startswith(f"layers.{i}.")}
        attended = attention([rms_norm(x, w["attn_norm"]) for x in hidden], w, query_heads, kv_heads)
        hidden = [x + y for x, y in zip(hidden, attended, strict=True)]
        for t, x in enumerate(hidden):
            first, second = np.split(w["ffn.proj_1"] @ rms_norm(x, w["ffn_norm"]), 2)
            hidden[t] = x + w["ffn.proj_2"] @ (first / (1 + np.exp(-first)) * second)
        every.append(hidden)
    every[-1] = [rms_norm(x, exact["norm"]) for x in hidden]
    return every, [exact["token_embeddings"] @ x for x in every[-1]]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_every_state_and_the_logits_equal_brute_force(folder: Path, attention: str) -> None:
    with torch.no_grad():
        output = load(folder, attn_implementation=attention)(IDS, output_hidden_states=True)
    expected = [brute_force(ids) for ids in IDS.numpy()]
    hidden = np.stack(output.hidden_states, axis=1)
    np.testing.assert_allclose(hidden, [every for every, _ in expected], rtol=0, atol=1e-5)
    np.testing.assert_allclose(output.logits, [logits for _, logits in expected], rtol=0, atol=1e-5)


def test_eager_equals_sdpa_and_records_causal_attention(folder: Path) -> None:
    eager, sdpa = load(folder, attn_implementation="eager"), load(folder, attn_implementation="sdpa")
    torch.testing.assert_close(states(eager, IDS), states(sdpa, IDS), rtol=0, atol=1e-5)
    attentions = eager(IDS, output_attentions=True).attentions
    assert [a.shape[1] for a in attentions] == QUERY_HEADS
    assert all(a.equal(a.tril()) for a in attentions)


@pytest.mark.parametrize(("name", "millions"), [("270M", 271.5), ("450M", 457.2), ("1_1B", 1079.9), ("3B", 3036.6)])
def test_published_sizes(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(published_configs()[f"OpenELM-{name}"])
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions


def test_config_resolves_standard_names_and_round_trips(tmp_path: Path) -> None:
    assert published_configs()["OpenELM-270M"].num_query_heads == [12] * 5 + [16] * 7 + [20] * 4
    config = OpenELMConfig(**SMALL)
    assert (config.num_query_heads, config.num_kv_heads, config.ffn_dims) == (QUERY_HEADS, KV_HEADS, FFN_DIMS)
    assert config.ffn_multipliers == FFN_MULTIPLIERS
    assert (config.num_hidden_layers, config.hidden_size, config.max_position_embeddings) == (4, 160, 64)
    assert (config.vocab_size, config.num_attention_heads, config.num_key_value_heads) == (61, 20, 5)
    config.save_pretrained(tmp_path)
    register()  # once more: nothing changes
    again = AutoConfig.from_pretrained(tmp_path)
    assert type(again) is OpenELMConfig and again.to_diff_dict() == config.to_diff_dict()
    settings: dict[str, Any] = {"num_hidden_layers": 3, "model_dim": 256, "ffn_multipliers": 2}
    one = OpenELMConfig(**settings)
    assert (one.num_query_heads, one.num_kv_heads, one.ffn_dims) == ([2] * 3, [2] * 3, [512] * 3)


def test_impossible_configurations_are_input_errors() -> None:
    heads = {"num_query_heads": [12, 16]}, {"num_kv_heads": [3, 4, 4, 3]}
    for changes in (*heads, {"ffn_multipliers": [1.0, 2.0, 3.0]}, {"normalization_layer_name": "layer_norm"}):
        with pytest.raises(InputError, match="OpenELM"):
            OpenELMConfig(**SMALL | changes)


@pytest.mark.parametrize("lists", [{}, LISTS], ids=["pairs", "lists"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "head"])
@pytest.mark.parametrize(("auto", "kind"), [(AutoModelForCausalLM, OpenELMForCausalLM), (AutoModel, OpenELMModel)])
def test_published_names_load(tmp_path: Path, lists: dict[str, Any], shared: bool, auto: Any, kind: type) -> None:
    head = {} if shared else {"lm_head.weight": np.ones((61, 160), dtype=np.float32)}
    write_checkpoint(tmp_path, WEIGHTS | head, share_input_output_layers=shared, **lists)
    model, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    base = model.base_model
    assert type(model) is kind and not any(info.values()), info
    assert isinstance(base.layers, torch.nn.ModuleList) and len(base.layers) == 4
    np.testing.assert_array_equal(base.norm.weight.detach(), WEIGHTS["transformer.norm.weight"])
    if isinstance(model, OpenELMForCausalLM):
        assert (model.lm_head.weight is base.token_embeddings.weight) == shared
        assert shared or bool((model.lm_head.weight == 1).all())


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_padding_changes_no_real_token(folder: Path, attention: str) -> None:
    model, ids = load(folder, attn_implementation=attention), IDS.clone()
    ids[1, 7:] = 0
    mask = (ids != 0).long()
    alone = states(model, ids[1:, :7])[:, 0]
    for options in ({"attention_mask": mask}, {}):
        padded = states(model, ids, **options)
        assert padded.isfinite().all()
        torch.testing.assert_close(padded[:, 1, :7], alone, rtol=0, atol=1e-5)
    left = states(model, ids.flip(1).index_copy(1, torch.arange(4, 11), ids[:, :7]), attention_mask=mask.flip(1))
    torch.testing.assert_close(left[:, 1, 4:], alone, rtol=0, atol=1e-5)


def test_the_past_does_not_see_the_future(folder: Path) -> None:
    model, changed = load(folder), IDS.clone()
    changed[:, 6:] = 5
    before, after = states(model, IDS), states(model, changed)
    assert (before[:, :, :6] - after[:, :, :6]).abs().max() < 1e-6 < 0.1 < (before - after)[-1].abs().max()


def test_cache_equals_no_cache(folder: Path) -> None:
    model = load(folder)
    with torch.no_grad():
        whole, start = model(IDS, use_cache=False), model(IDS[:, :6])
        rest = model(IDS[:, 6:], past_key_values=start.past_key_values)
    assert whole.past_key_values is None
    torch.testing.assert_close(torch.cat([start.logits, rest.logits], dim=1), whole.logits, rtol=0, atol=1e-5)
    cached, plain = (model.generate(IDS, max_new_tokens=6, pad_token_id=0, use_cache=use) for use in (True, False))
    assert cached.equal(plain)


def test_lora_on_qkv_trains_alone_and_merges(folder: Path) -> None:
    model = get_peft_model(load(folder), LoraConfig(target_modules=["qkv_proj"], r=2, task_type="CAUSAL_LM"))
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(trained) == 8 and all("qkv_proj.lora_" in name for name in trained)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    optimizer, losses = torch.optim.SGD(trained.values(), lr=0.05), []
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(model(IDS, labels=IDS).loss)
        losses[-1].backward()
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]
    assert all(dict(model.named_parameters())[name].equal(p) for name, p in frozen.items())
    adapted = states(model.eval(), IDS)
    torch.testing.assert_close(states(model.merge_and_unload(), IDS), adapted, rtol=0, atol=1e-5)


def test_gradient_checkpointing_gives_equal_gradients(folder: Path) -> None:
    gradients = []
    for checkpointed in (False, True):
        model = load(folder).train()
        if checkpointed:
            model.gradient_checkpointing_enable()
            assert all(block.gradient_checkpointing for block in model.transformer.layers)
        model(IDS, labels=IDS).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert len(gradients[0]) == 2 + 8 * 4
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


def test_bfloat16(folder: Path) -> None:
    exact, loaded = states(load(folder), IDS), states(load(folder, dtype=torch.bfloat16), IDS)
    assert loaded.dtype == torch.bfloat16 and loaded.equal(states(load(folder).to(torch.bfloat16), IDS))
    assert (loaded.float() - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("auto", [AutoModel, AutoModelForCausalLM])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_save_and_reload_is_identical(folder: Path, tmp_path: Path, auto: Any, dtype: torch.dtype) -> None:
    model = auto.from_pretrained(folder, dtype=dtype)
    model.save_pretrained(tmp_path)
    again, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert again.dtype == dtype and not any(info.values()), info
    assert states(again, IDS).equal(states(model, IDS))
    if auto is AutoModelForCausalLM:
        assert load_file(tmp_path / "model.safetensors").keys() == WEIGHTS.keys()
