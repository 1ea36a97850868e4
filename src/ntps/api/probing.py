"""``ntps.probe``: a linear probe as a function."""

from __future__ import annotations

from dataclasses import dataclass, field

from ntps.api.loading import FrozenModelJob, open_inputs
from ntps.api.results import ProbeResult
from ntps.distributed.world import join_world
from ntps.options.keywords import takes, values
from ntps.options.probing import Kind, Probe, ProbeOptions, ProbeSettings
from ntps.training.probes.probe_run import run_probe


@dataclass(frozen=True, kw_only=True)
class ProbeJob(ProbeOptions, FrozenModelJob):
    """What a probe takes."""

    kind: Probe | Kind = field(default="ridge", kw_only=False)


@takes(ProbeJob)
def probe(options: ProbeJob) -> ProbeResult:
    """Fits a linear probe to pooled texts of a frozen model, layer by layer, and measures it on the test texts.

    Returns:
        The result, with ``summary``, ``layers``, ``to_frame()``, ``plot()`` and ``save()``.

    Raises:
        InputError: Something that was given cannot be used; the message says what to do.
        NumericalError: Hidden states are not finite.

    Examples:
        >>> result = ntps.probe(limit=50, layers="-1")
        >>> result.layers["name"].tolist()
        ['final_norm']
        >>> 0 <= result.summary["test"]["accuracy"] <= 1
        True
    """
    settings = ProbeSettings(**values(options, ProbeSettings))
    with join_world() as world, open_inputs(options, test=options.test, world=world) as (task, folder):
        record = run_probe(
            options.load(world),
            task,
            settings,
            out=folder,
            resume=options.resume,
            overwrite=options.overwrite,
            reporter=options.reporter,
            world=world,
        )
    return ProbeResult(record)
