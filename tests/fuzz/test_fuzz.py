"""Malformed inputs and usages end with exit status 2 and one sentence, or with a result; inputs are never touched.

``make fuzz`` runs many; ``FUZZ_CASES`` and ``FUZZ_SEED`` choose others.
"""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import pytest

from fuzz import files, options, results, studies
from fuzz.cases import run
from fuzz.inputs import Inputs

COUNT = int(os.environ.get("FUZZ_CASES", "40"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
GENERATORS = {"options": options, "studies": studies, "results": results, "files": files}


@pytest.mark.parametrize("kind", GENERATORS)
def test_what_is_malformed_is_one_sentence(
    kind: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp(kind)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    shared: Path = folder / "shared"
    shared.mkdir()
    inputs = Inputs.make(shared)
    cases = GENERATORS[kind].cases(inputs, random.Random(f"{SEED} {kind}"))
    wrong = []
    for number, case in enumerate(itertools.islice(cases, -(-COUNT // len(GENERATORS)))):
        ending = run(case, folder / f"case-{number}", shared)
        if complaint := ending.wrong(case):
            wrong.append(f"{case.name}: {complaint}\n  ntps {' '.join(case.arguments)}\n  {ending.said[-400:]}")
    assert not wrong, "\n".join(wrong)
