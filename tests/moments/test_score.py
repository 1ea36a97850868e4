"""From moments to scores: invariances, the shape of the curves, and an answer to every degenerate input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from ntps import InputError, LayerScore, Moments, score_moments
from ntps.options.scoring import Convention
from ntps.theory import factorize
from oracle import RandomTask, excess_losses, make_task, tasks
from tiny import Array, moments_of, padded

CURVES = ("ntps", "ntps_full", "excess_loss", "retained", "retained_centered", "next_token_share")
SHARES = tuple(name for name in CURVES if name != "excess_loss")
FRACTIONS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
REGULAR = ("one-token texts", "real targets", "dependent label columns")
SINGULAR = ("duplicated features", "constant feature", "fewer texts than dimensions", "one class")
SEEDS = st.integers(0, 2**32 - 1)


def score(texts: list[Array], targets: Array) -> LayerScore:
    return score_moments(moments_of(texts, targets))


def assert_same(found: LayerScore, expected: LayerScore, tolerance: float, energy: float = 1.0) -> None:
    """Ranks, curves and numbers agree, undefined ones included."""
    for name in ("rank_pooled", "rank_perception", "rank_autoregressive", "rank_centered", "k_share95"):
        assert getattr(found, name) == getattr(expected, name), name
    # Which single dimensions hardly vary depends on the axes.
    first_said, second_said = ([said for said in each.warnings if "hardly" not in said] for each in (found, expected))
    assert first_said == second_said
    for name in CURVES:
        scale = energy if name == "excess_loss" else 1.0
        first, second = (getattr(each.curves, name) / scale for each in (found, expected))
        if name == "ntps":
            # A tie makes it arbitrary, and it says so.
            assert np.array_equal(found.curves.tied, expected.curves.tied)
            first, second = first[~found.curves.tied], second[~found.curves.tied]
        np.testing.assert_allclose(first, second, atol=tolerance, rtol=0, err_msg=name)
    for name in ("area", "chance_area", "r2", "r2_adjusted", "chance_ntps"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=tolerance), name
    for name in ("best_loss", "target_energy"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=tolerance * energy), name


# --- invariances -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(tasks((*REGULAR, *SINGULAR), max_width=12), SEEDS, st.floats(-3, 3))
def test_orthogonal_maps_and_one_global_scale_change_nothing(task: RandomTask, seed: int, exponent: float) -> None:
    turn = linalg.qr(np.random.default_rng(seed).normal(size=(task.width, task.width)))[0] * 10.0**exponent
    energy = float(np.sum(task.targets**2)) / len(task.texts)
    turned = score([text @ turn for text in task.texts], task.targets)
    assert_same(turned, score(task.texts, task.targets), 1e-7, energy)


@settings(deadline=None, max_examples=40)
@given(tasks((*REGULAR, *SINGULAR), max_width=12), st.data())
def test_reordering_and_rebatching_change_nothing(task: RandomTask, data: st.DataObject) -> None:
    order = np.random.default_rng(data.draw(SEEDS)).permutation(len(task.texts))
    size = data.draw(st.integers(1, len(order)))
    moments = Moments(task.width, task.targets.shape[1])
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        moments.update(*padded([task.texts[i] for i in batch], "left"), task.targets[batch])
    energy = float(np.sum(task.targets**2)) / len(task.texts)
    assert_same(score_moments(moments), score(task.texts, task.targets), 1e-7, energy)


@settings(deadline=None, max_examples=20)
@given(tasks(REGULAR, max_width=8))
def test_every_text_twice_is_the_same_task(task: RandomTask) -> None:
    once = moments_of(task.texts, task.targets)
    first, second = score_moments(once), score_moments(once + once)
    for name in CURVES:
        np.testing.assert_allclose(getattr(second.curves, name), getattr(first.curves, name), atol=1e-9, err_msg=name)
    assert second.r2 == pytest.approx(first.r2, abs=1e-9)
    assert second.area == pytest.approx(first.area, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 8), st.integers(2, 4))
def test_every_feature_twice_changes_nothing(seed: int, width: int, classes: int) -> None:
    """``[I I]ᵀ/√2`` is an isometry: with minimum norm, not even the score moves."""
    task = make_task(seed, width, classes)
    doubled = score([np.concatenate([text, text], axis=1) for text in task.texts], task.targets)
    assert_same(replace(doubled, chance_ntps=None), replace(score(task.texts, task.targets), chance_ntps=None), 1e-7)
    assert doubled.bound_lower_constant == 0


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(2, 8), st.integers(2, 4))
def test_label_columns_that_depend_on_others_leave_the_full_score(seed: int, width: int, classes: int) -> None:
    """U and its recoding span the same space with the same metric, so ``‖P_k U‖² / ‖U‖²`` is the same number."""
    task = make_task(seed, width, classes)
    extra = task.targets @ np.random.default_rng(seed).normal(size=(classes, 2))
    more = score(task.texts, np.concatenate([task.targets, extra], axis=1))
    plain = score(task.texts, task.targets)
    assert more.rank_perception == plain.rank_perception
    np.testing.assert_allclose(more.curves.ntps_full, plain.curves.ntps_full, atol=1e-7)


# --- the curves ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(tasks(max_width=12), st.sampled_from(["paper", "released"]))
def test_curves_are_monotone_and_shares(task: RandomTask, convention: Convention) -> None:
    found = score_moments(moments_of(task.texts, task.targets), convention)
    curves = found.curves
    for name in SHARES:
        values = getattr(curves, name)
        values = values[~np.isnan(values)]
        assert np.all((values >= 0) & (values <= 1)), name
        if name != "ntps":
            assert np.all(np.diff(values) >= 0), name
    # With all of U compared, Algorithm 1's score grows too.
    if convention == "paper":
        assert np.all(np.diff(curves.ntps[curves.k >= found.rank_perception]) >= 0)
    assert np.all(curves.excess_loss >= 0)
    assert np.all(np.diff(curves.excess_loss) <= 0)
    for share in (found.area, found.chance_area, found.r2):
        assert share is None or 0 <= share <= 1 + 1e-12


@settings(deadline=None, max_examples=40)
@given(tasks(REGULAR, max_width=12))
def test_curves_are_exact_at_the_end(task: RandomTask) -> None:
    """All directions keep everything, where V has all directions."""
    found = score(task.texts, task.targets)
    assert found.rank_autoregressive == found.rank_pooled == task.width
    for name in SHARES:
        values = getattr(found.curves, name)
        if not np.isnan(values).all():
            assert values[-1] == pytest.approx(1.0, abs=1e-12), name
    assert found.curves.excess_loss[-1] == pytest.approx(0.0, abs=1e-12 * found.target_energy)


@settings(deadline=None, max_examples=20)
@given(tasks(REGULAR, max_width=8))
def test_excess_losses_are_those_of_two_fits(task: RandomTask) -> None:
    """Equation 35, and the same with an intercept, for the directions that the closed forms of Theorem 1 give."""
    found = score(task.texts, task.targets)
    means = moments_of(task.texts, task.targets).means()
    whitened = factorize(means.prefix_gram)
    left, singular, _ = linalg.svd(whitened.whiten(means.prefix_next))
    directions = whitened.unwhiten(left)
    np.testing.assert_allclose(found.curves.next_token_share, np.cumsum(singular**2) / np.sum(singular**2), atol=1e-10)
    expected = excess_losses(task.pooled, task.targets, directions)
    np.testing.assert_allclose(found.curves.excess_loss, expected, atol=1e-8 * found.target_energy)
    variance = float(np.sum(np.var(task.targets, axis=0)))
    if found.r2 is not None and variance > 0:
        lost = excess_losses(task.pooled, task.targets, directions, centered=True) / variance
        np.testing.assert_allclose(found.curves.retained_centered, 1 - lost / found.r2, atol=1e-7 / found.r2)


@settings(deadline=None, max_examples=30)
@given(tasks(REGULAR, max_width=10))
def test_the_probe_is_that_of_scikit_learn(task: RandomTask) -> None:
    found = score(task.texts, task.targets)
    predicted = LinearRegression().fit(task.pooled, task.targets).predict(task.pooled).reshape(task.targets.shape)
    if np.ptp(task.targets, axis=0).any():
        assert found.r2 == pytest.approx(r2_score(task.targets, predicted, multioutput="variance_weighted"), abs=1e-8)
    else:
        assert found.r2 is None
    np.testing.assert_allclose(found.probe.predict(task.pooled), predicted, atol=1e-7 * np.abs(task.targets).max())


@settings(deadline=None, max_examples=30)
@given(tasks(max_width=12), st.sampled_from(["paper", "released"]))
def test_area_is_what_the_paper_curves_say(task: RandomTask, convention: str) -> None:
    moments = moments_of(task.texts, task.targets)
    area = score_moments(moments, convention).area  # type: ignore[arg-type]
    curves = score_moments(moments).curves
    if not len(curves.k) or np.isnan(curves.retained_centered).any():
        assert area is None
        return
    before, expected = 0.0, 0.0
    for share, kept in zip(curves.next_token_share, curves.retained_centered, strict=True):
        expected += (share - before) * kept
        before = share
    assert area == pytest.approx(expected, abs=1e-12)


def test_chance_area_is_the_mean_over_directions_that_point_anywhere() -> None:
    """Many targets whose directions are isotropic in the whitened pooled space keep that share together."""
    count, task = 400, make_task(3, 10, 3)
    means = moments_of(task.texts, task.targets).means()
    covariance = means.pooled_gram - np.outer(means.pooled_mean, means.pooled_mean)
    directions = linalg.cholesky(covariance, lower=True) @ np.random.default_rng(0).normal(size=(10, count))
    isotropic = replace(
        means,
        pooled_target=directions,
        target_gram=np.eye(count) * 100,
        target_mean=np.zeros(count),
    )
    found = score_moments(isotropic)
    assert found.area == pytest.approx(found.chance_area, rel=0.05)


# --- conventions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trait", ["plain", "duplicated features", "fewer texts than dimensions"])
def test_paper_visits_every_k_up_to_the_rank_of_v(trait: str) -> None:
    task = make_task(0, 9, 4, frozenset({trait} - {"plain"}))
    found = score(task.texts, task.targets)
    curves = found.curves
    assert curves.k.tolist() == list(range(1, found.rank_autoregressive + 1))
    assert curves.k_perception.tolist() == [min(k, found.rank_perception) for k in curves.k]
    assert np.isnan(curves.fraction).all()


@pytest.mark.parametrize("width", [1, 3, 7, 20, 33])
def test_released_visits_nineteen_fractions(width: int) -> None:
    task = make_task(0, width, 4)
    moments = moments_of(task.texts, task.targets)
    found = score_moments(moments, "released")
    curves = found.curves
    assert curves.fraction.tolist() == list(FRACTIONS)
    assert curves.k.tolist() == curves.k_perception.tolist() == [int(f * width) for f in FRACTIONS]
    assert np.array_equal(np.isnan(curves.ntps), curves.k == 0)
    assert found.convention == "released"
    # All that is no curve does not depend on the convention.
    for name in (
        field.name for field in fields(LayerScore) if field.name not in ("convention", "curves", "probe", "directions")
    ):
        assert getattr(found, name) == getattr(score_moments(moments), name), name


@pytest.mark.parametrize("convention", ["paper", "released"])
def test_the_frame_has_the_columns_of_the_contract(convention: str) -> None:
    task = make_task(0, 5, 3)
    moments = moments_of(task.texts, task.targets)
    found = score_moments(moments, convention, layer=7, name="block.7")  # type: ignore[arg-type]
    frame = found.to_frame()
    expected = ["convention", "layer", "k", "k_perception", "fraction", *CURVES]
    assert [name for name in frame.columns if name != "tied"] == expected
    assert set(frame["convention"]) == {convention} and set(frame["layer"]) == {7}
    assert len(frame) == len(found.curves.k)
    for name in ("k", "k_perception", *CURVES):
        np.testing.assert_array_equal(frame[name], getattr(found.curves, name))
    assert (found.layer, found.name) == (7, "block.7")


def test_ties_are_marked() -> None:
    """Two classes that mirror each other in orthogonal coordinates: Λ is tied, and any U_1 is as good as another."""
    rng = np.random.default_rng(0)
    states = np.concatenate([np.eye(2), np.eye(2)])
    texts = [np.array([x, x + 0.1 * rng.normal(size=2)]) for x in states]
    means = moments_of(texts, np.eye(2)[[0, 1, 0, 1]]).means()
    tied = replace(means, pooled_gram=np.eye(2) / 2, pooled_target=np.eye(2) / 2)
    found = score_moments(tied)
    assert found.curves.tied.tolist() == [True, False]
    assert any("tied" in warning for warning in found.warnings)


def test_a_convention_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="newest"):
        score_moments(moments_of([np.ones((2, 2))], np.ones((1, 1))), "newest")  # type: ignore[arg-type]


def test_no_texts_have_no_score() -> None:
    with pytest.raises(InputError, match="no texts"):
        score_moments(Moments(3, 2))


# --- degenerate inputs -----------------------------------------------------------------------------------------------


def undefined(found: LayerScore, *names: str) -> bool:
    return all(getattr(found, name) is None for name in names)


def warned(found: LayerScore, words: str) -> bool:
    return any(words in warning for warning in found.warnings)


def test_one_class() -> None:
    task = make_task(0, 4, 3, frozenset({"one class"}))
    found = score(task.texts, task.targets)
    assert undefined(found, "r2", "r2_adjusted", "area") and warned(found, "targets do not vary")
    assert np.isnan(found.curves.retained_centered).all()
    assert found.rank_perception == 1
    assert np.isfinite(found.curves.ntps).all() and np.isfinite(found.curves.retained).all()


def test_one_text() -> None:
    """The probe reproduces its only target, from one direction."""
    found = score([np.random.default_rng(0).normal(size=(5, 3))], np.array([[0.0, 1.0]]))
    assert undefined(found, "r2", "r2_adjusted", "area") and warned(found, "1 texts are few")
    assert (found.rank_pooled, found.rank_perception, found.rank_centered) == (1, 1, 0)
    assert found.best_loss == pytest.approx(0, abs=1e-12)
    assert found.curves.retained[-1] == pytest.approx(1)


def test_texts_of_one_token() -> None:
    """S = 0: there is a probe, but nothing autoregressive."""
    task = make_task(0, 4, 3, frozenset({"only one-token texts"}))
    for convention in ("paper", "released"):
        found = score_moments(moments_of(task.texts, task.targets), convention)
        assert found.rank_autoregressive == 0
        assert undefined(found, "area", "chance_area", "k_share95", "ntps_share95", "chance_ntps")
        assert warned(found, "nothing autoregressive")
        assert found.r2 is not None and 0 < found.r2 < 1
        assert found.next_token_loss == 0
    assert len(score(task.texts, task.targets).to_frame()) == 0


def test_states_that_predict_nothing() -> None:
    """S = 0 although there are pairs: every second state is zero."""
    rng = np.random.default_rng(0)
    texts = [np.array([rng.normal(size=3), np.zeros(3)]) for _ in range(40)]
    found = score(texts, np.eye(2)[rng.integers(2, size=40)])
    assert found.rank_autoregressive == 0 and undefined(found, "area")


def test_fewer_texts_than_dimensions() -> None:
    """Everything in sample is 1, and nobody must take it for a finding."""
    task = make_task(0, 24, 3, frozenset({"fewer texts than dimensions"}))
    found = score(task.texts, task.targets)
    assert found.rank_pooled == len(task.texts) == 12
    assert found.r2 == pytest.approx(1, abs=1e-9) and found.best_loss == pytest.approx(0, abs=1e-9)
    assert undefined(found, "r2_adjusted") and warned(found, "are few for 12 dimensions")


@pytest.mark.parametrize(("texts", "few"), [(49, True), (50, False)])
def test_five_texts_a_dimension_are_enough(texts: int, few: bool) -> None:
    rng = np.random.default_rng(0)
    states = [rng.normal(size=(3, 10)) for _ in range(texts)]
    assert warned(score(states, np.eye(2)[rng.integers(2, size=texts)]), "few") is few


def test_constant_hidden_states() -> None:
    task = make_task(0, 4, 3, frozenset({"constant hidden states"}))
    found = score(task.texts, task.targets)
    assert (found.rank_pooled, found.rank_centered, found.rank_autoregressive) == (1, 0, 1)
    assert found.r2 == 0 and undefined(found, "area") and warned(found, "explains nothing")
    # The constant predictor is all there is, and V keeps it.
    assert found.curves.retained.tolist() == pytest.approx([1.0])
    assert found.best_loss == pytest.approx(found.target_energy - float(np.sum(task.targets.mean(axis=0) ** 2)))


def test_hidden_states_of_zero() -> None:
    found = score([np.zeros((3, 2))] * 4, np.eye(2)[[0, 1, 0, 1]])
    assert (found.rank_pooled, found.rank_perception, found.rank_autoregressive) == (0, 0, 0)
    assert found.r2 == 0 and undefined(found, "area", "ntps_share95")
    assert found.best_loss == found.target_energy == 1


def test_dependent_label_columns() -> None:
    task = make_task(0, 6, 3, frozenset({"dependent label columns"}))
    found = score(task.texts, task.targets)
    assert task.targets.shape[1] == 5 and found.rank_perception == len(found.perception_eigenvalues) == 3


def test_more_classes_than_dimensions() -> None:
    task = make_task(0, 2, 6)
    assert score(task.texts, task.targets).rank_perception == 2


def test_a_probe_that_explains_nothing() -> None:
    """R² = 0: every text once with each label."""
    task = make_task(0, 4, 2)
    states = [text for text in task.texts for _ in range(2)]
    found = score(states, np.tile(np.eye(2), (len(task.texts), 1)))
    assert found.r2 == pytest.approx(0, abs=1e-12)
    assert undefined(found, "area") and warned(found, "explains nothing")
    assert np.isnan(found.curves.retained_centered).all() and np.isfinite(found.curves.retained).all()


def test_targets_of_zero() -> None:
    task = make_task(0, 3, 2)
    found = score(task.texts, np.zeros((len(task.texts), 2)))
    assert found.rank_perception == 0 and undefined(found, "r2", "area", "ntps_share95")
    assert np.isnan(found.curves.ntps).all() and warned(found, "ntps is undefined")


def _shift(offset: float) -> Callable[[RandomTask], list[Array]]:
    return lambda task: [text + offset for text in task.texts]


@pytest.mark.parametrize("offset", [10.0, 1e3])
def test_a_large_common_mean_does_not_disturb_the_probe(offset: float) -> None:
    """Massive activations: R² is that of the shifted states' own least squares."""
    task = make_task(1, 5, 3)
    moved = score(_shift(offset)(task), task.targets)
    assert moved.r2 == pytest.approx(score(task.texts, task.targets).r2, abs=1e-8)
