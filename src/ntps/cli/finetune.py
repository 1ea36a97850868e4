"""``ntps finetune``: LoRA, full fine-tuning, training from scratch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntps import api
from ntps.cli import build_options as options
from ntps.cli.console import err, out, progress_bars
from ntps.cli.results import show
from ntps.models.registry import EMBEDDED

if TYPE_CHECKING:
    from ntps.api.results import FinetuneResult

RECIPE = "The recipe (defaults: the paper's)"
SCHEDULE = "Steps"


class MethodName(StrEnum):
    """What is trained."""

    lora = "lora"
    full = "full"


class PrecisionName(StrEnum):
    """What is computed in."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


Method = Annotated[
    MethodName, typer.Option(help="lora: query, key and value projections; full: all weights.", rich_help_panel=RECIPE)
]
FromScratch = Annotated[
    bool, typer.Option("--from-scratch", help="full: begin with fresh weights.", rich_help_panel=RECIPE)
]
Steps = Annotated[
    int | None, typer.Option(help="Steps; 5,000 by default, 10,000 from scratch.", rich_help_panel=SCHEDULE)
]
BatchSize = Annotated[int, typer.Option(help="Texts a step, in all processes together.", rich_help_panel=SCHEDULE)]
Accumulate = Annotated[
    int, typer.Option(help="Parts of a step that are taken one by one, to save memory.", rich_help_panel=SCHEDULE)
]
EvalEvery = Annotated[int, typer.Option(help="Steps between two evaluations.", rich_help_panel=SCHEDULE)]
SaveEvery = Annotated[int, typer.Option(help="Steps between two checkpoints.", rich_help_panel=SCHEDULE)]
LearningRate = Annotated[
    float, typer.Option(help="Highest learning rate; small models do better with 2e-3.", rich_help_panel=RECIPE)
]
Warmup = Annotated[float, typer.Option(help="Share of the steps in which it rises.", rich_help_panel=RECIPE)]
WeightDecay = Annotated[float, typer.Option(help="Of everything that is trained.", rich_help_panel=RECIPE)]
ClipThreshold = Annotated[float, typer.Option(help="Adafactor's limit on an update.", rich_help_panel=RECIPE)]
DecayRate = Annotated[float, typer.Option(help="Adafactor's exponent of decay.", rich_help_panel=RECIPE)]
Epsilons = Annotated[tuple[float, float], typer.Option(help="Adafactor's regularizers.", rich_help_panel=RECIPE)]
Rank = Annotated[int, typer.Option(help="Rank of LoRA.", rich_help_panel=RECIPE)]
Alpha = Annotated[float, typer.Option(help="LoRA counts alpha / rank times.", rich_help_panel=RECIPE)]
LoraDropout = Annotated[float, typer.Option(help="Dropout before LoRA.", rich_help_panel=RECIPE)]
StartLayer = Annotated[int, typer.Option(help="First block with LoRA, from 0.", rich_help_panel=RECIPE)]
HeadDropout = Annotated[float, typer.Option(help="Dropout before the head.", rich_help_panel=RECIPE)]
Precision = Annotated[
    PrecisionName, typer.Option(help="auto: bfloat16 on CUDA devices that have it.", rich_help_panel=options.COMPUTING)
]
ReportTo = Annotated[
    list[str] | None,
    typer.Option(help="Tracker that transformers knows, such as tensorboard.", rich_help_panel=options.OUTPUT),
]
Compare = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of a probe or another run to compare with.", rich_help_panel=options.OUTPUT),
]


def finetune(
    model: options.ModelArgument = None,
    task: options.TaskArgument = None,
    method: Method = MethodName.lora,
    from_scratch: FromScratch = False,
    steps: Steps = None,
    batch_size: BatchSize = 1,
    accumulate: Accumulate = 1,
    eval_every: EvalEvery = 500,
    save_every: SaveEvery = 500,
    learning_rate: LearningRate = 1e-4,
    warmup: Warmup = 0.05,
    weight_decay: WeightDecay = 1e-5,
    clip_threshold: ClipThreshold = 1.0,
    decay_rate: DecayRate = -0.8,
    epsilons: Epsilons = (1e-30, 1e-3),
    rank: Rank = 32,
    alpha: Alpha = 32,
    lora_dropout: LoraDropout = 0.05,
    start_layer: StartLayer = 0,
    head_dropout: HeadDropout = 0.05,
    text_column: options.TextColumns = None,
    label_column: options.LabelColumn = None,
    split: options.Split = "train",
    limit: options.Limit = None,
    limit_first: options.LimitFirst = False,
    seed: options.Seed = 0,
    data_dir: options.DataDir = None,
    config: options.DatasetConfig = None,
    test: options.Test = True,
    precision: Precision = PrecisionName.auto,
    device: options.Device = None,
    max_length: options.MaxLength = None,
    tokens_per_batch: options.TokensPerBatch = None,
    tokenizer: options.Tokenizer = None,
    trust_remote_code: options.TrustRemoteCode = False,
    out_folder: options.Out = None,
    report_to: ReportTo = None,
    compare: Compare = None,
    resume: options.Resume = True,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Fine-tune MODEL on TASK with a linear head on the mean token, and measure it on the test texts.

    The folder of results gets adapter/ (LoRA) or model/. Under torchrun, processes share every step.
    """
    from ntps.display.finetune import comparison, finetune_words, read_compared

    others = read_compared(compare or [])
    if not quiet:
        err.print(f"Fine-tuning {model or f'the embedded model ({EMBEDDED})'} on {task or 'the embedded task'}")
    with progress_bars(quiet) as reporter:
        result = api.finetune(
            model,
            task,
            method=method.value,
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
            precision=precision.value,
            eval_every=eval_every,
            save_every=save_every,
            out=out_folder,
            text_columns=text_column or (),
            label_column=label_column,
            split=split,
            limit=limit,
            limit_first=limit_first,
            seed=seed,
            data_dir=data_dir,
            config=config,
            device=device,
            tokenizer=tokenizer,
            trust_remote_code=trust_remote_code,
            max_length=max_length,
            tokens_per_batch=tokens_per_batch,
            test=test,
            report_to=report_to or (),
            resume=resume,
            overwrite=overwrite,
            reporter=reporter,
        )

    def body(result: FinetuneResult) -> None:
        out.print(finetune_words(result.record.result), soft_wrap=True)
        out.print(comparison(result.record.result, others), soft_wrap=True)

    show(result, body, folder=out_folder, as_json=as_json, quiet=quiet, verbose=verbose)
