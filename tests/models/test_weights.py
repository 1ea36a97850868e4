"""Weights that do not fit their configuration are not dropped, made up or misread in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ntps.errors import InputError
from ntps.models.files import ModelFiles
from ntps.models.load import load_model
from tiny import DEPTH, WIDTH, config_of, save_model

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 123456\n"


def configure(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model", "llama")


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_model(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_of_another_architecture(folder: Path) -> None:
    """Biases and norms that this architecture has not: its states would be those of another model."""
    rewrite(folder, lambda found: found | {"layers.1.self_attn.q_norm.weight": torch.ones(4)})
    message = refusal(folder)
    assert "layers.1.self_attn.q_norm.weight" in message and "1 tensor " in message


def test_heads_may_be_left_out(folder: Path) -> None:
    rewrite(folder, lambda found: found | {"lm_head.weight": torch.ones(4), "mtp.layers.0.weight": torch.ones(4)})
    assert load_model(folder).notes == ()


def test_whole_blocks_left_out_are_told(folder: Path) -> None:
    configure(folder, num_hidden_layers=DEPTH - 1)
    model = load_model(folder)
    assert model.num_layers == DEPTH - 1
    assert len(model.notes) == 1 and f"layers.{DEPTH - 1}." in model.notes[0]


def test_shapes_that_do_not_fit_are_named(folder: Path) -> None:
    size = config_of("llama").vocab_size
    configure(folder, vocab_size=size + 2)
    message = refusal(folder)
    assert "embed_tokens.weight" in message
    assert str((size, WIDTH)) in message and str((size + 2, WIDTH)) in message


def test_quantized_weights_without_their_configuration(folder: Path) -> None:
    def quantized(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {key: (value * 50).to(torch.int8) if "_proj" in key else value for key, value in found.items()}

    rewrite(folder, quantized)
    assert "quantization_config" in refusal(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs(name: str, folder: Path) -> None:
    (folder / name).write_text(POINTER)
    message = refusal(folder)
    assert message.startswith(f"{name} in ") and "git lfs pull" in message


def test_pickles_that_hold_more_than_tensors(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": np.random.RandomState(0)}, folder / "pytorch_model.bin")
    assert "safetensors" in refusal(folder)


def test_code_with_a_head_only(folder: Path) -> None:
    """Custom code often maps AutoModelForCausalLM alone."""
    expected = load_model(folder).weights()
    (folder / "configuration_own.py").write_text(
        "from transformers import LlamaConfig\nclass OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
    )
    (folder / "modeling_own.py").write_text(
        "from transformers import LlamaForCausalLM\nfrom .configuration_own import OwnConfig\n"
        "class OwnLM(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    auto_map = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnLM"}
    configure(folder, model_type="own", auto_map=auto_map, tie_word_embeddings=True)
    assert load_model(folder, trust_remote_code=True).weights() == expected


@pytest.mark.parametrize("device", ["meta", "mps"])
def test_devices_without_numbers_or_not_there(device: str, folder: Path) -> None:
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("there is one")
    message = refusal(folder, device=device)
    assert message.startswith(f"`device` {device}") and "cpu" in message


# --- GGUF ------------------------------------------------------------------------------------------------------------


def test_a_gguf_file_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("ntps.models.files.find_spec", lambda name: None if name == "gguf" else name)
    for place in (tmp_path, tmp_path / "a.gguf"):
        assert "package gguf" in refusal(place)


def test_a_folder_of_several_gguf_files_asks_which(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    assert f"{tmp_path / 'a.gguf'}" in refusal(tmp_path)


def test_a_damaged_gguf_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntps.models.files.find_spec", lambda name: name)
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(60))
    assert str(tmp_path / "a.gguf") in refusal(tmp_path / "a.gguf")


def test_a_gguf_file_beside_a_model_is_not_looked_at(folder: Path) -> None:
    (folder / "a.gguf").write_bytes(b"GGUF")
    assert load_model(folder).num_layers == DEPTH


def test_transformers_is_told_of_the_file(tmp_path: Path) -> None:
    files = ModelFiles("a.gguf", "model", tmp_path, {"a.gguf"}, gguf="a.gguf")
    assert files.options(False) == {"trust_remote_code": False, "local_files_only": True, "gguf_file": "a.gguf"}
    assert files.weights() == {"a.gguf"}
