"""What every whole job begins with: its folder, its task and its model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path

from ntps.checkpoint.lock import claim_folder
from ntps.checkpoint.owned_files import PARTS, RESULTS
from ntps.distributed.world import World
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.jobs.progress import Reporter
from ntps.models.load import find_model, load_model
from ntps.models.model import LanguageModel
from ntps.options.keywords import values
from ntps.options.shared import FrozenModelOptions, ModelOptions, OutputOptions, TaskOptions
from ntps.tasks.load import load_task
from ntps.tasks.task import Task


@dataclass(frozen=True)
class Inputs:
    """What a job works on.

    Attributes:
        model: Folder, hub id, ``id@revision`` or a loaded model; the embedded model by default.
        task: Name, hub id, file, folder or a loaded task; the embedded task by default.
        reporter: Learns about progress.
    """

    model: str | Path | LanguageModel | None = None
    task: str | Path | Task | None = None
    reporter: Reporter | None = field(default=None, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Job(OutputOptions, ModelOptions, TaskOptions, Inputs):
    """What every job takes."""


@dataclass(frozen=True, kw_only=True)
class FrozenModelJob(Job, FrozenModelOptions):
    """What a job takes that leaves the model as it is."""

    def load(self, world: World | None = None, adapter: str | Path | None = None) -> LanguageModel:
        """The model, which may be loaded already, with an adapter merged into it if one is given."""
        if isinstance(self.model, LanguageModel):
            return self.model
        given = values(self, FrozenModelOptions)
        if world is not None and self.device is None:
            given["device"] = world.default_device()
        return load_model(self.model, adapter=adapter, **given)


@contextmanager
def open_inputs(
    options: Job,
    *,
    test: bool,
    adapter: str | Path | None = None,
    writes: Sequence[str] = (*RESULTS, *PARTS),
    world: World | None = None,
) -> Iterator[tuple[Task, Path | None]]:
    """Claims the folder, and loads the task; a model that is not there is found out before.

    Args:
        options: The options of the job.
        test: Whether a test split is read, where there is one.
        adapter: Folder of an adapter, which is read.
        writes: Patterns of what will be written to the folder.
        world: The processes that share the job, of which the first one claims the folder for all.

    Yields:
        The task, and the folder; None if nothing is written.

    Raises:
        InputError: Something that was given cannot be used.
    """
    model, task = options.model, options.task
    if isinstance(task, Task):
        _refuse_late("task", options, TaskOptions)
    if isinstance(model, LanguageModel):
        if adapter is not None:
            raise InputError(_too_late("adapter", "model"))
        _refuse_late("model", options, ModelOptions)
        _refuse_late("model", options, FrozenModelOptions)
    folder = None if options.out is None else folder_path(options.out)
    world = world or World()
    reads = (model, task, options.tokenizer, adapter, options.data_dir)
    with claim_folder(folder, options.overwrite, writes, reads) if folder and world.rank == 0 else nullcontext():
        # Nobody begins before the folder is known to be free.
        world.barrier()
        if not isinstance(model, LanguageModel):
            # A mistake in its name costs less than the texts.
            find_model(model, options.tokenizer)
        if not isinstance(task, Task):
            task = load_task(None if task is None else str(task), test=test, **values(options, TaskOptions))
        yield task, folder


def _refuse_late(what: str, options: Job, kind: type) -> None:
    """Options of loading come too late for what is loaded; leaving them out silently would be a wrong result."""
    if not isinstance(options, kind):
        return
    for each in fields(kind):
        # The seed is that of more than the sample.
        own = each.name in kind.__annotations__ and each.name != "seed"
        value = getattr(options, each.name)
        if own and (tuple(value) if isinstance(each.default, tuple) else value) != each.default:
            raise InputError(_too_late(each.name, what))


def _too_late(option: str, what: str) -> str:
    return f"`{option}` has no effect on a {what} that is loaded already: give it to load_{what}"
