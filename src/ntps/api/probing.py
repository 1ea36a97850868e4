"""``ntps.probe``: a linear probe as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntps.api.loading import job
from ntps.api.results import ProbeResult
from ntps.jobs.progress import Reporter
from ntps.models.model import LanguageModel
from ntps.moments.kernels import Pooling
from ntps.tasks.task import Task
from ntps.training.probes.probe_run import run_probe
from ntps.training.probes.settings import Kind, ProbeSettings, Solver


def probe(
    model: str | Path | LanguageModel | None = None,
    task: str | Path | Task | None = None,
    kind: Kind = "ols",
    *,
    intercept: bool | None = None,
    solver: Solver | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    dropout: float | None = None,
    out: str | Path | None = None,
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
    max_length: int | None = None,
    tokens_per_batch: int | None = None,
    test: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> ProbeResult:
    """Fits a linear probe to pooled texts of a frozen model, layer by layer, and measures it on the test texts.

    Args:
        model: Folder, hub id, ``id@revision`` or a loaded model; the embedded model by default.
        task: Name, hub id, file, folder or a loaded task; the embedded task by default.
        kind: ``ols`` (least squares in closed form), ``logistic`` (scikit-learn, on standardized pooled texts) or
            ``adamw`` (the paper's linear probe).
        intercept: ``ols``: whether a constant is fitted too; it is by default.
        solver: ``logistic``: ``newton-cg``, or ``saga`` as in the paper (1,000 iterations, tolerance 0.01).
        epochs: ``adamw``: passes over the texts, 50 by default.
        batch_size: ``adamw``: texts a step, 64 by default.
        learning_rate: ``adamw``: 1e-4 by default.
        weight_decay: ``adamw``: 0.01 by default.
        dropout: ``adamw``: dropout of pooled texts, 0.05 by default.
        out: Folder for ``result.json`` and ``curves.parquet``; nothing is written by default.
        text_columns: Columns that hold the text; two are joined as a pair; detected by default.
        label_column: Column that holds the label; detected by default.
        split: Split to fit to.
        limit: Largest number of texts per split.
        limit_first: Takes the first texts instead of a seeded sample.
        seed: Seed of that sample, and of whatever is random about the probe.
        data_dir: Folder with local copies of named tasks.
        config: Configuration of a hub dataset.
        layers: Layers such as ``0,3,-1`` or ``0:12``; all by default, for ``adamw`` the last.
        pooling: How a text becomes one vector: ``mean``, ``sum`` or ``last``.
        dtype: Dtype of the forward pass.
        device: Where the model runs; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens a batch.
        test: Whether to measure figures on the test split, where there is one.
        overwrite: Whether a result in ``out`` may be replaced.
        reporter: Learns about progress.

    Returns:
        The result, with ``summary``, ``layers``, ``to_frame()``, ``plot()`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states are not finite.

    Examples:
        >>> result = ntps.probe(limit=50, layers="-1")
        >>> result.layers["name"].tolist()
        ['final_norm']
        >>> 0 <= result.summary["test"]["accuracy"] <= 1
        True
    """
    settings = ProbeSettings(
        layers,
        pooling,
        max_length,
        tokens_per_batch,
        test,
        kind,
        seed,
        intercept=intercept,
        solver=solver,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dropout=dropout,
    )
    with job(
        model,
        task,
        out=out,
        overwrite=overwrite,
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
    ) as at_hand:
        record = run_probe(at_hand.load(), at_hand.task, settings, out=at_hand.folder, reporter=reporter)
    return ProbeResult(record)
