"""What is known before anything runs: models, tasks, this machine (``doctor``), published numbers (``paper``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer
from rich.table import Table

from ntps.cli.arguments import FOLDER, DataDir, ModelArgument, TaskArgument, Verbose
from ntps.cli.console import err, out
from ntps.cli.from_options import flat
from ntps.display.sentences import short_name
from ntps.models.registry import EMBEDDED, LLAMA2_TOKENIZER, PAPER_MODELS, KnownModel
from ntps.options.keywords import values
from ntps.options.shared import SELECTION, FrozenModelOptions, TaskOptions

if TYPE_CHECKING:
    from ntps.report.tabular import ReportTable
    from ntps.tasks.catalogue import KnownTask


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(FrozenModelOptions, TaskOptions):
    """What is measured on.

    Attributes:
        limit: Largest number of texts.
    """

    panel: ClassVar[str] = SELECTION

    limit: int | None = 200


@flat
def doctor(
    options: DoctorOptions, model: ModelArgument = None, task: TaskArgument = None, verbose: Verbose = False
) -> None:
    """Show versions, device and threads, and measure what batching changes in hidden states and scores."""
    import threadpoolctl
    import torch

    from ntps.jobs.provenance import versions
    from ntps.models.load import load_model
    from ntps.scoring.batching_effect import check_rescoring
    from ntps.tasks.load import load_task

    for name, value in versions().items():
        out.prose(f"{name:14} {value}")
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    out.prose(f"{'CUDA device':14} {gpu}")
    out.prose(f"{'torch threads':14} {torch.get_num_threads()}")
    for pool in threadpoolctl.threadpool_info():
        out.prose(f"{'thread pool':14} {pool['internal_api']}, {pool['num_threads']} threads")
    loaded = load_model(model, **values(options, FrozenModelOptions))
    texts = load_task(task, **values(options, TaskOptions))
    err.prose(f"Scoring {len(texts.train)} texts one by one, and in batches …")
    check, moved = check_rescoring(loaded, texts)
    table = Table(title=f"{short_name(loaded.id)} in {options.dtype}: one by one against batches")
    table.add_column("what", no_wrap=True)
    table.add_column("largest change", justify="right")
    table.add_row("hidden states (relative)", f"{check.deviation:.1e}")
    for name, change in moved.items():
        table.add_row(name, f"{change:.1e}")
    out.table(table)
    mask = "is left out (the model is causal)" if check.causal else "is passed (the model is not causal)"
    out.prose(f"The attention mask {mask}.")
    if not check.passes:
        err.prose(f"Batching changes hidden states by more than rounding ({check.tolerance:.0e}).", style="red")
        raise typer.Exit(1)
    out.prose("Batching is sound.")


CAPTION = (
    "Any folder in Hugging Face format and any hub id is a model too. GB: weights in float32 / bfloat16. OpenELM comes "
    f"without a tokenizer: give --tokenizer {LLAMA2_TOKENIZER}, which is gated on the hub, or a folder."
)


def models(verbose: Verbose = False) -> None:
    """List the models that are known by name, what is at hand locally, and what each needs."""
    from ntps.models.files import is_cached

    table = Table(caption=CAPTION)
    for column in ("model", "at hand"):
        table.add_column(column, no_wrap=True)
    for column in ("layers", "width", "GB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("needs")
    table.add_row(EMBEDDED, "embedded", "", "", "", "")
    for model in PAPER_MODELS:
        memory = f"{model.weight_gigabytes(4):.1f} / {model.weight_gigabytes(2):.1f}"
        at_hand = "cached" if is_cached(model.hub_id) else "hub"
        table.add_row(model.hub_id, at_hand, str(model.num_layers), str(model.hidden_size), memory, _needs(model))
    out.table(table)


def _needs(model: KnownModel) -> str:
    if model.tokenizer:
        return "--tokenizer"
    return "licence" if model.gated else ""


LEGEND = (
    "copy: under --data-dir or NTPS_DATA, with its own counts. hub: downloaded when it is first used. *: could not be "
    "checked against its card. Any hub dataset id, file or folder is a task too."
)


def tasks(data_dir: DataDir = None, verbose: Verbose = False) -> None:
    """List the tasks that are known by name, what is at hand locally, and what each needs."""
    from ntps.tasks.catalogue import known_tasks

    table = Table()
    for column in ("task", "at hand"):
        table.add_column(column, no_wrap=True)
    for column in ("classes", "train", "test"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("licence")
    known = known_tasks(data_dir)
    for task in known:
        counts = (task.classes, task.train_rows, task.test_rows)
        shown = ("" if count is None else f"{count:,}" for count in counts)
        table.add_row(task.name + ("" if task.checked else " *"), _at_hand(task), *shown, task.licence)
    out.table(table)
    footnotes = Table("task", "hub dataset and remarks")
    for task in known:
        footnotes.add_row(task.name, ". ".join(filter(None, (task.hub_id, task.remark))))
    out.table(footnotes)
    out.prose(LEGEND)


def _at_hand(task: KnownTask) -> str:
    if task.hub_id is None:
        return "embedded"
    return "copy" if task.local else "hub"


def paper(
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for figures 1 to 3 and all tables.", show_default=False, **FOLDER),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option("--with", metavar="DIR", help="Results to set beside the published ones.", show_default=False),
    ] = None,
) -> None:
    """Recompute the paper's 32 correlations from its published points, with what can be said of their p-values.

    Draws figures 1 to 3 from those points, says where the paper and its data differ, and sets the numbers of a study
    beside the published ones.
    """
    from ntps.report.paper.comparison import comparison
    from ntps.report.paper.tables import REMARKS, SLIPS, coefficients_table, verdict
    from ntps.study.analysis.reader import read_results
    from ntps.study.published import read_published

    published = read_published()
    tables = [coefficients_table(), *(comparison(read_results(study)) if study else ())]
    out.prose(f"{published.paper}. {published.source}.")
    for table, following in zip(tables, [*tables[1:], None], strict=True):
        # Tables that share a caption show it once, under the last of them.
        out.table(_shown(table, caption=following is None or following.caption != table.caption))
    out.prose(verdict())
    for heading, sentences in (("Where the paper and its own data differ:", SLIPS), ("Worth knowing:", REMARKS)):
        out.prose(f"\n{heading}")
        for sentence in sentences:
            out.prose(f"• {sentence}")
    if out_folder is not None:
        # Matplotlib takes a second to import, and only drawing needs it.
        from ntps.report.paper.files import write_paper

        write_paper(out_folder, tables)
        out.prose(f"Figures and tables are in {out_folder}", whole=[out_folder])


def _shown(table: ReportTable, caption: bool) -> Table:
    shown = Table(title=table.title, caption=table.caption if caption else None)
    for column in table.columns:
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        shown.add_column(column.heading, justify=justify, no_wrap=True)
    for row in table.rows():
        shown.add_row(*(text for text, _ in row))
    return shown
