"""What every whole job begins with: its folder, its task and its model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ntps.checkpoint.lock import claim_folder
from ntps.checkpoint.owned_files import PARTS, RESULTS
from ntps.distributed.world import World
from ntps.errors import InputError
from ntps.files import folder_path
from ntps.models.load import find_model, load_model
from ntps.models.model import LanguageModel
from ntps.tasks.load import load_task
from ntps.tasks.task import Task


@dataclass(frozen=True)
class Job:
    """What a job works on.

    Attributes:
        load: Gives the model; what :func:`ntps.load_model` takes besides may be given where it is not loaded already.
        task: The loaded task.
        folder: Folder for the results, claimed; None if nothing is written.
    """

    load: Callable[..., LanguageModel]
    task: Task
    folder: Path | None


@contextmanager
def job(
    model: str | Path | LanguageModel | None,
    task: str | Path | Task | None,
    *,
    out: str | Path | None,
    overwrite: bool,
    text_columns: Sequence[str],
    label_column: str | None,
    split: str,
    limit: int | None,
    limit_first: bool,
    seed: int,
    data_dir: str | Path | None,
    config: str | None,
    test: bool,
    dtype: str,
    device: str | None,
    tokenizer: str | Path | None,
    trust_remote_code: bool,
    adapter: str | Path | None = None,
    writes: Sequence[str] = (*RESULTS, *PARTS),
    world: World | None = None,
) -> Iterator[Job]:
    """Claims the folder, loads the task, and says how to load the model; options as in :func:`ntps.score`.

    ``writes`` are the patterns of what will be written to the folder.

    Of several processes that share the job, the first one claims the folder for all.

    Raises:
        InputError: Something that was given cannot be used.
    """
    _refuse(
        "task",
        isinstance(task, Task),
        text_columns=text_columns,
        label_column=label_column,
        limit=limit,
        limit_first=limit_first,
        data_dir=data_dir,
        config=config,
        split=None if split == "train" else split,
    )
    _refuse(
        "model",
        isinstance(model, LanguageModel),
        tokenizer=tokenizer,
        device=device,
        adapter=adapter,
        dtype=None if dtype == "float32" else dtype,
    )
    folder = None if out is None else folder_path(out)
    world = world or World()
    reads = (model, task, tokenizer, adapter, data_dir)
    with claim_folder(folder, overwrite, writes, reads) if folder and world.rank == 0 else nullcontext():
        # Nobody begins before the folder is known to be free.
        world.meet()
        if not isinstance(model, LanguageModel):
            # A mistake in its name costs less than the texts.
            find_model(model, tokenizer)
        if not isinstance(task, Task):
            task = load_task(
                None if task is None else str(task),
                text_columns=text_columns,
                label_column=label_column,
                split=split,
                limit=limit,
                limit_first=limit_first,
                seed=seed,
                data_dir=data_dir,
                config=config,
                test=test,
            )
        yield Job(_loader(model, dtype, device or world.default_device(), tokenizer, trust_remote_code), task, folder)


def _loader(
    model: str | Path | LanguageModel | None,
    dtype: str,
    device: str | None,
    tokenizer: str | Path | None,
    trust_remote_code: bool,
) -> Callable[..., LanguageModel]:
    if isinstance(model, LanguageModel):
        return lambda: model
    return partial(
        load_model, model, dtype=dtype, device=device, tokenizer=tokenizer, trust_remote_code=trust_remote_code
    )


def _refuse(what: str, loaded: bool, **options: object) -> None:
    """Options of loading come too late for what is loaded; leaving them out silently would be a wrong result."""
    given = [name for name, value in options.items() if value]
    if loaded and given:
        raise InputError(f"{given[0]} has no effect on a {what} that is loaded already: give it to load_{what}")
