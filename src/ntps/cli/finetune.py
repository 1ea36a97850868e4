"""``ntps finetune``: LoRA, full fine-tuning, training from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntps import api
from ntps.cli.arguments import ModelArgument, TaskArgument
from ntps.cli.console import out, progress_bars
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, announce, show
from ntps.options.finetuning import FinetuneOptions
from ntps.options.keywords import values
from ntps.options.shared import OUTPUT

if TYPE_CHECKING:
    from ntps.api.results import FinetuneResult

Compare = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of a score, a probe or another run to compare with.", rich_help_panel=OUTPUT),
]


@flat
def finetune(
    options: FinetuneOptions,
    showing: Showing,
    model: ModelArgument = None,
    task: TaskArgument = None,
    compare: Compare = None,
) -> None:
    """Fine-tune MODEL on TASK with a linear head on the mean token, and measure it on the test texts.

    The folder of results gets adapter/ (LoRA) or model/. Under torchrun, processes share every step.
    """
    from ntps.display.comparison import comparison, read_compared
    from ntps.display.finetune import finetune_words

    others = read_compared(compare or [])
    if not showing.quiet:
        announce("Fine-tuning", model, task)
    with progress_bars(showing.quiet) as reporter:
        result = api.finetune(model, task, **values(options, FinetuneOptions), reporter=reporter)

    def body(result: FinetuneResult) -> None:
        out.prose(finetune_words(result.record.result))
        for line in comparison(result.record.result, result.record.held_out, others):
            out.prose(line)

    show(result, body, options.out, showing)
