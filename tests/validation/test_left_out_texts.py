"""The file that says how right each probe is, text by text."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import ntps
from ntps.errors import InputError
from ntps.tasks.task import TargetKind
from ntps.validation.judged import CRITERION, Judged, criterion
from ntps.validation.labels import Labels
from ntps.validation.left_out_texts import LeftOutTexts


def left_out(kind: TargetKind) -> LeftOutTexts:
    rng = np.random.default_rng(0)
    targets = {
        "classes": np.eye(3)[rng.integers(3, size=20)],
        "multilabel": rng.integers(2, size=(20, 3)).astype(float),
    }
    labels = Labels(kind, targets.get(kind, rng.normal(size=(20, 2))), np.arange(20) // 2)

    def judged() -> Judged:
        found = Judged(*rng.random((2, 20)))
        if kind == "classes":
            return replace(found, hits=rng.random(20))
        if kind == "multilabel":
            return replace(found, overlap=rng.random(20), size=rng.random(20), scores=rng.random((20, 3)))
        return found

    return LeftOutTexts(labels, (0, 2), (judged(), judged()), judged())


@pytest.mark.parametrize("kind", CRITERION)
def test_what_is_written_is_read_again_in_float32(kind: TargetKind, tmp_path: Path) -> None:
    wrote = left_out(kind)
    wrote.write(tmp_path / "file")
    read = LeftOutTexts.read(tmp_path / "file")
    assert read.layers == (0, 2) and read.labels.kind == kind
    assert read.labels.groups is not None and (read.labels.groups == np.arange(20) // 2).all()
    np.testing.assert_array_equal(read.labels.targets, wrote.labels.targets)
    for before, after in zip((*wrote.judged, wrote.together), (*read.judged, read.together), strict=True):
        for each in fields(Judged):
            one, other = getattr(before, each.name), getattr(after, each.name)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(other, one.astype(np.float32))


def test_a_file_that_is_damaged_or_missing_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(InputError, match=r"there is no .*score the model again"):
        LeftOutTexts.read(path)
    left_out("classes").write(path)
    for content in (path.read_bytes()[:-8], b"", b"{}"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"cannot read .*score the model again"):
            LeftOutTexts.read(path)


def test_a_score_writes_what_its_figures_are_made_of(tmp_path: Path) -> None:
    result = ntps.score(limit=60, layers=[0, 2], test=False, out=tmp_path / "run")
    found = LeftOutTexts.read(tmp_path / "run" / "left_out.safetensors")
    figures = criterion((*found.judged, found.together), found.labels)(np.ones((1, 60)))[0]
    expected = [
        *(row["accuracy_cv"] for row in result.to_dict()["layers"]),
        result.to_dict()["all_layers"]["accuracy_cv"],
    ]
    np.testing.assert_allclose(figures, expected, rtol=1e-6)
    result.save(tmp_path / "saved")
    again = LeftOutTexts.read(tmp_path / "saved" / "left_out.safetensors")
    np.testing.assert_array_equal(again.together.loss, found.together.loss)
