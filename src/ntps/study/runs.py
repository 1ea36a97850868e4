"""One run: its folder, what that folder says about it, and how it is made."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ntps.checkpoint.lock import FolderInUse, claim_folder
from ntps.checkpoint.owned_files import LOCK, PARTS, PASS, RESULTS, direct, erase, read_account, strangers, take
from ntps.errors import InputError, NtpsError
from ntps.files import RESULT, write_json
from ntps.jobs.progress import Reporter
from ntps.options.probing import ProbeSettings
from ntps.study.measurements import MEASUREMENTS, ModelTaskCache
from ntps.study.specs import ModelSpec, TaskSpec
from ntps.study.status import Overwrite, Status
from ntps.training.finetuning.saved import ADAPTER_FILES, CHECKPOINTS, HALVES, MODEL_FILES

SCHEMA = 1
RUN, FAILURE = "run.json", "failure.json"
OWN = (RUN, FAILURE, *RESULTS, *PARTS, *PASS, *CHECKPOINTS, *HALVES, *ADAPTER_FILES, *MODEL_FILES)
"""Patterns of all that runs write into their folders."""
RETRY_INTERVAL_S = 1.0
"""Seconds before a run that somebody else is at is looked at again."""


@dataclass(frozen=True)
class Run:
    """One measurement of one model on one task.

    Attributes:
        model: The model.
        task: The task.
        measurement: Its name.
        settings: Its settings.
        folder: Its own folder.
        identity: All that changes its numbers, in JSON types.
        needs: The runs that it continues.
        keep_moments: Whether the statistics of a score stay in the folder.
    """

    model: ModelSpec
    task: TaskSpec
    measurement: str
    settings: Any
    folder: Path
    identity: Mapping[str, Any]
    needs: tuple[Run, ...] = ()
    keep_moments: bool = True

    @property
    def digest(self) -> str:
        """SHA-256 of the identity, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def group(self) -> tuple[str, str, str]:
        """What runs share that should follow one another: the model at its revision, and the task."""
        return self.model.name, self.model.revision, self.task.name

    def __str__(self) -> str:
        return f"{self.model.name} · {self.task.name} · {self.measurement}"


@dataclass(frozen=True)
class State:
    """What is known of a run.

    Attributes:
        status: What its folder says.
        cause: Why, where that needs words.
        seconds: How long it took.
    """

    status: Status
    cause: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        run: The run.
        state: Its state now.
        made: Whether it was made just now; otherwise its folder stayed as it was.
    """

    run: Run
    state: State
    made: bool


def run_state(run: Run) -> State:
    """What a run's folder says about it."""
    known = _read(run.folder / RUN)
    mine = _is_of(known, run)
    if (run.folder / RESULT).exists():
        result = _read(run.folder / RESULT)
        if not mine:
            then = known.get("identity")
            return State(Status.other, f"{run.folder} holds a result {_difference(then, run.identity)}")
        if result.get("schema") == SCHEMA and "kind" in result:
            seconds = result.get("timing", {}).get("total")
            return State(Status.done, seconds=seconds)
    failure = _read(run.folder / FAILURE)
    if mine and failure.get("digest") in (run.digest, known.get("digest")):
        return State(Status.failed, str(failure.get("sentence")), failure.get("seconds"))
    return State(Status.interrupted if mine else Status.missing)


def skip_reason(state: State, overwrite: Overwrite, folder: Path) -> str | None:
    """Why a run is not made; None if it is."""
    refuse = {Status.other: f"{state.cause}: `overwrite` always replaces it, another `out` leaves it"}
    match overwrite:
        case Overwrite.always:
            return None
        case Overwrite.never:
            empty = not folder.is_dir() or all(path.name == LOCK for path in folder.iterdir())
            return None if empty else refuse.get(state.status, "its folder holds something already")
        case Overwrite.only_missing:
            refuse |= {Status.failed: f"failed before ({state.cause}): `overwrite` failed tries again"}
    return (refuse | {Status.done: "done before"}).get(state.status)


def perform(run: Run, bench: ModelTaskCache, overwrite: Overwrite, reporter: Reporter | None = None) -> Outcome:
    """Makes a run, if its state and the policy want it.

    Whatever goes wrong in it is recorded in its folder; only an interruption by the user comes through.
    """
    try:
        with _claimed(run):
            state = run_state(run)
            if skip_reason(state, overwrite, run.folder) is not None:
                if state.status is Status.done:
                    # A kill may have come between the result and the clearing up.
                    erase(run.folder, (*PASS, *CHECKPOINTS))
                return Outcome(run, state, made=False)
            fresh = overwrite is Overwrite.always or state.status is not Status.interrupted
            _prepare(run, fresh)
            began = datetime.now(UTC)
            try:
                for needed in run.needs:
                    if run_state(needed).status is not Status.done:
                        raise InputError(f"it continues {needed.measurement}, which has no result: make that run first")
                MEASUREMENTS[run.measurement].measure(bench, run, reporter)
            except Exception as error:
                sentence = str(error) if isinstance(error, NtpsError) else f"unexpected {type(error).__name__}: {error}"
                seconds = (datetime.now(UTC) - began).total_seconds()
                _record_failure(run, sentence, "".join(traceback.format_exception(error)), seconds)
            return Outcome(run, run_state(run), made=True)
    except FolderInUse as error:
        # Whoever comes back for this run at once would only ask again.
        time.sleep(RETRY_INTERVAL_S)
        return Outcome(run, State(Status.busy, str(error)), made=False)
    except InputError as error:
        # The folder cannot be written: there is no place to record it but the study's own file.
        return Outcome(run, State(Status.failed, str(error)), made=False)


def give_up(run: Run, sentence: str) -> Outcome:
    """Records that a run could not be made at all: its process died each time, or nothing can take it."""
    try:
        with _claimed(run):
            status = run_state(run).status
            if status in (Status.missing, Status.interrupted):
                _prepare(run, fresh=status is Status.missing)
                _record_failure(run, sentence, "", None)
            return Outcome(run, run_state(run), made=True)
    except InputError:
        return Outcome(run, State(Status.failed, sentence), made=True)


@contextmanager
def _claimed(run: Run) -> Iterator[None]:
    """The folder of a run, for this process alone; whether anything may be written there is another question."""
    results = run.folder.parents[3]
    if not direct(results, run.folder):
        raise InputError(
            f"{run.folder} leads to {run.folder.resolve()}, and no run writes outside of {results}: remove the link, "
            "or choose another `out`"
        )
    with claim_folder(run.folder, overwrite=True, writes=()):
        yield


def _prepare(run: Run, fresh: bool) -> None:
    """Says in the folder whose it is; first, so that whatever is found in it later belongs to this run."""
    if fresh and (found := strangers(run.folder)):
        raise InputError(
            f"{run.folder} holds {found[0].relative_to(run.folder)}, something that no study wrote: move it away, or "
            "choose another `out`"
        )
    take(run.folder, OWN, (run.model.id, run.model.tokenizer, run.task.id))
    erase(run.folder, (FAILURE,))
    if fresh:
        # The result goes first and the name of the run last: half a removal is never taken for a run.
        erase(run.folder, (RESULT, *(read_account(run.folder).wrote - {RUN})))
        write_json(run.folder / RUN, {"schema": SCHEMA, "digest": run.digest, "identity": run.identity})


def _record_failure(run: Run, sentence: str, trace: str, seconds: float | None) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    failure = {"digest": run.digest, "sentence": sentence, "traceback": trace, "when": when, "seconds": seconds}
    write_json(run.folder / FAILURE, {"schema": SCHEMA, **failure})


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none, or none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_of(known: Mapping[str, Any], run: Run) -> bool:
    """Whether ``run.json`` names a run; earlier versions wrote a probe's default there if a study spelled it out."""
    if known.get("digest") == run.digest:
        return True
    if not isinstance(run.settings, ProbeSettings):
        return False
    defaults = asdict(type(run.settings.probe)())
    then, now = (_spelled_out(identity, defaults) for identity in (known.get("identity"), run.identity))
    return then is not None and then == json.loads(json.dumps(now))


def _spelled_out(identity: Any, defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    """An identity with defaults in the place of settings that are None; None if it is no identity."""
    if not isinstance(identity, dict) or not isinstance(settings := identity.get("settings"), dict):
        return None
    unset = {name: value for name, value in defaults.items() if settings.get(name) is None}
    return {**identity, "settings": {**settings, **unset}}


def _difference(then: Any, now: Mapping[str, Any]) -> str:
    if not isinstance(then, dict):
        return "that no study wrote"
    before, after = _flat(then), _flat(json.loads(json.dumps(now)))
    pairs = [(key, before.get(key), after.get(key)) for key in sorted(before | after)]
    changed = [f"{key} {old!r} then, {new!r} now" for key, old, new in pairs if old != new]
    return f"of another run ({'; '.join(changed[:3])}{'; …' if len(changed) > 3 else ''})"


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {f"{prefix}{key}": item}
    return flat
