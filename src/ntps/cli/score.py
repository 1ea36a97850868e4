"""``ntps score``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ntps import api
from ntps.cli import options
from ntps.cli.console import err, out, progress_bars
from ntps.cli.results import show
from ntps.errors import InputError
from ntps.models import EMBEDDED
from ntps.report import change_table, layer_table, plain_words
from ntps.tasks import Task, load_task


def score(
    context: typer.Context,
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
    from_folder: options.From = None,
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
    if from_folder is not None:
        labels = _other_labels(context, from_folder)
        result = api.rescore(
            from_folder,
            labels,
            out=out_folder,
            layers=layers,
            convention=convention.value,
            centered=centered,
            test=test,
            overwrite=overwrite,
        )
        show(result, _print, folder=out_folder, as_json=as_json, quiet=quiet, verbose=verbose)
        return
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


OF_LABELS = ("text_column", "label_column", "split", "limit", "limit_first", "seed", "data_dir", "config")
OF_CURVES = ("from_folder", "layers", "convention", "centered", "test", "out_folder", "overwrite")
OF_SHOWING = ("as_json", "quiet", "verbose")


def _other_labels(context: typer.Context, folder: Path) -> Task | None:
    """The task with other labels that stands in the model's place, if one does."""
    given = context.params
    task, more = given["model"], given["task"]
    if more is not None:
        raise InputError(f"--from {folder} runs no model: give a TASK with other labels alone, or nothing")
    allowed = {"model", *OF_CURVES, *OF_SHOWING, *(OF_LABELS if task else ())}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in allowed:
            needs = "without a TASK" if parameter.name in OF_LABELS else "which runs no model"
            raise InputError(f"{parameter.opts[0]} has no effect with --from, {needs}: leave it out")
    if task is None:
        return None
    options = {name: given[name] for name in OF_LABELS}
    return load_task(task, text_columns=options.pop("text_column") or (), **options)


def _print(record: dict[str, Any]) -> None:
    out.print(layer_table(record))
    for line in plain_words(record):
        out.print(line, soft_wrap=True)
    if "change" in record:
        out.print(change_table(record["change"]))
