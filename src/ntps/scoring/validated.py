"""What next-token directions keep for new texts, beside the figures of ridge probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ntps.jobs.new_texts import Interval, NewTexts, Validated, entries, validated
from ntps.json_files import Block, Figure, Items
from ntps.moments.layer_score import LayerScore
from ntps.validation.cross_validation import CrossValidation
from ntps.validation.held_out import HeldOut
from ntps.validation.rivals import RIVALS


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


def validated_scores(
    probes: CrossValidation | None,
    scores: Sequence[LayerScore],
    names: Sequence[str],
    held_out: HeldOut | None,
    *,
    rivals: bool,
) -> Validated:
    """What holds for new texts of layers that were scored.

    Args:
        probes: The probes, if there are any.
        scores: Scores of their layers, whose next-token directions are probed.
        names: Name of every layer of the model.
        held_out: What the probes predicted for the test texts.
        rivals: Whether to give the scores of others too.
    """
    if probes is None:
        return Validated({score.layer: {"rivals": NO_RIVALS} for score in scores} if rivals else {})

    def more(probes: CrossValidation) -> dict[int, dict[str, object]]:
        areas = probes.areas({score.layer: (score.directions.basis, score.directions.share) for score in scores})
        found = {
            layer: entries({"area": area.area}, "cv") | {"chance_area_cv": area.chance} for layer, area in areas.items()
        }
        for layer, (values, why) in (probes.rivals() if rivals else {}).items():
            found[layer]["rivals"] = Rivals.model_validate({**values, "warnings": why})
        return found

    return validated(probes, names, held_out, more)


def without_directions(found: Validated) -> Validated:
    """Without what depends on next-token directions."""
    gone = LayerNewTexts.model_fields.keys() - NewTexts.model_fields.keys() - {"rivals"}
    kept = {layer: {n: value for n, value in row.items() if n not in gone} for layer, row in found.layers.items()}
    return replace(found, layers=kept)
