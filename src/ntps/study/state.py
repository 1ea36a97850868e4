"""``study.json``: what a study is, and how far it is, for whoever reads its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from ntps.checkpoint.owned_files import take
from ntps.errors import InputError
from ntps.files import write_json
from ntps.json_files import Block, Figure, Items, read_json
from ntps.study.runs import SCHEMA, Run, State
from ntps.study.specs import Study
from ntps.study.status import Status

STUDY = "study.json"
FINAL = (Status.done, Status.failed)


class StudyRow(Block):
    """One run of a study, and how it went.

    Attributes:
        folder: Of its result, relative to ``study.json``.
        status: ``done``, ``failed`` or ``missing``.
        cause: Why it failed.
    """

    model: str
    revision: str | None = None
    task: str
    measurement: str
    folder: str
    status: str
    cause: str | None = None
    seconds: Figure = None


class StudyFile(Block):
    """What a study consists of, and how its runs went."""

    schema_version: int = Field(alias="schema")
    name: str | None = None
    definition: Mapping[str, object] = {}
    runs: Items[StudyRow]


def write_state(out: Path, study: Study, runs: Sequence[Run], states: Mapping[str, State]) -> None:
    """Writes ``study.json``.

    Args:
        out: The study's folder.
        study: The study.
        runs: Its runs.
        states: What is known of each run, by digest.
    """
    rows = [_row(out, run, states[run.digest]) for run in runs]
    content = StudyFile(schema=SCHEMA, name=study.name, definition=study.to_dict(), runs=tuple(rows))
    take(out, (STUDY,))
    write_json(out / STUDY, content.to_dict(), ensure_ascii=False)


def read_rows(out: Path) -> list[dict[str, Any]]:
    """The rows of ``study.json``, one a run."""
    return [row.to_dict() for row in read_json(out / STUDY, StudyFile, "run the study again").runs]


def refuse_other_study(out: Path, study: Study) -> None:
    """Makes sure that a folder belongs to no study of another name.

    Raises:
        InputError: It does.
    """
    try:
        name = json.loads((out / STUDY).read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if name != study.name:
        raise InputError(
            f"{out} belongs to the study {name}: give another `out` to {study.name}, and share runs with "
            f"`results` {out / 'results'}"
        )


def _row(out: Path, run: Run, state: State) -> StudyRow:
    """Whatever is neither done nor failed has no result that counts."""
    other = state.status in (Status.other, Status.busy)
    status = state.status if state.status in FINAL else Status.failed if other else Status.missing
    return StudyRow(
        model=run.model.name,
        revision=run.model.revision,
        task=run.task.name,
        measurement=run.measurement,
        folder=os.path.relpath(run.folder, out.resolve()),
        status=status.value,
        cause=state.cause,
        seconds=state.seconds,
    )
