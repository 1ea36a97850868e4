"""One line that sets a fine-tuning run beside probes and other runs on the same texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntps import FinetuneResult, FullFineTuning, InputError, LoRA, finetune, load_model, probe, score
from ntps.display.finetune import comparison, finetune_words, read_compared
from tiny import random_task, save_model

TASK = random_task(30, test=20)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results."""
    out = tmp_path_factory.mktemp("results")
    folder = save_model(out / "model")
    model = load_model(folder)
    for kind in ("ols", "adamw"):
        probe(model, TASK, kind, out=out / kind)
    probe(model, random_task(30, seed=5, test=20), out=out / "other")
    score(model, TASK, out=out / "score")
    finetune(folder, TASK, LoRA(steps=3), out=out / "lora")
    finetune(folder, TASK, FullFineTuning(from_scratch=True, steps=3), out=out / "scratch")
    return out


def test_the_line(results: Path) -> None:
    lora = FinetuneResult.load(results / "lora").record.result
    others = read_compared([results / name for name in ("scratch", "ols", "adamw", "other")])
    shown = {name: FinetuneResult.load(results / name).summary["test"]["accuracy"] for name in ("lora", "scratch")}
    probes = {
        name: each.summary.figures["test"].accuracy for name, each in zip(("ols", "adamw"), others[1:3], strict=True)
    }
    majority = lora.summary.majority_accuracy["test"]
    gain = shown["lora"] - probes["adamw"]
    assert comparison(lora, others) == (
        f"Accuracy: most frequent class {majority:.1%}, least-squares probe {probes['ols']:.1%}, AdamW probe "
        f"{probes['adamw']:.1%}, LoRA {shown['lora']:.1%}, from scratch {shown['scratch']:.1%}, gain of LoRA over the "
        f"AdamW probe {100 * gain:+.1f} points (1 of other texts left out)."
    ).replace("%", " %")


def test_alone(results: Path) -> None:
    scratch = FinetuneResult.load(results / "scratch")
    assert "gain" not in comparison(scratch.record.result, [])
    assert finetune_words(scratch.record.result).startswith("From scratch, 3 steps of 16, ")


def test_what_cannot_be_compared(results: Path) -> None:
    with pytest.raises(InputError, match="holds no probe and no fine-tuning run"):
        read_compared([results / "score"])
    with pytest.raises(InputError, match="cannot read"):
        read_compared([results / "nothing"])
