"""Probes of every layer, and the layer to look at: what the ridge probe is best in on texts left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from ntps.errors import InputError
from ntps.jobs.held_out_texts import ALL_LAYERS, CHOSEN, HeldOutTexts
from ntps.jobs.new_texts import FALLBACK, AllLayers, NewTexts, Validated, cross_validate_sample, validated
from ntps.jobs.progress import Reporter
from ntps.jobs.session import group_warnings
from ntps.options.passes import CV_TEXTS
from ntps.options.probing import AdamWProbe, LeastSquares, LogisticProbe, ProbeSettings, RidgeProbe, TangentProbe
from ntps.theory import few_texts
from ntps.training.metrics import figures_of_values, majority_accuracy
from ntps.training.probes.fitted import CURVES, PooledSplits, ProbeFit, probe_adamw, probe_logistic, probe_ols
from ntps.training.records import ProbeRow, ProbeSummary
from ntps.validation.cross_validation import CrossValidation
from ntps.validation.held_out import HeldOut
from ntps.validation.labels import Labels
from ntps.validation.tangents import TangentFit

ONLY = "the only layer that was probed"


@dataclass(frozen=True)
class ComparedProbes:
    """Probes of some layers, as ``result.json`` holds them.

    Attributes:
        rows: One for each layer.
        all_layers: The ridge probe of all layers together, if there is one.
        summary: The chosen layer.
        curves: Rows of ``curves.parquet``.
        warnings: What a reader must know.
        ridge: The ridge probes themselves.
        tangents: The tangent probe itself.
        held_out: How right the probe of the chosen layer, and that of all layers, is about each test text.
    """

    rows: tuple[ProbeRow, ...]
    all_layers: AllLayers | None
    summary: ProbeSummary
    curves: pd.DataFrame
    warnings: tuple[str, ...]
    ridge: CrossValidation | None
    tangents: TangentFit | None = None
    held_out: HeldOutTexts | None = None


def compare_layers(
    pooled: Mapping[int, PooledSplits], names: Sequence[str], settings: ProbeSettings, reporter: Reporter
) -> ComparedProbes:
    """Fits a probe to every layer, and chooses one by the ridge probe: held-out figures never choose.

    Args:
        pooled: Pooled texts by layer, ascending.
        names: Name of every layer of the model.
        settings: The kind of probe.
        reporter: Learns about progress.

    Raises:
        InputError: The kind of probe cannot be fitted to these texts.
    """
    some = next(iter(pooled.values()))
    is_ridge = isinstance(settings.probe, RidgeProbe)
    if is_ridge:
        require_texts(some.labels.units)
    ridge = _ridge_probes(pooled, reporter) if is_ridge or len(pooled) > 1 else None
    fitted, notes = _fit_layers(pooled, settings, ridge, reporter)
    tested = {layer: each.test for layer, each in pooled.items() if each.test is not None}
    held_out = None if ridge is None or some.test_labels is None else ridge.predict(tested, some.test_labels)
    found = validated(ridge, names, held_out)
    rows = tuple(layer_row(layer, names[layer], each, found, test=is_ridge) for layer, each in fitted.items())
    curve = [{"layer": layer, **row} for layer, each in fitted.items() for row in each.curve]
    if is_ridge and len(some.train) > CV_TEXTS:
        notes.append(f"the ridge probe was fitted to a seeded sample of {CV_TEXTS:,} of {len(some.train):,} texts")
    summary = summarize(rows, found, some.labels, some.test_labels)
    few = {} if is_ridge else {names[layer]: tuple(_few_texts(each)) for layer, each in pooled.items()}
    return ComparedProbes(
        rows,
        found.together,
        summary,
        pd.DataFrame(curve, columns=CURVES).astype(dict.fromkeys(CURVES[4:], "float64")),
        (
            *group_warnings(few),
            *group_warnings({names[layer]: each.warnings for layer, each in fitted.items()}),
            *notes,
        ),
        ridge,
        held_out=_held_out(fitted[summary.layer], held_out, settings, some.test_labels),
    )


def _held_out(
    chosen: ProbeFit, ridge: HeldOut | None, settings: ProbeSettings, labels: Labels | None
) -> HeldOutTexts | None:
    """How right probes are about the test texts, if there are any."""
    if chosen.tested is None or labels is None:
        return None
    logits = isinstance(settings.probe, LogisticProbe | AdamWProbe) and labels.kind == "multilabel"
    predicted = {CHOSEN: chosen.tested + 0.5 if logits else chosen.tested}
    if ridge is not None:
        predicted[ALL_LAYERS] = ridge.predicted[None]
    return HeldOutTexts.of(predicted, labels)


def _ridge_probes(pooled: Mapping[int, PooledSplits], reporter: Reporter) -> CrossValidation | None:
    advance = reporter.start("probes left out", len(pooled), "layers")
    labels = next(iter(pooled.values())).labels
    return cross_validate_sample(lambda layer: pooled[layer].train, list(pooled), labels, CV_TEXTS, advance)


def _fit_layers(
    pooled: Mapping[int, PooledSplits], settings: ProbeSettings, ridge: CrossValidation | None, reporter: Reporter
) -> tuple[dict[int, ProbeFit], list[str]]:
    """Probes by layer, and what scikit-learn had to say."""
    match settings.probe:
        case RidgeProbe():
            assert ridge is not None
            probes = {layer: fit.probe for layer, fit in ridge.fits.items()}
            return {
                layer: ProbeFit(*splits.figures(probes[layer].predict, figures_of_values))
                for layer, splits in pooled.items()
            }, []
        case LeastSquares() as ols:
            advance = reporter.start("probes", len(pooled), "layers")
            return {layer: probe_ols(splits, ols, advance) for layer, splits in pooled.items()}, []
        case AdamWProbe() as adamw:
            advance = reporter.start("probes", adamw.epochs * len(pooled), "epochs")
            return {layer: probe_adamw(splits, adamw, settings.seed, advance) for layer, splits in pooled.items()}, []
        case TangentProbe():
            raise AssertionError("tangents are of the last layer alone")
        case LogisticProbe() as logistic:
            advance = reporter.start("probes", len(pooled), "layers")
            # One thread a layer, and none within: small products gain nothing from more, and results then depend on
            # the number of threads.
            with (
                warnings.catch_warnings(record=True) as caught,
                threadpool_limits(1),
                ThreadPoolExecutor(torch.get_num_threads()) as pool,
            ):
                warnings.simplefilter("always")
                found = pool.map(
                    lambda splits: probe_logistic(splits, logistic, settings.seed, advance), pooled.values()
                )
                fitted = dict(zip(pooled, found, strict=True))
            return fitted, sorted({f"scikit-learn: {warning.message}" for warning in caught})


def _few_texts(splits: PooledSplits) -> Iterator[str]:
    texts = len(splits.train)
    if few_texts(texts, splits.rank):
        yield f"{texts} training texts are few for {splits.rank} dimensions: trust figures of test texts only"


def require_texts(units: int) -> None:
    """Refuses a probe whose figures are of texts left out.

    Args:
        units: How many training texts or groups stand for themselves.

    Raises:
        InputError: None can be left out.
    """
    if units < 2:
        raise InputError(
            "a ridge probe needs two training texts that are neither equal nor of one group: give more texts, or "
            "another `kind`"
        )


def layer_row(layer: int, name: str, fitted: ProbeFit, found: Validated, *, test: bool) -> ProbeRow:
    """The entry of one layer.

    Args:
        layer: Its index.
        name: Its name.
        fitted: The probe that was asked for.
        found: What holds for new texts.
        test: Whether that is of the same probe: what another one reaches on test texts must not be mistaken for it.
    """
    figures = {"train": asdict(fitted.train), "test": None if fitted.test is None else asdict(fitted.test)}
    ridge = NewTexts.model_validate(found.layers.get(layer, {})).given(NewTexts, test=test)
    content = {"layer": layer, "name": name, **ridge, **figures, **fitted.details, "warnings": fitted.warnings}
    return ProbeRow.model_validate(content)


def summarize(rows: Sequence[ProbeRow], found: Validated, labels: Labels, test_labels: Labels | None) -> ProbeSummary:
    """The chosen layer.

    Args:
        rows: Of all layers.
        found: What holds for new texts.
        labels: Labels of the training texts.
        test_labels: Labels of the test texts, if there are any.
    """
    last = rows[-1]
    chosen = found.chosen({row.layer: row.name for row in rows})
    rule = ONLY if len(rows) == 1 else FALLBACK
    where = {"layer": last.layer, "name": last.name, "rule": rule, **chosen}
    (row,) = (row for row in rows if row.layer == where["layer"])
    majority = {
        "train": majority_accuracy(labels, labels),
        "test": None if test_labels is None else majority_accuracy(labels, test_labels),
    }
    content = {**where, "train": row.train, "test": row.test, "majority_accuracy": majority}
    return ProbeSummary.model_validate(content)
