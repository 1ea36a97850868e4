"""Moments of one layer: sums over texts, by their definition, whatever the batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ntps import InputError, Moments, NumericalError
from ntps.moments.kernels import symmetric
from ntps.moments.sums import SUMS
from ntps.options.passes import Pooling
from tiny import Array, Side, moments_of, padded

TRIANGLES = ("prefix_gram", "pooled_gram", "target_gram")
POOLINGS: tuple[Pooling, ...] = ("mean", "sum", "last")


def ragged(lengths: Sequence[int], width: int = 3, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, width)) * rng.uniform(0.1, 10) for length in lengths]


def labels(count: int, outputs: int = 2, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(count, outputs))


def full(moments: Moments) -> dict[str, Array]:
    return {
        name: (symmetric(value) if name in TRIANGLES else value).numpy().copy() for name, value in moments.sums.items()
    }


def brute_force(texts: Sequence[Array], targets: Array, pooling: Pooling) -> dict[str, Array]:
    """Every sum by its definition: loops over texts and tokens, nothing shared."""
    d, c = texts[0].shape[1], targets.shape[1]
    shapes = {
        **{"prefix_gram": (d, d), "prefix_next": (d, d), "pooled_gram": (d, d), "pooled_target": (d, c)},
        **{"pooled_sum": (d,), "prefix_sum": (d,), "next_sum": (d,), "next_energy": (), "pooled_norm4": ()},
        **{"pooled_norm2_sum": (d,), "target_gram": (c, c), "target_sum": (c,)},
    }
    sums = {name: np.zeros(shape) for name, shape in shapes.items()}
    for text, y in zip(texts, targets, strict=True):
        for t in range(1, len(text)):
            prefix, following = np.zeros(d), text[t]
            for s in range(t):
                prefix = prefix + text[s]
            sums["prefix_gram"] += np.outer(prefix, prefix)
            sums["prefix_next"] += np.outer(prefix, following)
            sums["prefix_sum"] += prefix
            sums["next_sum"] += following
            sums["next_energy"] += following @ following
        total = np.zeros(d)
        for state in text:
            total = total + state
        pooled = {"mean": total / len(text), "sum": total, "last": text[-1]}[pooling]
        sums["pooled_gram"] += np.outer(pooled, pooled)
        sums["pooled_target"] += np.outer(pooled, y)
        sums["pooled_sum"] += pooled
        sums["pooled_norm4"] += (pooled @ pooled) ** 2
        sums["pooled_norm2_sum"] += (pooled @ pooled) * pooled
        sums["target_gram"] += np.outer(y, y)
        sums["target_sum"] += y
    return sums


def assert_close(found: dict[str, Array], expected: dict[str, Array], tolerance: float = 1e-12) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(float(np.abs(value).max()), 1e-300)
        np.testing.assert_allclose(found[name] / scale, value / scale, atol=tolerance, err_msg=name)


LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(1, 5), st.sampled_from(POOLINGS), st.sampled_from(["left", "right"]), SEEDS)
def test_sums_are_those_of_the_definition(
    lengths: list[int], width: int, pooling: Pooling, side: Side, seed: int
) -> None:
    texts, targets = ragged(lengths, width, seed), labels(len(lengths), 3, seed)
    moments = moments_of(texts, targets, pooling=pooling, side=side)
    assert_close(full(moments), brute_force(texts, targets, pooling))
    assert (moments.texts, moments.tokens) == (len(lengths), sum(lengths))
    assert set(moments.sums) == set(SUMS)
    assert {value.dtype for value in moments.sums.values()} == {torch.float64}


@pytest.mark.parametrize("fill", [float("nan"), float("inf"), -1e300])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_stands_at_padding_does_not_matter(pooling: Pooling, side: Side, fill: float) -> None:
    texts, targets = ragged([3, 1, 5]), labels(3)
    moments = moments_of(texts, targets, pooling=pooling, side=side, fill=fill)
    clean = moments_of(texts, targets, pooling=pooling, side=side)
    assert all(torch.equal(moments.sums[name], clean.sums[name]) for name in SUMS)


def test_more_padding_changes_nothing() -> None:
    texts, targets = ragged([3, 1, 5]), labels(3)
    wide = Moments(3, 2)
    wide.update(*padded(texts, extra=4), targets)
    assert_close(full(wide), full(moments_of(texts, targets)))


def test_texts_of_one_token_have_nothing_to_predict() -> None:
    texts, targets = ragged([1, 1, 1]), labels(3)
    sums = full(moments_of(texts, targets))
    for name in ("prefix_gram", "prefix_next", "prefix_sum", "next_sum", "next_energy"):
        assert not sums[name].any(), name
    assert_close(sums, brute_force(texts, targets, "mean"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_states_are_summed_in_float64(dtype: torch.dtype) -> None:
    """Exactly the sums of the rounded states: no product and no prefix sum runs in the narrow dtype."""
    hidden, mask = padded(ragged([40, 7, 33]))
    narrow, wide = Moments(3, 2), Moments(3, 2)
    narrow.update(hidden.to(dtype), mask, labels(3))
    wide.update(hidden.to(dtype).double(), mask, labels(3))
    assert all(torch.equal(narrow.sums[name], wide.sums[name]) for name in SUMS)


def test_masks_of_numbers_and_targets_of_other_kinds_will_do() -> None:
    texts, one_hot = ragged([3, 1, 5]), np.eye(2)[[0, 1, 0]]
    hidden, mask = padded(texts)
    expected = moments_of(texts, one_hot)
    others: tuple[tuple[torch.Tensor, Any], ...] = (
        (mask.long(), torch.as_tensor(one_hot)),
        (mask.float(), one_hot.astype(np.float32)),
    )
    for other_mask, targets in others:
        moments = Moments(3, 2)
        moments.update(hidden, other_mask, targets)
        assert all(torch.equal(moments.sums[name], expected.sums[name]) for name in SUMS)


def test_states_with_a_graph_will_do() -> None:
    """The first thing that many will try: a model's output, without ``no_grad``."""
    hidden, mask = padded(ragged([3, 1, 5]))
    moments = Moments(3, 2)
    moments.update(hidden.requires_grad_(), mask, labels(3))
    assert_close(full(moments), full(moments_of(ragged([3, 1, 5]), labels(3))))
    assert not any(value.requires_grad for value in moments.sums.values())


def test_the_arguments_are_left_as_they_were() -> None:
    hidden, mask = padded(ragged([3, 1, 5]), fill=float("nan"))
    targets = labels(3)
    copies = hidden.clone(), mask.clone(), targets.copy()
    Moments(3, 2).update(hidden, mask, targets)
    assert torch.equal(hidden.nan_to_num(7.0), copies[0].nan_to_num(7.0)) and torch.equal(mask, copies[1])
    assert np.array_equal(targets, copies[2])


def test_moments_that_began_in_inference_mode_can_go_on_outside() -> None:
    texts, targets = ragged([3, 1, 5]), labels(3)
    with torch.inference_mode():
        inside = moments_of(texts, targets)
    outside = moments_of(texts, targets)
    both = full(outside + inside)
    inside.update(*padded(texts), targets)
    assert_close(full(inside), both)
    assert_close(full(moments_of(texts, targets).merge(inside)), full(inside + outside))


# --- the algebra -----------------------------------------------------------------------------------------------------

PARTS = st.tuples(LENGTHS, SEEDS).map(lambda part: moments_of(ragged(part[0], 3, part[1]), labels(len(part[0]))))


@settings(deadline=None, max_examples=30)
@given(PARTS, PARTS, PARTS)
def test_merge_is_associative_and_commutative(a: Moments, b: Moments, c: Moments) -> None:
    expected = full(a + (b + c))
    assert_close(full((a + b) + c), expected, 1e-13)
    assert_close(full((c + a) + b), expected, 1e-13)
    assert_close(full(a.copy().merge(b).merge(c)), expected, 1e-13)
    assert ((a + b) + c).tokens == a.tokens + b.tokens + c.tokens


@settings(deadline=None, max_examples=30)
@given(PARTS, PARTS)
def test_what_was_added_can_be_taken_away(a: Moments, b: Moments) -> None:
    left = a + b - b
    assert (left.texts, left.tokens) == (a.texts, a.tokens)
    for name, value in full(left).items():
        scale = np.abs(full(a)[name]).max() + np.abs(full(b)[name]).max() + 1e-300
        np.testing.assert_allclose(value / scale, full(a)[name] / scale, atol=1e-14, err_msg=name)


def test_sums_and_differences_are_new_and_merge_is_in_place() -> None:
    a, b = moments_of(ragged([3, 2]), labels(2)), moments_of(ragged([4], seed=5), labels(1))
    before = full(a), full(b)
    assert (a + b) is not a and (a - b) is not a and a.copy() is not a
    for moments, sums in zip((a, b), before, strict=True):
        assert all(np.array_equal(value, sums[name]) for name, value in full(moments).items())
    assert a.merge(b) is a
    assert (a.texts, a.tokens) == (3, 9)
    assert all(np.array_equal(value, before[1][name]) for name, value in full(b).items())


@settings(deadline=None, max_examples=30)
@given(LENGTHS, st.data())
def test_order_and_batches_change_nothing_beyond_rounding(lengths: list[int], data: st.DataObject) -> None:
    texts, targets = ragged(lengths), labels(len(lengths))
    order = data.draw(st.permutations(range(len(lengths))))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(lengths) - 1)), max_size=3)))
    moments = Moments(3, 2)
    for start, stop in zip([0, *cuts], [*cuts, len(order)], strict=True):
        batch = order[start:stop]
        if batch:
            moments.update(*padded([texts[i] for i in batch]), targets[batch])
    assert_close(full(moments), full(moments_of(texts, targets)), 1e-13)
    assert (moments.texts, moments.tokens) == (len(lengths), sum(lengths))


@pytest.mark.parametrize("other", [Moments(4, 2), Moments(3, 1), Moments(3, 2, pooling="sum")])
def test_moments_of_different_kinds_do_not_mix(other: Moments) -> None:
    moments = moments_of(ragged([3]), labels(1))
    for combine in (moments.merge, moments.__add__, moments.__sub__):
        with pytest.raises(InputError, match="different kinds"):
            combine(other)
    assert moments.texts == 1


def test_means_divide_by_the_number_of_texts() -> None:
    moments = moments_of(ragged([3, 1, 5, 2]), labels(4))
    means, sums = moments.means(), full(moments)
    assert means.texts == 4
    assert means.next_energy == pytest.approx(float(sums["next_energy"]) / 4, rel=1e-15)
    for name in ("prefix_gram", "prefix_next", "pooled_gram", "pooled_target", "target_gram"):
        np.testing.assert_allclose(getattr(means, name), sums[name] / 4, rtol=1e-15)
    np.testing.assert_allclose(means.pooled_mean, sums["pooled_sum"] / 4, rtol=1e-15)
    np.testing.assert_allclose(means.target_mean, sums["target_sum"] / 4, rtol=1e-15)
    assert np.array_equal(means.prefix_gram, means.prefix_gram.T)


def test_no_texts_have_no_means() -> None:
    with pytest.raises(InputError, match="no texts"):
        Moments(3, 2).means()


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hidden", "mask", "targets", "culprit"),
    [
        ((2, 4, 5), (2, 4), (2, 2), "hidden"),
        ((2, 4), (2, 4), (2, 2), "hidden"),
        ((2, 4, 3), (2, 5), (2, 2), "mask"),
        ((2, 4, 3), (4,), (2, 2), "mask"),
        ((2, 4, 3), (2, 4), (2, 3), "targets"),
        ((2, 4, 3), (2, 4), (3, 2), "targets"),
        ((2, 4, 3), (2, 4), (2,), "targets"),
        ((2, 0, 3), (2, 0), (2, 2), "mask row 0"),
    ],
)
def test_shapes_that_do_not_fit(
    hidden: tuple[int, ...], mask: tuple[int, ...], targets: tuple[int, ...], culprit: str
) -> None:
    moments = Moments(3, 2)
    with pytest.raises(InputError, match=culprit):
        moments.update(torch.ones(hidden), torch.ones(mask), torch.ones(targets))
    assert_untouched(moments)


def test_states_must_be_floating() -> None:
    with pytest.raises(InputError, match="int64"):
        Moments(3, 2).update(torch.ones(1, 2, 3, dtype=torch.int64), torch.ones(1, 2), torch.ones(1, 2))


@pytest.mark.parametrize("row", [[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 0, 1]])
def test_masks_with_holes_or_without_tokens(row: list[int]) -> None:
    moments = Moments(3, 2)
    with pytest.raises(InputError, match="mask row 1"):
        moments.update(torch.ones(2, 4, 3), torch.tensor([[0, 1, 1, 0], row]), torch.ones(2, 2))
    assert_untouched(moments)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("position", [0, 1, 4])
def test_states_that_are_not_finite_name_the_row_and_add_nothing(bad: float, dtype: torch.dtype, position: int) -> None:
    hidden, mask = padded(ragged([6, 5, 5]))
    hidden[2, position, 1] = bad
    moments = Moments(3, 2)
    with pytest.raises(NumericalError, match=f"row 2 .*{dtype}"):
        moments.update(hidden.to(dtype), mask, labels(3))
    assert_untouched(moments)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_targets_that_are_not_finite_add_nothing(bad: float) -> None:
    targets = labels(2)
    targets[1, 0] = bad
    moments = Moments(3, 2)
    with pytest.raises(NumericalError, match="targets"):
        moments.update(*padded(ragged([2, 3])), targets)
    assert_untouched(moments)


@pytest.mark.parametrize(("width", "targets"), [(0, 2), (3, 0), (-1, 1)])
def test_widths_must_be_positive(width: int, targets: int) -> None:
    with pytest.raises(InputError, match="hidden_size and targets"):
        Moments(width, targets)


def test_a_pooling_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="median"):
        Moments(3, 2, pooling="median")  # type: ignore[arg-type]


def assert_untouched(moments: Moments) -> None:
    assert (moments.texts, moments.tokens) == (0, 0)
    assert not any(bool(value.any()) for value in moments.sums.values())


# --- on disk ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(LENGTHS, st.integers(1, 5), st.integers(1, 4), st.sampled_from(POOLINGS), SEEDS)
def test_a_round_trip_keeps_every_bit(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], width: int, outputs: int, pooling: Pooling, seed: int
) -> None:
    texts, targets = ragged(lengths, width, seed), labels(len(lengths), outputs)
    moments = moments_of(texts, targets, pooling=pooling)
    path = tmp_path_factory.mktemp("moments") / "layer.safetensors"
    moments.save(path)
    again = Moments.load(path)
    assert vars(again).keys() == vars(moments).keys()
    for name in ("hidden_size", "targets", "pooling", "texts", "tokens"):
        assert getattr(again, name) == getattr(moments, name)
    assert all(np.array_equal(value, full(moments)[name]) for name, value in full(again).items())
    # What was loaded goes on as if it had never been away.
    for each in (moments, again):
        each.update(*padded(texts), targets)
    assert all(np.array_equal(value, full(moments)[name]) for name, value in full(again).items())


def test_symmetric_sums_are_packed_triangles_of_sums(tmp_path: Path) -> None:
    texts, targets = ragged([3, 1, 5], width=4), labels(3, 2)
    moments = moments_of(texts, targets)
    moments.save(tmp_path / "layer.safetensors")
    stored = load_file(tmp_path / "layer.safetensors")
    expected = brute_force(texts, targets, "mean")
    assert stored.keys() == expected.keys()
    assert {value.dtype for value in stored.values()} == {torch.float64}
    for name, value in expected.items():
        rows = value[np.triu_indices(len(value))] if name in TRIANGLES else value
        np.testing.assert_allclose(stored[name].numpy(), rows, rtol=1e-12, err_msg=name)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    moments_of(ragged([3, 1, 5]), labels(3)).save(tmp_path / "layer.safetensors")
    return tmp_path / "layer.safetensors"


def refusal(path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Moments.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_cut_off_file_is_refused(kept: int, saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    refusal(saved)


def test_other_files_are_refused(saved: Path, tmp_path: Path) -> None:
    refusal(tmp_path / "missing.safetensors")
    refusal(tmp_path)
    (tmp_path / "text.safetensors").write_text("not moments at all, but long enough to have a header")
    refusal(tmp_path / "text.safetensors")
    save_file({"weight": torch.ones(2)}, tmp_path / "weights.safetensors")
    refusal(tmp_path / "weights.safetensors")


def test_a_file_that_lost_its_metadata_is_refused(saved: Path) -> None:
    save_file(load_file(saved), saved)
    refusal(saved)


def test_a_file_whose_sums_do_not_fit_together_is_refused(saved: Path) -> None:
    metadata = {"pooling": "mean", "texts": "3", "tokens": "9"}
    for name, value in (("prefix_gram", torch.zeros(5)), ("pooled_gram", torch.zeros(10)), ("next_sum", torch.ones(4))):
        save_file({**load_file(saved), name: value.double()}, saved.with_name("other.safetensors"), metadata)
        refusal(saved.with_name("other.safetensors"))


def test_saving_to_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        Moments(3, 2).save(tmp_path / "missing" / "layer.safetensors")
