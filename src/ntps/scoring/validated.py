"""Figures for new texts, as ``result.json`` holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from ntps.json_files import Block, Figure, Items
from ntps.moments.kernels import resolution_of
from ntps.moments.layer_score import LayerScore
from ntps.validation.choice import LayerChoice
from ntps.validation.cross_validation import CrossValidation, Read, cross_validate
from ntps.validation.held_out import HeldOut
from ntps.validation.judged import CRITERION, Estimate, baseline, estimates
from ntps.validation.labels import Labels, seeded_sample
from ntps.validation.layer_fit import RidgeFit
from ntps.validation.rivals import RIVALS

Interval = Items[Figure] | None
"""Both ends at 95 %; null where the figure has none."""


class NewTexts(Block):
    """What a ridge probe reaches on texts that it has not seen, each figure with its 95 % interval.

    Attributes:
        accuracy_cv: Share of right answers in folds left out whole.
        balanced_accuracy_cv: The same as a mean over classes.
        mean_average_precision_cv: For label sets, the average precision of each label, averaged.
        f1_cv: For label sets, the F1 of all labels together, found from 0.5 on.
        r2_cv: R² of each text left out.
        penalty_cv: The penalty with the least loss of texts left out, over the mean square of the standardized states.
        degrees_of_freedom: Of the probe at that penalty, the intercept included.
        accuracy_test: The same figures on the test texts, for the probe of all training texts. In results without
            ``accuracy_cv`` and ``r2_cv``, held-out figures are those of the least-squares probe.
    """

    accuracy_cv: Figure = None
    accuracy_cv_interval: Interval = None
    balanced_accuracy_cv: Figure = None
    balanced_accuracy_cv_interval: Interval = None
    mean_average_precision_cv: Figure = None
    mean_average_precision_cv_interval: Interval = None
    f1_cv: Figure = None
    f1_cv_interval: Interval = None
    r2_cv: Figure = None
    r2_cv_interval: Interval = None
    penalty_cv: Figure = None
    degrees_of_freedom: Figure = None
    accuracy_test: Figure = None
    accuracy_test_interval: Interval = None
    balanced_accuracy_test: Figure = None
    balanced_accuracy_test_interval: Interval = None
    mean_average_precision_test: Figure = None
    mean_average_precision_test_interval: Interval = None
    f1_test: Figure = None
    f1_test_interval: Interval = None
    r2_test: Figure = None
    r2_test_interval: Interval = None

    @property
    def cross_validated(self) -> bool:
        """Whether texts were left out."""
        return self.degrees_of_freedom is not None

    def figures(self, kind: type[NewTexts], *, test: bool) -> dict[str, object]:
        """Those that a kind of block has, by name, with or without those of test texts."""
        known = ((name, value) for name, value in self if name in kind.model_fields and name in self.model_fields_set)
        return {name: value for name, value in known if test or "_test" not in name}


class Rivals(Block):
    """Transferability scores of others for the pooled texts; higher is better, and null where undefined.

    Attributes:
        h_score: Variance of class means in whitened features, from 0 to the number of classes less one.
        h_score_shrunk: The same with a covariance that is shrunk.
        logme: Log evidence per text of a Bayesian linear model.
        discriminant_accuracy: Share of right answers of linear discriminants, in folds left out whole.
        transrate: Coding rate of all texts less that within classes; grows with the scale of the states.
        knn_accuracy: Share of right answers of three nearest neighbours, each text left out in turn.
        n_leep: Log likelihood per text of the labels given a Gaussian mixture of the texts, at most 0.
        warnings: Why scores are null.
    """

    h_score: Figure = None
    h_score_shrunk: Figure = None
    logme: Figure = None
    discriminant_accuracy: Figure = None
    transrate: Figure = None
    knn_accuracy: Figure = None
    n_leep: Figure = None
    warnings: Items[str] = ()


NO_RIVALS = Rivals.model_validate(
    {**dict.fromkeys(RIVALS), "warnings": ("rival scores are undefined: fewer than two texts stand for themselves",)}
)


class LayerNewTexts(NewTexts):
    """The same for one layer.

    Attributes:
        area_cv: Share of the R² of new texts that probes of next-token directions reach, each k weighted by what it
            adds to the next-token objective; null where the probe explains nothing.
        chance_area_cv: The same of random subspaces.
        ntps_share95_ridge: ``ntps_share95`` with U regularized by the penalty of the ridge probe.
        rivals: The scores of others, if they were asked for.
    """

    area_cv: Figure = None
    area_cv_interval: Interval = None
    chance_area_cv: Figure = None
    ntps_share95_ridge: Figure = None
    rivals: Rivals | None = None


class AllLayers(NewTexts):
    """One ridge probe of all layers together.

    Attributes:
        shares: What each layer, by name, holds of the probe's squared weights.
        missed: Share of the kernel that its sample of texts lacks; 0 where every text is in it.
    """

    shares: Mapping[str, Figure]
    missed: Figure


@dataclass(frozen=True)
class Validated:
    """Everything that a run says about new texts, in JSON types; empty where nothing could be left out.

    Attributes:
        layers: Figures by layer.
        together: Those of all layers together.
        choice: The best layer.
        criterion: The figure that it is the best in.
        texts: How many texts were left out in turn.
        baseline: What that figure is without looking at the texts.
    """

    layers: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    together: AllLayers | None = None
    choice: LayerChoice | None = None
    criterion: str | None = None
    texts: int = 0
    baseline: float | None = None

    def without_directions(self) -> Validated:
        """Without what depends on next-token directions."""
        gone = LayerNewTexts.model_fields.keys() - NewTexts.model_fields.keys() - {"rivals"}
        kept = {layer: {n: value for n, value in row.items() if n not in gone} for layer, row in self.layers.items()}
        return replace(self, layers=kept)


def cross_validate_sample(
    pooled: Read,
    layers: Sequence[int],
    labels: Labels,
    most: int,
    advance: Callable[[int], None] = lambda _layers: None,
) -> CrossValidation | None:
    """Fits probes to a seeded sample of pooled texts, in float32 whatever they are kept in.

    Args:
        pooled: Pooled texts of a layer, of all texts or of the sample alone.
        layers: The layers.
        labels: Labels of all texts.
        most: Largest sample; nothing is fitted if it is 0.
        advance: Told of each layer that is done.
    """
    if not most:
        return None
    sample = seeded_sample(len(labels), most)

    def read(layer: int) -> Float32[NDArray[np.float32], "texts dims"]:
        found = pooled(layer)
        return np.asarray(found if len(found) == len(sample) else found[sample], dtype=np.float32)

    return cross_validate(read, layers, labels.take(sample), resolution_of(torch.float32), advance)


def validated(
    probes: CrossValidation | None,
    scores: Sequence[LayerScore],
    names: Sequence[str],
    held_out: HeldOut | None,
    *,
    rivals: bool,
) -> Validated:
    """Puts together what cross-validation and the test texts say.

    Args:
        probes: The probes, if there are any.
        scores: Scores of their layers, whose next-token directions are probed.
        names: Name of every layer of the model.
        held_out: What the probes predicted for the test texts.
        rivals: Whether to give the scores of others too.
    """
    if probes is None:
        return Validated({score.layer: {"rivals": NO_RIVALS} for score in scores} if rivals else {})
    areas = probes.areas({score.layer: (score.directions.basis, score.directions.share) for score in scores})
    by_layer, together = probes.estimates()
    found: dict[int | None, dict[str, object]] = {None: _entries(together, "cv") | _penalty(probes.together)}
    for layer, figures in by_layer.items():
        area = areas[layer]
        chance = {"chance_area_cv": area.chance}
        found[layer] = _entries(figures | {"area": area.area}, "cv") | chance | _penalty(probes.fits[layer])
    for layer, (values, why) in (probes.rivals() if rivals else {}).items():
        found[layer]["rivals"] = Rivals.model_validate({**values, "warnings": why})
    if held_out is not None:
        for key, judged in held_out.judged().items():
            found[key] |= _entries(estimates(judged, held_out.labels, refitted=False), "test")
    all_layers = probes.together
    shares = dict(zip((names[layer] for layer in all_layers.layers), all_layers.probe.shares.tolist(), strict=True))
    return Validated(
        {layer: found[layer] for layer in by_layer},
        AllLayers.model_validate({**found[None], "shares": shares, "missed": all_layers.missed}),
        probes.choice,
        CRITERION[probes.labels.kind],
        len(probes.labels),
        baseline(probes.labels),
    )


def _penalty(fit: RidgeFit) -> dict[str, object]:
    left_out = fit.left_out
    return {"penalty_cv": left_out.relative_penalty, "degrees_of_freedom": left_out.degrees_of_freedom}


def _entries(figures: Mapping[str, Estimate], kind: str) -> dict[str, object]:
    return dict(_items(figures, kind))


def _items(figures: Mapping[str, Estimate], kind: str) -> Iterator[tuple[str, object]]:
    for name, estimate in figures.items():
        yield f"{name}_{kind}", estimate.value
        yield f"{name}_{kind}_interval", None if estimate.low is None else (estimate.low, estimate.high)
