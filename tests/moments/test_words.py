"""Words in the planes of U and V."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ntps.errors import InputError
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.moments.spectra import Spectra
from ntps.moments.sums_folder import read_layer_moments
from ntps.options.scoring import ScoreSettings
from ntps.scoring.record import ScoreRecord
from ntps.scoring.score_run import run_score
from ntps.scoring.word_planes import WordSettings, run_words, turned
from tiny import DEPTH, WORDS, Array, random_task, save_model

LISTS = {"first": ["ba", "be ba"], "second": ["da", "de", "di"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(save_model(tmp_path_factory.mktemp("model")), dtype="float64")


def scored(model: LanguageModel, folder: Path, classes: int = 3) -> Path:
    run_score(model, random_task(120, classes), ScoreSettings(), out=folder)
    return folder


@pytest.mark.parametrize("layer", range(DEPTH + 1))
def test_coordinates_are_projections_of_pooled_states(layer: int, model: LanguageModel, tmp_path: Path) -> None:
    folder = scored(model, tmp_path)
    result = run_words(folder, model, WordSettings(LISTS, layer)).to_dict()
    spectra = Spectra.of(read_layer_moments(folder / "moments", layer).means())
    assert [(row["list"], row["word"]) for row in result["words"]] == [(k, w) for k, ws in LISTS.items() for w in ws]
    assert result["summary"]["perception_eigenvalues"] == spectra.perception.values[:2].tolist()
    found = np.array([[row["u1"], row["u2"], row["v1"], row["v2"]] for row in result["words"]])
    states: list[Array] = []
    for row in result["words"]:
        ids = torch.tensor([model.tokenizer(row["word"])["input_ids"]])
        assert row["tokens"] == ids.shape[1]
        model.visit_layers(ids, None, [layer], lambda _layer, hidden: states.append(hidden[0].mean(dim=0).numpy()))
    basis = np.hstack([spectra.perception.basis[:, :2], spectra.autoregressive.basis[:, :2]])
    expected = np.stack(states) @ basis
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9 * np.abs(expected).max())
    # The stated rule.
    assert (found[:2].mean(axis=0) >= found[2:].mean(axis=0)).all()


def test_there_are_as_many_coordinates_as_directions(model: LanguageModel, tmp_path: Path) -> None:
    folder = scored(model, tmp_path, classes=2)
    record = ScoreRecord.read(folder).result
    names = set(run_words(folder, model, WordSettings(LISTS)).words[0].to_dict())
    rank = record.layers[record.summary.layer].rank_perception
    assert {"v1", "v2"} <= names and sum(name.startswith("u") for name in names) == min(rank, 2)


def test_the_result_lies_where_it_is_asked_for(model: LanguageModel, tmp_path: Path) -> None:
    folder = scored(model, tmp_path)
    result = run_words(folder, model, WordSettings(LISTS), out=folder / "words").to_dict()
    assert json.loads((folder / "words" / "result.json").read_text()) == result
    assert result["kind"] == "words" and result["summary"]["layer"] == ScoreRecord.read(folder).result.summary.layer


def test_what_cannot_be_measured_is_said(model: LanguageModel, tmp_path: Path) -> None:
    folder = scored(model, tmp_path / "run")
    with pytest.raises(InputError, match="no score of layer 9"):
        run_words(folder, model, WordSettings(LISTS, 9))
    with pytest.raises(InputError, match="'none' is empty"):
        WordSettings({**LISTS, "none": []})
    with pytest.raises(InputError, match="other weights"):
        run_words(folder, load_model(save_model(tmp_path / "other", seed=5)), WordSettings(LISTS))
    for file in (folder / "moments").iterdir():
        file.unlink()
    (folder / "moments").rmdir()
    with pytest.raises(InputError, match="`moments` keep"):
        run_words(folder, model, WordSettings(LISTS))


coordinates = arrays(np.float64, (len(WORDS) // 8, 2), elements=st.floats(-5, 5, allow_subnormal=False))


@given(coordinates, st.tuples(st.sampled_from([-1.0, 1.0]), st.sampled_from([-1.0, 1.0])))
def test_signs_of_eigenvectors_do_not_matter(points: Array, signs: tuple[float, float]) -> None:
    first = np.arange(len(points)) < 2
    gaps = points[first].mean(axis=0) - points[~first].mean(axis=0)
    kept = np.abs(gaps) > 1e-9
    np.testing.assert_array_equal(turned(points * signs, first)[:, kept], turned(points, first)[:, kept])
    np.testing.assert_array_equal(np.abs(turned(points, first)), np.abs(points))
