"""``ntps probe``: a linear probe of a frozen model."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import typer

from ntps import api
from ntps.cli.arguments import From, ModelArgument, TaskArgument, other_labels
from ntps.cli.console import out, progress_bars
from ntps.cli.from_options import flat
from ntps.cli.results import Showing, announce, show
from ntps.display.probe import probe_table, probe_words
from ntps.options.keywords import values
from ntps.options.probing import PROBES, ProbeOptions

if TYPE_CHECKING:
    from ntps.api.results import ProbeResult

OF_REPROBING = {"kind", "seed", "layers", "test", "out", "overwrite"}
"""What has a meaning with ``--from``, besides the numbers of a kind of probe."""


@flat
def probe(
    context: typer.Context,
    options: ProbeOptions,
    showing: Showing,
    model: ModelArgument = None,
    task: TaskArgument = None,
    from_folder: From = None,
) -> None:
    """Fit a linear probe to pooled texts of the frozen MODEL, and measure it on the test texts of TASK.

    Texts pass through the model once, whatever the kind. adamw probes the last layer, the others all of them, and the
    summary is of the layer that a ridge probe is best in on training texts left out.
    """
    if from_folder is None and not showing.quiet:
        announce("Probing", model, task)
    with progress_bars(showing.quiet) as reporter:
        if from_folder is None:
            result = api.probe(model, task, **values(options, ProbeOptions), reporter=reporter)
        else:
            known = OF_REPROBING | {each.name for kind in PROBES.values() for each in fields(kind)}
            labels = other_labels(context, options, known)
            given = {name: getattr(options, name) for name in OF_REPROBING}
            result = api.reprobe(from_folder, labels, **given, reporter=reporter)
    show(result, partial(_print, showing.verbose), options.out, showing)


def _print(verbose: bool, result: ProbeResult) -> None:
    record = result.record.result
    out.table(probe_table(record))
    if verbose and record.summary.main == "test":
        out.table(probe_table(record, "train"))
    for line in probe_words(record):
        out.prose(line)
