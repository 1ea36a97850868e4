"""``ntps.api.estimate``: what a score would take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ntps.api.loading import job
from ntps.distributed.world import join_world
from ntps.jobs.progress import Reporter
from ntps.models.adapters.adapter import check_adapter
from ntps.models.model import LanguageModel
from ntps.moments.kernels import Pooling
from ntps.scoring.dry_run import estimate_score
from ntps.scoring.settings import ScoreSettings
from ntps.tasks.task import Task


def estimate(
    model: str | Path | LanguageModel | None = None,
    task: str | Path | Task | None = None,
    *,
    text_columns: Sequence[str] = (),
    label_column: str | None = None,
    split: str = "train",
    limit: int | None = None,
    limit_first: bool = False,
    seed: int = 0,
    data_dir: str | Path | None = None,
    config: str | None = None,
    layers: str | None = None,
    pooling: Pooling = "mean",
    dtype: str = "float32",
    device: str | None = None,
    tokenizer: str | Path | None = None,
    trust_remote_code: bool = False,
    adapter: str | Path | None = None,
    max_length: int | None = None,
    tokens_per_batch: int | None = None,
    test: bool = True,
    keep_moments: bool = True,
    keep_pooled: bool = False,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Says what :func:`ntps.score` with the same options would take; a few batches run, and nothing is written.

    Args:
        model: As for :func:`ntps.score`, like all that follows.
        task: The task.
        text_columns: Columns that hold the text.
        label_column: Column that holds the label.
        split: Split to score.
        limit: Largest number of texts per split.
        limit_first: Takes the first texts instead of a seeded sample.
        seed: Seed of that sample.
        data_dir: Folder with local copies of named tasks.
        config: Configuration of a hub dataset.
        layers: Layers such as ``0,3,-1`` or ``0:12``.
        pooling: How a text becomes one vector.
        dtype: Dtype of the forward pass.
        device: Where the model runs.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
        adapter: Folder of an adapter, with which the texts are scored before and after.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens a batch.
        test: Whether to measure held-out figures where there is a test split.
        keep_moments: Whether statistics would be kept.
        keep_pooled: Whether pooled texts would be kept.
        reporter: Learns about progress.

    Returns:
        ``texts, memory_bytes, disk_bytes, seconds`` and what they are about, in JSON types.

    Raises:
        InputError: Something that was given cannot be used.
    """
    settings = ScoreSettings(layers, pooling, max_length, tokens_per_batch, test)
    with (
        join_world() as world,
        job(
            model,
            task,
            out=None,
            overwrite=False,
            text_columns=text_columns,
            label_column=label_column,
            split=split,
            limit=limit,
            limit_first=limit_first,
            seed=seed,
            data_dir=data_dir,
            config=config,
            test=test,
            dtype=dtype,
            device=device,
            tokenizer=tokenizer,
            trust_remote_code=trust_remote_code,
            adapter=adapter,
            world=world,
        ) as at_hand,
    ):
        loaded = at_hand.load()
        if adapter is not None:
            check_adapter(loaded, Path(adapter))
        return estimate_score(
            loaded,
            at_hand.task,
            settings,
            processes=world.size,
            runs=1 if adapter is None else 2,
            keep_moments=keep_moments,
            keep_pooled=keep_pooled,
            reporter=reporter,
        )
