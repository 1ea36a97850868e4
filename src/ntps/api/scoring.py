"""``ntps.score``: the main job as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntps.api.loading import job
from ntps.api.results import ScoreResult
from ntps.checkpoint.owned_files import PARTS, PASS, RESULTS
from ntps.distributed.world import join_world
from ntps.errors import InputError
from ntps.jobs.progress import Reporter
from ntps.models.adapters.adapter import check_adapter
from ntps.models.model import LanguageModel
from ntps.moments.kernels import Pooling
from ntps.moments.layer_score import Convention
from ntps.scoring.adapter_change import parse_place
from ntps.scoring.score_run import run_score
from ntps.scoring.settings import ScoreSettings
from ntps.tasks.task import Task


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
    centered: bool = False,
    dtype: str = "float32",
    device: str | None = None,
    tokenizer: str | Path | None = None,
    trust_remote_code: bool = False,
    adapter: str | Path | None = None,
    at: str | None = None,
    max_length: int | None = None,
    tokens_per_batch: int | None = None,
    test: bool = True,
    keep_moments: bool = True,
    keep_pooled: bool = False,
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
        centered: Whether both problems get an intercept: covariances instead of second moments.
        dtype: Dtype of the forward pass; statistics are float64 in any case.
        device: Where the model runs; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
        adapter: Folder of a LoRA adapter to merge into the model. The model without it is scored too, and the result
            says what changed.
        at: Layer and k, such as ``4:100``, at which the change of NTPS is reported besides.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens a batch; chosen by device if None.
        test: Whether to measure held-out figures where there is a test split.
        keep_moments: Whether statistics are written to ``out``.
        keep_pooled: Whether the pooled texts of every layer are written to ``out`` too: with them, :func:`ntps.rescore`
            takes other labels.
        resume: Whether an interrupted run of the same call is continued from its progress in ``out``.
        overwrite: Whether a result in ``out``, or progress, may be replaced.
        reporter: Learns about progress.

    Returns:
        The result, with ``summary``, ``to_frame()``, ``plot()`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states are not finite.

    Examples:
        >>> result = ntps.score(limit=50)  # the embedded model and task
        >>> result.layers["name"].tolist()
        ['embed', 'block.1', 'block.2', 'block.3', 'block.4', 'final_norm']
        >>> 0 <= result.summary["area"] <= 1
        True
    """
    settings = ScoreSettings(layers, pooling, max_length, tokens_per_batch, test, convention, centered)
    if at is not None and adapter is None:
        raise InputError("--at compares before with after: give --adapter with it")
    with (
        join_world() as world,
        job(
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
            adapter=adapter,
            writes=(*RESULTS, *PARTS, *PASS),
            world=world,
        ) as at_hand,
    ):
        loaded = at_hand.load()
        baseline = place = None
        if at is not None:
            place = parse_place(at, loaded.num_layers, loaded.hidden_size)
        if adapter is not None:
            check_adapter(loaded, Path(adapter))
            baseline = run_score(loaded, at_hand.task, settings, reporter=reporter, world=world)
            # One model at a time in the memory.
            del loaded
            loaded = at_hand.load(adapter=adapter)
        record = run_score(
            loaded,
            at_hand.task,
            settings,
            out=at_hand.folder,
            keep_moments=keep_moments,
            keep_pooled=keep_pooled,
            resume=resume,
            overwrite=overwrite,
            reporter=reporter,
            world=world,
            baseline=baseline,
            place=place,
        )
    return ScoreResult(record)
