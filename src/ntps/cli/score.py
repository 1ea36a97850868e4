"""``ntps score``: the main job."""

from __future__ import annotations

from typing import Any

from ntps import api
from ntps.cli import options
from ntps.cli.console import err, out, progress_bars
from ntps.cli.results import show
from ntps.models import EMBEDDED
from ntps.report import change_table, layer_table, plain_words


def score(
    model: options.ModelArgument = None,
    task: options.TaskArgument = None,
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
    convention: options.Convention = options.ConventionName.paper,
    centered: options.Centered = False,
    dtype: options.Dtype = options.DtypeName.float32,
    device: options.Device = None,
    max_length: options.MaxLength = None,
    tokens_per_batch: options.TokensPerBatch = None,
    tokenizer: options.Tokenizer = None,
    trust_remote_code: options.TrustRemoteCode = False,
    adapter: options.Adapter = None,
    at: options.At = None,
    out_folder: options.Out = None,
    moments: options.MomentsOption = options.KeepOrDrop.keep,
    keep_pooled: options.KeepPooled = False,
    resume: options.Resume = True,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score how well what MODEL learned by predicting the next token fits TASK.

    One forward pass over the texts, no training. Without arguments, the embedded model is scored on the embedded task.
    """
    if not quiet:
        err.print(f"Scoring {model or f'the embedded model ({EMBEDDED})'} on {task or 'the embedded task'}")
    with progress_bars(quiet) as reporter:
        result = api.score(
            model,
            task,
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
            convention=convention.value,
            centered=centered,
            dtype=dtype.value,
            device=device,
            tokenizer=tokenizer,
            trust_remote_code=trust_remote_code,
            adapter=adapter,
            at=at,
            max_length=max_length,
            tokens_per_batch=tokens_per_batch,
            test=test,
            keep_moments=moments is options.KeepOrDrop.keep,
            keep_pooled=keep_pooled,
            resume=resume,
            overwrite=overwrite,
            reporter=reporter,
        )
    show(result, _print, folder=out_folder, as_json=as_json, quiet=quiet, verbose=verbose)


def _print(record: dict[str, Any]) -> None:
    out.print(layer_table(record))
    for line in plain_words(record):
        out.print(line, soft_wrap=True)
    if "change" in record:
        out.print(change_table(record["change"]))
