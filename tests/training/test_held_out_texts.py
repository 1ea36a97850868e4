"""How right a run is about each test text: the sums are its figures, and two runs are compared on the same draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ntps
from ntps.errors import InputError
from ntps.files import HELD_OUT
from ntps.jobs.held_out_texts import ALL_LAYERS, CHOSEN, HeldOutTexts
from ntps.options.probing import Kind
from ntps.tasks.task import TargetKind
from ntps.training.records import FinetuneRecord, ProbeRecord
from ntps.validation.labels import Labels
from tiny import random_texts, save_model

TEXTS, TESTED = random_texts(40, 0), random_texts(30, 1)


def task_of(kind: TargetKind) -> ntps.Task:
    rng = np.random.default_rng(3)
    labels: dict[TargetKind, list[object]] = {
        "classes": rng.integers(3, size=70).tolist(),
        "multilabel": [np.flatnonzero(row).tolist() for row in rng.random((70, 3)) < 0.4],
        "regression": rng.normal(size=70).tolist(),
    }
    every = labels[kind]
    return ntps.task_from_lists(TEXTS, every[:40], test_texts=TESTED, test_labels=every[40:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("kind", ["classes", "multilabel", "regression"])
def test_shares_sum_up_to_the_figures_of_probes_and_of_fine_tuning(
    kind: TargetKind, folder: Path, tmp_path: Path
) -> None:
    task, name = task_of(kind), "r2" if kind == "regression" else "accuracy"
    assert task.kind == kind
    kinds: list[Kind] = ["ridge", "ols", "adamw", "tangent"]
    if kind != "regression":
        kinds.append("logistic")
    for probe in kinds:
        out = tmp_path / probe
        ntps.probe(folder, task, probe, layers=None if probe == "tangent" else [0, 1], out=out)
        record = ProbeRecord.read(out)
        found = record.held_out
        assert found is not None and record.result.summary.test is not None
        reached = {key: float(share.sum() / found.whole.sum()) for key, share in found.shares.items()}
        assert reached[CHOSEN] == pytest.approx(getattr(record.result.summary.test, name), abs=1e-9)
        together = record.result.all_layers
        assert (together is not None) == (ALL_LAYERS in reached)
        if together is not None and kind != "multilabel":
            assert reached[ALL_LAYERS] == pytest.approx(getattr(together, f"{name}_test"), abs=1e-9)
    ntps.finetune(folder, task, ntps.LoRA(steps=2), out=tmp_path / "lora")
    tuned = FinetuneRecord.read(tmp_path / "lora")
    assert tuned.held_out is not None and tuned.result.summary.test is not None
    share = tuned.held_out.shares[CHOSEN].sum() / tuned.held_out.whole.sum()
    assert share == pytest.approx(getattr(tuned.result.summary.test, name), abs=1e-9)


def test_a_gain_is_that_of_the_same_texts_drawn_for_both() -> None:
    """Against a loop over draws of groups: texts that both have right move nothing."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(50), 2)
    right, other = ((rng.random(100) < share).astype(float) for share in (0.7, 0.5))
    found = HeldOutTexts({CHOSEN: right}, np.ones(100), groups).gain(
        CHOSEN, HeldOutTexts({ALL_LAYERS: other}, np.ones(100), groups), ALL_LAYERS
    )
    draws = Labels("regression", np.zeros((100, 1)), groups).draws
    drawn = [draw @ (right - other) / draw.sum() for draw in draws]
    assert found.value == pytest.approx((right - other).mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    # Two that are right about the same texts are not certainly alike.
    same = HeldOutTexts({CHOSEN: right}, np.ones(100)).gain(CHOSEN, HeldOutTexts({CHOSEN: right}, np.ones(100)), CHOSEN)
    assert same.value == 0 and same.low is not None and same.high is not None and same.low < 0 < same.high


def test_a_file_is_read_as_it_was_written_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / HELD_OUT
    assert HeldOutTexts.read(path) is None
    written = HeldOutTexts({CHOSEN: np.array([1.0, 0.0])}, np.ones(2), np.array([4, 7]))
    written.write(path)
    again = HeldOutTexts.read(path)
    assert again is not None and again.groups is not None
    assert again.shares[CHOSEN].tolist() == [1.0, 0.0] and again.groups.tolist() == [4, 7]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=HELD_OUT.replace(".", r"\.")):
        HeldOutTexts.read(path)
