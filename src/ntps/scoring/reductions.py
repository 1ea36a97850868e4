"""What a pass reduces hidden states to: moments, or residuals of probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ntps.checkpoint.checkpoint import Checkpoint
from ntps.distributed.peers import PeerFailed
from ntps.forward.batch_plan import Batch
from ntps.forward.stream import Pass, Store, discard_pooled
from ntps.moments.accumulator import Moments
from ntps.moments.kernels import RaggedBatch
from ntps.moments.layer_score import LayerScore
from ntps.tasks.task import Task
from ntps.theory import LinearProbe, PredictionSums
from ntps.validation.cross_validation import CrossValidation
from ntps.validation.held_out import HeldOut
from ntps.validation.labels import Labels


def collect_moments(
    work: Pass,
    outputs: int,
    checkpoint: Checkpoint | None = None,
    check: Callable[[], None] = lambda: None,
    store: Store = discard_pooled,
) -> tuple[dict[int, Moments], tuple[float, float]]:
    """Fills the moments of every layer.

    Args:
        work: The pass.
        outputs: Width c of the targets.
        checkpoint: Where to go on from, and where to leave the sums at intervals.
        check: Raises if another process that shares the plan has stopped.
        store: Gets the pooled texts too.

    Returns:
        Moments by layer, and the seconds of :meth:`Pass.run`.
    """
    moments: dict[int, Moments] = {}
    restored = checkpoint.restore() if checkpoint else {}

    def reduce(layer: int, rows: RaggedBatch, targets: Tensor, texts: Batch) -> None:
        if layer not in moments:
            width, device = rows.pooled.shape[1], rows.pooled.device
            moments[layer] = Moments(width, outputs, pooling=work.pooling, device=device)
            if layer in restored:
                moments[layer].merge(restored.pop(layer))
        moments[layer].add(rows, targets)
        store(layer, texts, rows.pooled)

    def save(done: int, checkpoint: Checkpoint) -> None:
        work.watch.flush()
        checkpoint.save(moments, done, len(work.plan))

    def finished(done: int) -> None:
        if checkpoint and done < len(work.batches) and checkpoint.due:
            save(done, checkpoint)
        try:
            check()
        except PeerFailed:
            if checkpoint:
                save(done, checkpoint)
            raise

    seconds = work.run(reduce, start=checkpoint.manifest.done if checkpoint else 0, finished=finished)
    return {**restored, **moments}, seconds


@dataclass(frozen=True)
class Probes:
    """What is applied to held-out texts.

    Attributes:
        ols: The least-squares probe of each layer.
        ridge: Its ridge probe; none without figures for new texts.
        together: Each layer's part of the ridge probe of all layers.
    """

    ols: Mapping[int, LinearProbe]
    ridge: Mapping[int, LinearProbe]
    together: Mapping[int, LinearProbe]


def probes_of(scores: Sequence[LayerScore], found: CrossValidation | None) -> Probes:
    """The probes of layers that were scored and cross-validated."""
    ols = {score.layer: score.probe for score in scores}
    if found is None:
        return Probes(ols, {}, {})
    return Probes(ols, {layer: fit.probe for layer, fit in found.fits.items()}, found.together.parts)


@dataclass(frozen=True)
class Seen:
    """What they came to.

    Attributes:
        ols: Residuals and hits of the least-squares probes, by layer.
        ridge: Predictions of the ridge probes, if there are any.
    """

    ols: Mapping[int, PredictionSums]
    ridge: HeldOut | None


def evaluate_probes(
    work: Pass, probes: Probes, labels: Labels, store: Store = discard_pooled
) -> tuple[Seen, tuple[float, float]]:
    """Applies probes of each layer to held-out texts as they stream by.

    Args:
        work: The pass over the held-out texts.
        probes: The probes.
        labels: Labels of the texts.
        store: Gets the pooled texts too.

    Returns:
        What was seen, and the seconds of :meth:`Pass.run`.
    """
    sums = {layer: PredictionSums(labels.targets[work.plan[0][0]]) for layer in probes.ols}
    held_out = HeldOut(labels, probes.ridge, probes.together) if probes.ridge else None

    def reduce(layer: int, rows: RaggedBatch, targets: Tensor, texts: Batch) -> None:
        pooled = rows.pooled.cpu().numpy()
        sums[layer].add(probes.ols[layer].predict(pooled), targets.cpu().numpy())
        if held_out is not None:
            held_out.add(layer, texts, pooled)
        store(layer, texts, rows.pooled)

    seconds = work.run(reduce)
    return Seen(sums, held_out), seconds


def with_held_out(scores: Sequence[LayerScore], sums: Mapping[int, PredictionSums], task: Task) -> list[LayerScore]:
    """The scores of layers with their held-out figures.

    Args:
        scores: The scores.
        sums: Residuals and hits by layer, over all held-out texts.
        task: The task, which has an accuracy if its labels are classes.
    """
    classes = task.kind == "classes"
    figures = [sums[score.layer] for score in scores]
    return [
        replace(score, r2_test_ols=each.r2, accuracy_test_ols=each.accuracy if classes else None)
        for score, each in zip(scores, figures, strict=True)
    ]
