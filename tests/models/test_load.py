"""A folder → a model: what can be loaded, what is refused, and that a folder touches no network and runs no code."""

from __future__ import annotations

import json
import logging
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from ntps.errors import InputError
from ntps.models.files import find_files
from ntps.models.load import DTYPES, load_model
from tiny import CONTEXT, DEPTH, WIDTH, config_of, save_model, tokenizer_of

BODY = ("embed", "block.1", "block.2")


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "qwen2")


@pytest.fixture
def own(qwen2: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(qwen2, tmp_path / "own")


def refusal(folder: Path | str, **options: Any) -> str:
    """The message of a refusal: one sentence that names what was given."""
    with pytest.raises(InputError) as caught:
        load_model(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("kind", "last"), [("qwen2", "final_norm"), ("llama", "final_norm"), ("gpt2", "final_norm"), ("bert", "block.3")]
)
def test_layers_are_named_by_what_the_model_has(kind: str, last: str, tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path, kind))
    assert model.layer_names == (*BODY, last)
    assert (model.num_layers, model.hidden_size, model.context) == (DEPTH, WIDTH, CONTEXT)
    assert model.architecture == type(model.base).__name__
    assert model.revision is None
    assert model.parameters == AutoModel.from_pretrained(tmp_path).num_parameters()
    assert not model.base.training


def test_a_decoder_without_a_final_norm_ends_with_its_last_block(tmp_path: Path) -> None:
    """OPT's post-norm variant has no final norm; nothing but a look at the states tells."""
    from transformers import OPTConfig, OPTModel

    config = OPTConfig(
        vocab_size=len(tokenizer_of("gpt2")),
        hidden_size=WIDTH,
        ffn_dim=24,
        num_hidden_layers=DEPTH,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        word_embed_proj_dim=WIDTH,
        do_layer_norm_before=False,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    OPTModel(config).save_pretrained(tmp_path)
    tokenizer_of("gpt2").save_pretrained(tmp_path)
    assert load_model(tmp_path).layer_names == (*BODY, "block.3")


def test_the_head_of_a_causal_model_is_left_out(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    config = config_of("llama")
    full = AutoModelForCausalLM.from_config(config)
    full.save_pretrained(tmp_path)
    tokenizer_of("llama").save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert model.architecture == "LlamaForCausalLM"
    assert not hasattr(model.base, "lm_head")
    assert all(torch.equal(a, b) for a, b in zip(model.base.parameters(), full.model.parameters(), strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_the_dtype_of_weights_and_states(dtype: str, qwen2: Path) -> None:
    model = load_model(qwen2, dtype=dtype)
    assert model.dtype == DTYPES[dtype]
    assert {parameter.dtype for parameter in model.base.parameters()} == {DTYPES[dtype]}
    seen: list[torch.Tensor] = []
    ids = torch.tensor([[3, 4, 5]])
    model.visit_layers(ids, None, range(DEPTH + 1), lambda _layer, hidden: seen.append(hidden))
    assert {hidden.dtype for hidden in seen} == {DTYPES[dtype]}


def test_float32_weights_are_not_rounded_on_their_way_to_float64(qwen2: Path) -> None:
    wide = dict(load_model(qwen2, dtype="float64").base.named_parameters())
    for name, weight in load_model(qwen2).base.named_parameters():
        assert torch.equal(wide[name], weight.double()), name


def test_weights_in_half_precision_load_as_the_dtype_asked_for(own: Path) -> None:
    AutoModel.from_pretrained(own, dtype=torch.float16).save_pretrained(own)
    assert load_model(own).dtype == torch.float32
    assert next(load_model(own).base.parameters()).dtype == torch.float32


def test_a_local_folder_touches_no_network(qwen2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load_model(qwen2, tokenizer=qwen2).num_layers == DEPTH


def test_code_in_a_folder_does_not_run_unless_asked_for(own: Path) -> None:
    ran = own / "ran"
    (own / "custom.py").write_text(
        f"open({str(ran)!r}, 'w').close()\n"
        "from transformers import LlamaConfig, LlamaModel\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
        "class OwnModel(LlamaModel):\n    config_class = OwnConfig\n"
    )
    config = json.loads((own / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "custom.OwnConfig", "AutoModel": "custom.OwnModel"}}
    (own / "config.json").write_text(json.dumps(config))
    message = refusal(own)
    assert "`trust_remote_code`" in message and str(own) in message
    assert not ran.exists()


def test_the_logging_settings_of_the_user_come_back(qwen2: Path) -> None:
    before = transformers_logging.get_verbosity()
    try:
        for level, bars in ((logging.INFO, True), (logging.ERROR, False)):
            transformers_logging.set_verbosity(level)
            if bars:
                transformers_logging.enable_progress_bar()
            else:
                transformers_logging.disable_progress_bar()
            load_model(qwen2)
            assert transformers_logging.get_verbosity() == level
            assert transformers_logging.is_progress_bar_enabled() is bars
    finally:
        transformers_logging.set_verbosity(before)
        transformers_logging.enable_progress_bar()


def test_progress_bars_of_the_hub_that_the_user_switched_off_stay_off(qwen2: Path) -> None:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    disable_progress_bars()
    try:
        load_model(qwen2)
        assert are_progress_bars_disabled()
    finally:
        enable_progress_bars()


def test_loading_says_nothing(qwen2: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_model(qwen2)
    assert capfd.readouterr() == ("", "")


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "config.json" in refusal(tmp_path) and str(tmp_path) in refusal(tmp_path)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.touch()
    assert "is a file" in refusal(file)


@pytest.mark.parametrize("name", ["./missing", "/missing/model", "~/missing-model", "a/b/c", "../missing"])
def test_a_path_that_does_not_exist(name: str) -> None:
    assert f"no folder {name}" in refusal(name)


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    save_model(tmp_path, "llama", tokenizer=False)
    assert "`tokenizer`" in refusal(tmp_path)


def test_another_tokenizer_can_be_named(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "llama", tokenizer=False)
    tokenizer_of("llama", pad=True).save_pretrained(tmp_path / "words")
    assert load_model(folder, tokenizer=tmp_path / "words").tokenizer.pad_token == "[UNK]"


@pytest.mark.parametrize("name", ["./missing", "/missing/tokenizer"])
def test_a_tokenizer_that_does_not_exist(name: str, qwen2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: pytest.fail("the network was asked for a path"))
    message = refusal(qwen2, tokenizer=name)
    assert name in message and "tokenizer" in message


def test_incomplete_weights(own: Path) -> None:
    weights = load_file(own / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "layers.1.mlp" not in name}, own / "model.safetensors")
    message = refusal(own)
    assert "layers.1.mlp" in message and "3 tensors" in message


def test_weights_of_another_shape(own: Path) -> None:
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
    assert str(own) in refusal(own)


def test_cut_off_weights(own: Path) -> None:
    weights = own / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "weights" in refusal(own)


def test_missing_weights(own: Path) -> None:
    (own / "model.safetensors").unlink()
    assert "weights" in refusal(own)


@pytest.mark.parametrize("content", ["{", "{}", '{"model_type": "no-such-model"}', "[]"])
def test_a_config_that_says_nothing(content: str, own: Path) -> None:
    (own / "config.json").write_text(content)
    assert "configuration" in refusal(own)


def test_a_dtype_that_does_not_exist(qwen2: Path) -> None:
    message = refusal(qwen2, dtype="float31")
    assert "float31" in message and all(name in message for name in DTYPES)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x"])
def test_a_device_that_does_not_exist(device: str, qwen2: Path) -> None:
    assert f"`device` {device}" in refusal(qwen2, device=device)


def test_an_encoder_decoder(tmp_path: Path) -> None:
    message = refusal(save_model(tmp_path, "t5"))
    assert "encoder-decoder" in message and "t5" in message


def test_an_empty_folder_of_the_same_name_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``--out`` makes it, before the model is looked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "distilgpt2").mkdir()
    with pytest.raises(InputError, match="distilgpt2 is neither a folder of a model, nor a known model"):
        find_files("distilgpt2")
