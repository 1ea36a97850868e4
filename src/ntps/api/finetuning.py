"""``ntps.finetune``: LoRA, full fine-tuning and training from scratch as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ntps.api.loading import job
from ntps.api.results import FinetuneResult
from ntps.checkpoint.owned_files import PARTS, RESULTS
from ntps.distributed.world import join_world
from ntps.jobs.progress import Reporter
from ntps.tasks.task import Task
from ntps.training.finetuning.finetune_run import run_finetune
from ntps.training.finetuning.recipe import FinetuneSettings, Method, Precision
from ntps.training.finetuning.saved import files_of


def finetune(
    model: str | Path | None = None,
    task: str | Path | Task | None = None,
    method: Method = "lora",
    *,
    from_scratch: bool = False,
    steps: int | None = None,
    batch_size: int = 1,
    accumulate: int = 1,
    learning_rate: float = 1e-4,
    warmup: float = 0.05,
    weight_decay: float = 1e-5,
    clip_threshold: float = 1.0,
    decay_rate: float = -0.8,
    epsilons: tuple[float, float] = (1e-30, 1e-3),
    rank: int = 32,
    alpha: float = 32,
    lora_dropout: float = 0.05,
    start_layer: int = 0,
    head_dropout: float = 0.05,
    precision: Precision = "auto",
    eval_every: int = 500,
    save_every: int = 500,
    out: str | Path | None = None,
    text_columns: Sequence[str] = (),
    label_column: str | None = None,
    split: str = "train",
    limit: int | None = None,
    limit_first: bool = False,
    seed: int = 0,
    data_dir: str | Path | None = None,
    config: str | None = None,
    device: str | None = None,
    tokenizer: str | Path | None = None,
    trust_remote_code: bool = False,
    max_length: int | None = None,
    tokens_per_batch: int | None = None,
    test: bool = True,
    report_to: Sequence[str] = (),
    resume: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> FinetuneResult:
    """Trains a classifier by the paper's recipe, and measures it on the test texts.

    Args:
        model: Folder, hub id or ``id@revision``; the embedded model by default. It is loaded anew: training changes it.
        task: Name, hub id, file, folder or a loaded task; the embedded task by default.
        method: ``lora`` trains LoRA on queries, keys and values, and a head; ``full`` trains everything.
        from_scratch: ``full``: begin with fresh weights of the same architecture.
        steps: Steps of the optimizer; 5,000 by default, and 10,000 from scratch.
        batch_size: Texts a step, in all processes together.
        accumulate: Parts in which a process takes its share of a step, to save memory.
        learning_rate: Highest learning rate; for small models 2e-3 does better.
        warmup: Share of the steps in which it rises, before it falls with a cosine.
        weight_decay: Of everything that is trained.
        clip_threshold: Adafactor's limit on the root mean square of an update.
        decay_rate: Adafactor's exponent for the running mean of squared gradients.
        epsilons: Adafactor's two regularizers.
        rank: Rank of LoRA.
        alpha: LoRA counts ``alpha / rank`` times.
        lora_dropout: Dropout before LoRA.
        start_layer: First block with LoRA, counted from 0.
        head_dropout: Dropout before the head.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 on CUDA devices that have it.
        eval_every: Steps between two evaluations.
        save_every: Steps between two checkpoints.
        out: Folder for ``result.json``, ``curves.parquet`` and the weights; nothing is kept by default.
        text_columns: Columns that hold the text; two are joined as a pair; detected by default.
        label_column: Column that holds the label; detected by default.
        split: Split to train on.
        limit: Largest number of texts per split.
        limit_first: Takes the first texts instead of a seeded sample.
        seed: Seed of that sample, of fresh weights, of the order of texts, and of dropout.
        data_dir: Folder with local copies of named tasks.
        config: Configuration of a hub dataset.
        device: ``cpu`` or ``cuda``; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens that go through the model at once.
        test: Whether to measure figures on the test split, where there is one.
        report_to: Trackers that transformers knows, such as ``tensorboard``.
        resume: Whether an interrupted run of the same call is continued from its checkpoint in ``out``.
        overwrite: Whether a result in ``out``, or progress, may be replaced.
        reporter: Learns about progress.

    Returns:
        The result, with ``summary``, ``to_frame()``, ``plot()`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states or the loss are not finite.

    Examples:
        >>> result = ntps.finetune(limit=20, steps=2, batch_size=4, rank=4, test=False)
        >>> result.summary["steps"]
        2
    """
    settings = FinetuneSettings(
        max_length=max_length,
        tokens_per_batch=tokens_per_batch,
        test=test,
        method=method,
        from_scratch=from_scratch,
        steps=steps,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        warmup=warmup,
        weight_decay=weight_decay,
        clip_threshold=clip_threshold,
        decay_rate=decay_rate,
        epsilons=epsilons,
        rank=rank,
        alpha=alpha,
        lora_dropout=lora_dropout,
        start_layer=start_layer,
        head_dropout=head_dropout,
        precision=precision,
        eval_every=eval_every,
        save_every=save_every,
        seed=seed,
    )
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
            dtype="float32",
            device=device,
            tokenizer=tokenizer,
            trust_remote_code=trust_remote_code,
            writes=(*RESULTS, *PARTS, *files_of(method, None if out is None else Path(out))),
            world=world,
        ) as at_hand,
    ):
        record = run_finetune(
            model,
            at_hand.task,
            settings,
            out=at_hand.folder,
            device=device,
            tokenizer=tokenizer,
            trust_remote_code=trust_remote_code,
            report_to=report_to,
            resume=resume,
            overwrite=overwrite,
            reporter=reporter,
        )
    return FinetuneResult(record)
