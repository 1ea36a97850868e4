"""``ntps.run_study``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ntps.errors import InputError
from ntps.files import folder_path
from ntps.study.definition import load_study
from ntps.study.engines import NullListener
from ntps.study.session import EngineName, StudySession
from ntps.study.state import read_rows
from ntps.study.status import Overwrite


def run_study(
    study: str | Path,
    out: str | Path,
    *,
    models: Sequence[str | Path] = (),
    data_dir: str | Path | None = None,
    results: str | Path | None = None,
    overwrite: str = "only-missing",
    engine: EngineName = "local",
    jobs: int = 1,
    address: str | None = None,
) -> pd.DataFrame:
    """Makes every measurement of every model on every task that a study names; what is done is not done again.

    A run that fails is recorded, and the others go on. With several ``jobs``, call this below ``if __name__ ==
    "__main__":``, because the new processes import the calling program.

    Args:
        study: YAML file, or ``demo``, ``small``, ``paper`` or ``calibration``.
        out: Folder of the study.
        models: Models to take instead of the study's.
        data_dir: Folder with local copies of named tasks.
        results: Folder of the runs, which studies may share; ``results`` in ``out`` by default.
        overwrite: Which runs are made: ``always``, ``never``, ``only-missing`` or ``failed``.
        engine: ``local`` or ``ray``.
        jobs: Processes of the local engine.
        address: Of a Ray cluster.

    Returns:
        A row per run: ``model, revision, task, measurement, folder, status, cause, seconds``.

    Raises:
        InputError: The definition is wrong, or a folder or the engine cannot be used.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> study = {"name": "tiny", "models": ["demo"], "tasks": ["docstrings"], "train_texts": 50}
        >>> study["measurements"] = {"ols": {}}
        >>> size = Path("tiny.yaml").write_text(json.dumps(study))  # JSON is YAML too
        >>> ntps.run_study("tiny.yaml", "study")[["measurement", "status"]].to_numpy().tolist()
        [['ols', 'done']]
    """
    try:
        policy = Overwrite(overwrite)
    except ValueError as error:
        raise InputError(f"overwrite must be one of {', '.join(Overwrite)}, not {overwrite!r}") from error
    studying = StudySession.begin(
        load_study(study, [str(model) for model in models]),
        folder_path(out),
        results=None if results is None else folder_path(results),
        overwrite=policy,
        data_dir=None if data_dir is None else str(data_dir),
    )
    studying.run(NullListener(), engine=engine, jobs=jobs, address=address)
    return pd.DataFrame(read_rows(Path(out)))
