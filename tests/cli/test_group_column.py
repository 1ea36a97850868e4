"""`--group-column`: what a score, the same texts under other labels, and a merge say of groups."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import ntps
from ntps.cli import main
from ntps.scoring.record import ScoreRecord
from tiny import random_texts, save_model


def save(path: Path, texts: list[str], groups: list[int], kinds: int = 2) -> None:
    rows = (
        {"text": text, "label": row % kinds, "author": group}
        for row, (text, group) in enumerate(zip(texts, groups, strict=True))
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def score(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> dict[str, Any]:
    out = Path(str(arguments[-1]))
    monkeypatch.setattr(sys, "argv", ["ntps", "score", *map(str, arguments[:-1]), "--out", str(out), "-q"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    found: dict[str, Any] = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return found


def test_groups_are_counted_and_those_of_both_splits_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, texts = save_model(tmp_path / "model"), random_texts(50, seed=3)
    for folder, kinds in (("task", 2), ("other", 3)):
        save(tmp_path / folder / "train.jsonl", texts[:40], [row // 4 for row in range(40)], kinds)
        save(tmp_path / folder / "test.jsonl", texts[40:], [9, 9, 9, *range(20, 27)], kinds)
    here = ("--layers", "0,-1", "--group-column", "author")
    result = score(monkeypatch, model, tmp_path / "task", *here, "--keep-pooled", tmp_path / "out")
    block = result["task"]
    assert (block["groups"], block["test"]["groups"], block["selection"]["group_column"]) == (10, 8, "author")
    assert any("3 of 10 test texts are of groups that training texts have too" in line for line in result["warnings"])

    plain = score(monkeypatch, model, tmp_path / "task", "--layers", "0,-1", "--keep-pooled", tmp_path / "plain")
    assert plain["task"]["groups"] is None and plain["task"]["test"]["groups"] is None
    assert plain["settings_hash"] != result["settings_hash"]
    assert plain["task"]["texts_fingerprint"] == block["texts_fingerprint"]
    assert not any("groups" in line for line in plain["warnings"])

    for run in ("out", "plain"):
        other = ("--from", tmp_path / run, tmp_path / "other")
        assert score(monkeypatch, *other, tmp_path / f"{run}-ungrouped")["task"]["groups"] is None
        relabelled = score(monkeypatch, *other, "--group-column", "author", tmp_path / f"{run}-grouped")
        assert (relabelled["task"]["groups"], relabelled["task"]["test"]["groups"]) == (10, 8)
        assert sum("groups that training" in line for line in relabelled["warnings"]) == 1

    del block["groups"], block["test"]["groups"]
    older = tmp_path / "out" / "result.json"
    older.write_text(json.dumps(result), encoding="utf-8")
    assert ScoreRecord.read(tmp_path / "out").result.task.groups is None


def test_groups_of_merged_runs_are_not_known(tmp_path: Path) -> None:
    """One author may have texts in both."""
    model, texts = save_model(tmp_path / "model"), random_texts(40, seed=3)
    for name, part in (("a", texts[:20]), ("b", texts[20:])):
        save(tmp_path / f"{name}.jsonl", part, [row // 4 for row in range(20)])
        task = tmp_path / f"{name}.jsonl"
        ntps.score(model, task, group_column="author", layers="0", out=tmp_path / name)
    merged = ntps.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "merged")
    assert merged.to_dict()["task"]["groups"] is None
