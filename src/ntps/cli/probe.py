"""``ntps probe``: a linear probe of a frozen model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ntps import api
from ntps.cli.arguments import ModelArgument, TaskArgument
from ntps.cli.console import err, out, progress_bars
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, show
from ntps.display.probe import probe_table, probe_words
from ntps.models.registry import EMBEDDED
from ntps.options.keywords import values
from ntps.options.probing import ProbeOptions

if TYPE_CHECKING:
    from ntps.api.results import ProbeResult


@flat
def probe(options: ProbeOptions, showing: Showing, model: ModelArgument = None, task: TaskArgument = None) -> None:
    """Fit a linear probe to pooled texts of the frozen MODEL, and measure it on the test texts of TASK.

    Texts pass through the model once, whatever the kind. adamw probes the last layer, the others all of
    them, and the summary is of the layer that a ridge probe is best in on training texts left out.
    """
    if not showing.quiet:
        err.print(f"Probing {model or f'the embedded model ({EMBEDDED})'} on {task or 'the embedded task'}")
    with progress_bars(showing.quiet) as reporter:
        result = api.probe(model, task, **values(options, ProbeOptions), reporter=reporter)
    show(result, partial(_print, showing.verbose), options.out, showing)


def _print(verbose: bool, result: ProbeResult) -> None:
    out.print(probe_table(result.record.result, verbose=verbose))
    for line in probe_words(result.record.result):
        out.print(line, soft_wrap=True)
