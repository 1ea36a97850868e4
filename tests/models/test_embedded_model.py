"""The embedded language model: small, loads cleanly, and has learned more than token frequencies."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from ntps import InputError, load_model
from ntps.models.embedded import embedded_model_folder
from ntps.study.definition import parse_study
from ntps.tasks.load import load_task

FOLDER = embedded_model_folder()


@pytest.fixture(scope="module")
def training() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / "training.json").read_text())
    return content


def test_is_at_most_four_megabytes() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) <= 4e6


def test_loads_without_warnings_or_missing_keys(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, report = AutoModel.from_pretrained(FOLDER, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert not any(report.values())
    assert not caplog.records
    assert model.config.model_type == "qwen2"
    assert len(tokenizer) == model.config.vocab_size == 4096
    assert tokenizer.pad_token_id == model.config.pad_token_id
    assert tokenizer.eos_token_id == model.config.eos_token_id != tokenizer.pad_token_id


def test_weights_are_stored_in_half_precision() -> None:
    with safe_open(FOLDER / "model.safetensors", framework="pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}  # noqa: SIM118
    assert AutoModel.from_pretrained(FOLDER).dtype == torch.float32


def test_files_name_no_folder() -> None:
    for file in FOLDER.glob("*config.json"):
        assert not {"_name_or_path", "name_or_path"} & json.loads(file.read_text()).keys()


def test_tokenizer_gives_the_text_back() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    text = "Return the number of élan_vital items.\nNaïve: 42 × 7 → 🤗"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_training_record_is_complete(training: dict[str, Any]) -> None:
    assert training["loss_unit"] == "nats per token"
    assert training["parameters"] == AutoModelForCausalLM.from_pretrained(FOLDER).num_parameters()
    assert {"seed", "threads", "steps", "context", "vocabulary"} <= training["settings"].keys()
    assert {"python", "torch", "transformers", "tokenizers"} <= training["versions"].keys()
    assert len(training["training_fingerprint"]) == len(training["heldout_fingerprint"]) == 64
    assert training["training_tokens"] > 1e6 and training["heldout_tokens"] > 5e4


def test_beat_the_unigram_when_it_was_trained(training: dict[str, Any]) -> None:
    assert training["heldout_loss"] < training["heldout_loss_unigram"] - 2.0


def test_beats_the_unigram_of_the_same_tokens() -> None:
    """Even the unigram model that was fitted on the measured tokens themselves loses."""
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER)
    task = load_task()  # of modules that the model was not trained on
    texts = [text for text in task.train.texts if len(text) > 200][:64]
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    targets = batch["input_ids"][:, 1:]
    kept = batch["attention_mask"][:, 1:].bool()
    with torch.no_grad():
        logits = model(**batch).logits[:, :-1]
    loss = torch.nn.functional.cross_entropy(logits[kept], targets[kept]).item()
    frequencies = torch.bincount(targets[kept]) / kept.sum()
    unigram = torch.special.entr(frequencies).sum().item()
    assert loss < unigram - 0.5


def test_a_folder_of_its_name_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (None, "demo"):
        assert load_model(name).id == "demo"
    study = parse_study("models: [demo]\ntasks: [imdb]\nmeasurements: {score: }\n", "study")
    assert study.models[0].id == "demo"
    with pytest.raises(InputError, match="demo is a folder without a model"):
        load_model("./demo")
