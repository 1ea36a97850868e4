"""What holds for new texts, as results say it: the figures of ridge probes, and the layer that they choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from ntps.jobs.blocks import LayerBlock
from ntps.jobs.held_out_texts import ALL_LAYERS, CHOSEN, HeldOutTexts
from ntps.json_files import Block, Figure, Items
from ntps.moments.kernels import resolution_of
from ntps.validation.choice import LayerChoice, choose_layer
from ntps.validation.cross_validation import CrossValidation, Read, cross_validate
from ntps.validation.held_out import HeldOut
from ntps.validation.judged import CRITERION, Estimate, Judged, baseline, estimates
from ntps.validation.labels import Labels, seeded_sample
from ntps.validation.layer_fit import RidgeFit
from ntps.validation.left_out_texts import LeftOutTexts

RULES = {
    "accuracy": "the layer with the highest cross-validated accuracy of a ridge probe",
    "mean_average_precision": "the layer with the highest cross-validated mean average precision of a ridge probe",
    "r2": "the layer with the highest cross-validated R² of a ridge probe",
}
FALLBACK = "the last layer, because the texts are too few (or their targets too constant) to compare layers"
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

    def given(self, kind: type[NewTexts], *, test: bool) -> dict[str, object]:
        """Those that a kind of block has, by name, with or without those of test texts."""
        known = ((name, value) for name, value in self if name in kind.model_fields and name in self.model_fields_set)
        return {name: value for name, value in known if test or "_test" not in name}


class AllLayers(NewTexts):
    """One ridge probe of all layers together.

    Attributes:
        shares: What each layer, by name, holds of the probe's squared weights.
        missed: Share of the kernel that its sample of texts lacks; 0 where every text is in it.
    """

    shares: Mapping[str, Figure]
    missed: Figure


class ChosenLayer(LayerBlock):
    """The layer of a summary; what is said of the choice is null where texts were not left out.

    Attributes:
        rule: How it was chosen.
        criterion: The figure of the ridge probe that it is the best in.
        chosen_cv: That figure for a layer that is chosen like this, on new texts: the figure of the best layer itself
            flatters, because it was chosen for it.
        equals: Names of the layers that cannot be told from it at 95 %.
        baseline_cv: What that figure is without looking at the texts: for label sets, the mean share of texts that
            have a label; 0 for numbers.
        cv_texts: How many texts were left out in turn.
    """

    rule: str
    criterion: str | None = None
    chosen_cv: Figure = None
    chosen_cv_interval: Interval = None
    equals: Items[str] | None = None
    baseline_cv: Figure = None
    cv_texts: int | None = None


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
        left_out: How right every probe is, text by text, where it was fitted now.
        held_out: The same of the test texts, for the best layer and for all layers together.
    """

    layers: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    together: AllLayers | None = None
    choice: LayerChoice | None = None
    criterion: str | None = None
    texts: int = 0
    baseline: float | None = None
    left_out: LeftOutTexts | None = None
    held_out: HeldOutTexts | None = None

    def chosen(self, names: Mapping[int, str]) -> dict[str, object]:
        """The entries of :class:`ChosenLayer`, by names of layers; empty where none could be chosen."""
        if self.choice is None or self.criterion is None:
            return {}
        estimate = self.choice.estimate
        return {
            "layer": self.choice.layer,
            "name": names[self.choice.layer],
            "rule": RULES[self.criterion],
            "criterion": self.criterion,
            "chosen_cv": estimate.value,
            "chosen_cv_interval": None if estimate.low is None else (estimate.low, estimate.high),
            "equals": tuple(names[layer] for layer in self.choice.equals),
            "baseline_cv": self.baseline,
            "cv_texts": self.texts,
        }


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
    names: Sequence[str],
    held_out: HeldOut | None,
    more: Callable[[CrossValidation], Mapping[int, Mapping[str, object]]] = lambda _probes: {},
) -> Validated:
    """Puts together what cross-validation and the test texts say.

    Args:
        probes: The probes, if there are any.
        names: Name of every layer of the model.
        held_out: What the probes predicted for the test texts.
        more: Further entries by layer.
    """
    if probes is None:
        return Validated()
    by_layer, together = probes.estimates()
    others = more(probes)
    found: dict[int | None, dict[str, object]] = {None: entries(together, "cv") | _penalty(probes.together)}
    for layer, figures in by_layer.items():
        found[layer] = entries(figures, "cv") | {**others.get(layer, {})} | _penalty(probes.fits[layer])
    if held_out is not None:
        for key, judged in held_out.judged().items():
            found[key] |= entries(estimates(judged, held_out.labels, refitted=False), "test")
    all_layers = probes.together
    shares = dict(zip((names[layer] for layer in all_layers.layers), all_layers.probe.shares.tolist(), strict=True))
    return Validated(
        {layer: found[layer] for layer in by_layer},
        AllLayers.model_validate({**found[None], "shares": shares, "missed": all_layers.missed}),
        probes.choice,
        CRITERION[probes.labels.kind],
        len(probes.labels),
        baseline(probes.labels),
        probes.left_out,
        None if held_out is None else _held_out(held_out, probes.choice),
    )


def _held_out(held_out: HeldOut, choice: LayerChoice | None) -> HeldOutTexts:
    predicted = {ALL_LAYERS: held_out.predicted[None]}
    if choice is not None:
        predicted[CHOSEN] = held_out.predicted[choice.layer]
    return HeldOutTexts.of(predicted, held_out.labels)


def validated_alone(
    layer: int, fit: RidgeFit, labels: Labels, tested: Judged | None, test_labels: Labels | None
) -> Validated:
    """The same for one probe of another kind than those of layers.

    Args:
        layer: The layer that it stands for.
        fit: The probe.
        labels: Labels of the texts that it was fitted to.
        tested: How right it is on the test texts, if there are any.
        test_labels: Their labels.
    """
    found = entries(estimates(fit.judged, labels, refitted=True), "cv") | _penalty(fit)
    if tested is not None and test_labels is not None:
        found |= entries(estimates(tested, test_labels, refitted=False), "test")
    return Validated(
        {layer: found},
        choice=choose_layer([layer], [fit.judged], labels),
        criterion=CRITERION[labels.kind],
        texts=len(labels),
        baseline=baseline(labels),
    )


def _penalty(fit: RidgeFit) -> dict[str, object]:
    left_out = fit.left_out
    return {"penalty_cv": left_out.relative_penalty, "degrees_of_freedom": left_out.degrees_of_freedom}


def entries(figures: Mapping[str, Estimate], kind: str) -> dict[str, object]:
    """Figures with their intervals, as blocks name them.

    Args:
        figures: By name.
        kind: ``cv`` or ``test``.
    """
    return dict(_items(figures, kind))


def _items(figures: Mapping[str, Estimate], kind: str) -> Iterator[tuple[str, object]]:
    for name, estimate in figures.items():
        yield f"{name}_{kind}", estimate.value
        yield f"{name}_{kind}_interval", None if estimate.low is None else (estimate.low, estimate.high)
