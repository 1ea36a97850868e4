"""``ntps probe``: a linear probe of a frozen model."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ntps import api
from ntps.cli import build_options as options
from ntps.cli.console import err, out, progress_bars
from ntps.cli.results import show
from ntps.display.probe import probe_table, probe_words
from ntps.models.registry import EMBEDDED

if TYPE_CHECKING:
    from ntps.api.results import ProbeResult

PROBE = "Which probe"


class KindName(StrEnum):
    """Kinds of probes."""

    ols = "ols"
    logistic = "logistic"
    adamw = "adamw"


class SolverName(StrEnum):
    """Solvers of logistic regression."""

    newton_cg = "newton-cg"
    saga = "saga"


Kind = Annotated[
    KindName,
    typer.Option(
        help="ols: least squares; logistic: scikit-learn; adamw: the paper's linear probe.", rich_help_panel=PROBE
    ),
]
Intercept = Annotated[
    bool | None,
    typer.Option("--intercept/--no-intercept", help="ols: fit a constant too; by default.", rich_help_panel=PROBE),
]
Solver = Annotated[
    SolverName | None, typer.Option(help="logistic: newton-cg by default; saga is the paper's.", rich_help_panel=PROBE)
]
Epochs = Annotated[int | None, typer.Option(help="adamw: passes over the texts; 50 by default.", rich_help_panel=PROBE)]
BatchSize = Annotated[int | None, typer.Option(help="adamw: texts a step; 64 by default.", rich_help_panel=PROBE)]
LearningRate = Annotated[float | None, typer.Option(help="adamw: 1e-4 by default.", rich_help_panel=PROBE)]
WeightDecay = Annotated[float | None, typer.Option(help="adamw: 0.01 by default.", rich_help_panel=PROBE)]
Dropout = Annotated[
    float | None, typer.Option(help="adamw: dropout of pooled texts; 0.05 by default.", rich_help_panel=PROBE)
]


def probe(
    model: options.ModelArgument = None,
    task: options.TaskArgument = None,
    kind: Kind = KindName.ols,
    intercept: Intercept = None,
    solver: Solver = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    dropout: Dropout = None,
    text_column: options.TextColumns = None,
    label_column: options.LabelColumn = None,
    split: options.Split = "train",
    limit: options.Limit = None,
    limit_first: options.LimitFirst = False,
    seed: options.Seed = 0,
    layers: options.Layers = None,
    data_dir: options.DataDir = None,
    config: options.DatasetConfig = None,
    test: options.Test = True,
    pooling: options.Pooling = options.PoolingName.mean,
    dtype: options.Dtype = options.DtypeName.float32,
    device: options.Device = None,
    max_length: options.MaxLength = None,
    tokens_per_batch: options.TokensPerBatch = None,
    tokenizer: options.Tokenizer = None,
    trust_remote_code: options.TrustRemoteCode = False,
    out_folder: options.Out = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Fit a linear probe to pooled texts of the frozen MODEL, and measure it on the test texts of TASK.

    Texts pass through the model once, whatever the kind. ols and logistic probe every layer, adamw the last.
    """
    if not quiet:
        err.print(f"Probing {model or f'the embedded model ({EMBEDDED})'} on {task or 'the embedded task'}")
    with progress_bars(quiet) as reporter:
        result = api.probe(
            model,
            task,
            kind=kind.value,
            intercept=intercept,
            solver=None if solver is None else solver.value,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            dropout=dropout,
            out=out_folder,
            text_columns=text_column or (),
            label_column=label_column,
            split=split,
            limit=limit,
            limit_first=limit_first,
            seed=seed,
            data_dir=data_dir,
            config=config,
            layers=layers,
            pooling=pooling.value,
            dtype=dtype.value,
            device=device,
            tokenizer=tokenizer,
            trust_remote_code=trust_remote_code,
            max_length=max_length,
            tokens_per_batch=tokens_per_batch,
            test=test,
            overwrite=overwrite,
            reporter=reporter,
        )
    show(result, _print, folder=out_folder, as_json=as_json, quiet=quiet, verbose=verbose)


def _print(result: ProbeResult) -> None:
    out.print(probe_table(result.record.result))
    out.print(probe_words(result.record.result), soft_wrap=True)
