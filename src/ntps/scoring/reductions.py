"""What a pass reduces hidden states to: moments, or residuals of probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

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


def evaluate_probes(
    work: Pass, probes: dict[int, LinearProbe], store: Store = discard_pooled
) -> tuple[dict[int, PredictionSums], tuple[float, float]]:
    """Applies the probe of each layer to held-out texts as they stream by.

    Args:
        work: The pass over the held-out texts.
        probes: The probe of each layer.
        store: Gets the pooled texts too.

    Returns:
        Tallies by layer, and the seconds of :meth:`Pass.run`.
    """
    shift = work.targets(work.plan[0])[0]
    tallies = {layer: PredictionSums(shift) for layer in probes}

    def reduce(layer: int, rows: RaggedBatch, targets: Tensor, texts: Batch) -> None:
        tallies[layer].add(probes[layer].predict(rows.pooled.cpu().numpy()), targets.cpu().numpy())
        store(layer, texts, rows.pooled)

    seconds = work.run(reduce)
    return tallies, seconds


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
        replace(score, r2_test=each.r2, accuracy_test=each.accuracy if classes else None)
        for score, each in zip(scores, figures, strict=True)
    ]
