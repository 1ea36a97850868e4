"""``ntps score``: the main job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from ntps import api
from ntps.cli import build_options as options
from ntps.cli.console import err, out, progress_bars
from ntps.cli.rescore import other_labels
from ntps.cli.results import show
from ntps.display.estimate import estimate_lines
from ntps.display.sentences import plain_words
from ntps.display.tables import change_table, layer_table
from ntps.models.registry import EMBEDDED

if TYPE_CHECKING:
    from ntps.api.results import ScoreResult


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
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score how well what MODEL learned by predicting the next token fits TASK.

    One forward pass over the texts, no training. Without arguments, the embedded model is scored on the embedded task.
    """
    if from_folder is not None:
        result = api.rescore(
            from_folder,
            other_labels(context, from_folder),
            out=out_folder,
            layers=layers,
            convention=convention.value,
            centered=centered,
            test=test,
            overwrite=overwrite,
        )
        show(result, print_scores, folder=out_folder, as_json=as_json, quiet=quiet, verbose=verbose)
        return
    if not quiet:
        doing = "Trying" if dry_run else "Scoring"
        err.print(f"{doing} {model or f'the embedded model ({EMBEDDED})'} on {task or 'the embedded task'}")
    given: dict[str, Any] = {
        "text_columns": text_column or (),
        "label_column": label_column,
        "split": split,
        "limit": limit,
        "limit_first": limit_first,
        "seed": seed,
        "data_dir": data_dir,
        "config": config,
        "layers": layers,
        "pooling": pooling.value,
        "dtype": dtype.value,
        "device": device,
        "tokenizer": tokenizer,
        "trust_remote_code": trust_remote_code,
        "adapter": adapter,
        "max_length": max_length,
        "tokens_per_batch": tokens_per_batch,
        "test": test,
        "keep_moments": moments is options.KeepOrDrop.keep,
        "keep_pooled": keep_pooled,
        "out": out_folder,
        "convention": convention.value,
        "centered": centered,
        "at": at,
        "resume": resume,
        "overwrite": overwrite,
    }
    with progress_bars(quiet) as reporter:
        if dry_run:
            estimate = api.estimate(model, task, **given, reporter=reporter)
        else:
            result = api.score(model, task, **given, reporter=reporter)
    if not dry_run:
        show(result, print_scores, folder=out_folder, as_json=as_json, quiet=quiet, verbose=verbose)
    elif as_json:
        out.print_json(json.dumps(estimate))
    else:
        for line in estimate_lines(estimate):
            out.print(line, soft_wrap=True)


def print_scores(scored: ScoreResult) -> None:
    """The table of layers, and what it says in words."""
    result = scored.record.result
    out.print(layer_table(result))
    for line in plain_words(result.summary):
        out.print(line, soft_wrap=True)
    if result.change is not None:
        out.print(change_table(result.change))
