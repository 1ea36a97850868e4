"""The functions that ``import ntps`` offers for whole jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from ntps.errors import InputError
from ntps.models import LanguageModel, find_model, load_model
from ntps.moments import Reporter, ScoreSettings, claim_folder, run_score
from ntps.moments.kernels import Pooling
from ntps.moments.score import Convention
from ntps.report import ScoreResult
from ntps.tasks import Task, load_task


def score(
    model: str | Path | LanguageModel | None = None,
    task: str | Path | Task | None = None,
    *,
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
    convention: Convention = "paper",
    dtype: str = "float32",
    device: str | None = None,
    tokenizer: str | Path | None = None,
    trust_remote_code: bool = False,
    max_length: int | None = None,
    tokens_per_batch: int | None = None,
    test: bool = True,
    keep_moments: bool = True,
    resume: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> ScoreResult:
    """Scores how well a model's next-token learning fits a labelled task, in one forward pass.

    Args:
        model: Folder, hub id, ``id@revision`` or a loaded model; the embedded model by default.
        task: Name, hub id, file, folder or a loaded task; the embedded task by default.
        out: Folder for ``result.json``, ``curves.parquet`` and ``moments/``; nothing is written by default.
        text_columns: Columns that hold the text; two are joined as a pair; detected by default.
        label_column: Column that holds the label; detected by default.
        split: Split to score.
        limit: Largest number of texts per split.
        limit_first: Takes the first texts instead of a seeded sample.
        seed: Seed of that sample.
        data_dir: Folder with local copies of named tasks.
        config: Configuration of a hub dataset.
        layers: Layers such as ``0,3,-1`` or ``0:12``; all by default.
        pooling: How a text becomes one vector: ``mean``, ``sum`` or ``last``.
        convention: ``paper`` (Algorithm 1) or ``released`` (the authors' sweep).
        dtype: Dtype of the forward pass; statistics are float64 in any case.
        device: Where the model runs; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens a batch.
        test: Whether to measure held-out figures where there is a test split.
        keep_moments: Whether statistics are written to ``out``.
        resume: Whether an interrupted run of the same call is continued from its progress in ``out``.
        overwrite: Whether a result in ``out``, or progress, may be replaced.
        reporter: Learns about progress.

    Returns:
        The result, with ``summary``, ``to_frame()``, ``plot()`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states are not finite.
    """
    settings = ScoreSettings(layers, pooling, max_length, tokens_per_batch, test, convention)
    _refuse(
        "task",
        isinstance(task, Task),
        text_columns=text_columns,
        label_column=label_column,
        limit=limit,
        limit_first=limit_first,
        data_dir=data_dir,
        config=config,
        split=None if split == "train" else split,
    )
    _refuse(
        "model",
        isinstance(model, LanguageModel),
        tokenizer=tokenizer,
        device=device,
        dtype=None if dtype == "float32" else dtype,
    )
    folder = None if out is None else Path(out)
    with nullcontext() if folder is None else claim_folder(folder, overwrite):
        if not isinstance(model, LanguageModel):
            # A mistake in its name costs less than the texts.
            find_model(model, tokenizer)
        if not isinstance(task, Task):
            task = load_task(
                None if task is None else str(task),
                text_columns=text_columns,
                label_column=label_column,
                split=split,
                limit=limit,
                limit_first=limit_first,
                seed=seed,
                data_dir=data_dir,
                config=config,
            )
        if not isinstance(model, LanguageModel):
            model = load_model(
                model, dtype=dtype, device=device, tokenizer=tokenizer, trust_remote_code=trust_remote_code
            )
        record = run_score(
            model,
            task,
            settings,
            out=folder,
            keep_moments=keep_moments,
            resume=resume,
            overwrite=overwrite,
            reporter=reporter,
        )
    return ScoreResult(record)


def _refuse(what: str, loaded: bool, **options: object) -> None:
    """Options of loading come too late for what is loaded; leaving them out silently would be a wrong result."""
    given = [name for name, value in options.items() if value]
    if loaded and given:
        raise InputError(f"{given[0]} has no effect on a {what} that is loaded already: give it to load_{what}")
