"""What the choice of a layer costs, and what one probe of all layers gains, on test texts.

    python benchmarks/layer_rule.py MODEL [MODEL …] --data-dir FOLDER [--task emotion …] [--texts 1000 …] [--out FILE]

Every model scores every task from so many training texts, with `ntps score`. The same pooled texts then go to
scikit-learn: `RidgeClassifierCV` on standardized states of each layer, over the same penalties, is the reference in
test accuracy; `LogisticRegression` on the standardized states of all layers side by side is a rival of the probe of
all layers. Printed for each number of texts, as means over models and tasks: how far the layer of each rule is behind
the best one in hindsight, rank correlations with the reference over layers, how far the test accuracy of ntps's probe
is from the reference's, and what the probe of all layers reaches. FILE has a row for each model, task and number of
texts; rows that are there already are not computed again.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ntps
from common import Array, machine
from ntps import theory
from ntps.files import POOLED
from ntps.forward.pooled_texts import read_labels, read_pooled

TASKS = ["banking77", "clickbait", "climate_sentiment", "emotion", "imdb", "intent", "medical_questions_pairs"]
TASKS += ["rotten_tomatoes", "sms_spam", "sst2"]
MEASURES = ("accuracy_cv", "r2_cv", "area_cv", "area", "r2", "ntps_share95")
"""Whose order of the layers is held against that of the reference."""

Row = dict[str, Any]


def side(folder: Path, part: str) -> tuple[dict[int, Array], Array]:
    """Pooled texts by layer and classes of a split."""
    targets = read_labels(folder / POOLED / part, "targets")
    assert targets is not None
    pooled = read_pooled(folder / POOLED / part)
    return {layer: np.asarray(rows, dtype=np.float64) for layer, rows in pooled.items()}, targets.argmax(axis=1)


def compare(model: Path, task: str, data_dir: Path, texts: int, test_texts: int, folder: Path) -> Row:
    """One model on one task."""
    few, many = (ntps.load_task(task, data_dir=data_dir, limit=limit) for limit in (texts, test_texts))
    result = ntps.score(str(model), replace(few, test=many.test), keep_pooled=True, out=folder).to_dict()
    (train, classes), (test, truth) = side(folder, "train"), side(folder, "test")
    scale = theory.PENALTIES * next(iter(train.values())).shape[1]
    reference = [
        make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=scale)).fit(train[layer], classes).score(rows, truth)
        for layer, rows in test.items()
    ]
    together = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    together.fit(np.hstack([*train.values()]), classes)
    rows, chosen = result["layers"], result["summary"]["layer"]
    adjusted = [row["r2_adjusted"] for row in rows]
    known = [-np.inf if each is None else each for each in adjusted]
    joint = result["all_layers"]
    return {
        "model": model.name,
        "task": task,
        "texts": texts,
        "chosen": chosen,
        "adjusted": int(np.argmax(known)) if np.isfinite(known).any() else len(rows) - 1,
        "least_squares": [row["accuracy_test_ols"] for row in rows],
        "accuracy_test": [row["accuracy_test"] for row in rows],
        "reference": reference,
        **{name: [row[name] for row in rows] for name in MEASURES},
        "all_layers": joint["accuracy_test"],
        "all_layers_cv": joint["accuracy_cv"],
        "logistic_side_by_side": together.score(np.hstack([*test.values()]), truth),
        "majority": float(np.mean(truth == np.bincount(classes).argmax())),
    }


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Means over models and tasks, in points of accuracy."""
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for row in rows.to_dict("records"):
        reference, own = 100 * np.array(row["reference"]), 100 * np.array(row["accuracy_test"])
        last = len(own) - 1
        picks = {"rule": row["chosen"], "adjusted R²": row["adjusted"], "last": last, "middle": (last + 1) // 2}
        for name, layer in picks.items():
            add(f"regret: {name}", own.max() - own[layer])
        for name in MEASURES:
            order = pd.Series(row[name], dtype="float64").corr(pd.Series(reference), method="spearman")
            add(f"Spearman: {name}", order)
        add("accuracy: least squares at the layer of adjusted R²", 100 * row["least_squares"][row["adjusted"]])
        add("accuracy: ridge probe at the layer of the rule", own[row["chosen"]])
        add("distance from RidgeClassifierCV: mean", np.abs(own - reference).mean())
        add("distance from RidgeClassifierCV: largest", np.abs(own - reference).max())
        joint = 100 * row["all_layers"]
        rivals = {
            "the chosen layer": own[row["chosen"]],
            "the best in hindsight": own.max(),
            "the last": own[-1],
            "logistic regression side by side": 100 * row["logistic_side_by_side"],
        }
        for name, accuracy in rivals.items():
            add(f"all layers against {name}", joint - accuracy)
    return {name: round(float(np.nanmean(values)), 3) for name, values in found.items()}


def main(
    models: list[Path],
    data_dir: Annotated[Path, typer.Option()],
    task: Annotated[list[str], typer.Option()] = TASKS,
    texts: Annotated[list[int], typer.Option()] = [300, 1000, 3000],  # noqa: B006
    test_texts: int = 4000,
    out: Annotated[Path | None, typer.Option(help="JSON lines, one a model, task and number of texts")] = None,
) -> None:
    """Prints the comparison."""
    known = [json.loads(line) for line in out.read_text().splitlines()] if out and out.exists() else []
    done = {(row["model"], row["task"], row["texts"]) for row in known}
    for count in texts:
        for model in models:
            for each in task:
                if (model.name, each, count) in done:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    known.append(compare(model, each, data_dir, count, test_texts, Path(folder) / "run"))
                if out is not None:
                    with out.open("a") as file:
                        file.write(json.dumps(known[-1]) + "\n")
    rows = pd.DataFrame(known)
    found = {str(count): summary(each) for count, each in rows.groupby("texts")}
    print(json.dumps({"texts": found, "machine": machine()}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
