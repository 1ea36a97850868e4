"""Whose order of models is right: ntps, the scores of others, transformer-ranker; time and memory side by side.

    make transformer-ranker-env real-models
    python benchmarks/rankings.py TASK... --model FOLDER... [--twin FOLDER...] [--limit 500] --out FILE

A twin has the architecture and the tokenizer of a model, and random weights. On each task all models are ranked by
`ntps rank --rivals` and by transformer-ranker's H-score and LogME, each as a process of its own on
the same file of texts. The reference is the test accuracy of a tuned probe, by transformers and scikit-learn alone:
logistic regression on standardized mean tokens, its C by cross-validation, at the layer where a ridge classifier is
best in cross-validation on the training texts; the test texts are up to twice as many. FILE has a row a task, and tasks
that are there are not computed again. Printed are Kendall's τ (b) of each order with the reference, of all models and
of those that are no twins, and how much accuracy whoever takes the first model loses; and from the cells of the
calibration of `ntps advise`, how often what was known before puts two models in the order that LoRA gave them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoConfig, AutoModel, AutoTokenizer

import ntps
from against_transformer_ranker import ENVIRONMENT, HERE, measure
from common import Array, machine, write_texts
from ntps import theory
from ntps.advice.calibration import Calibration
from ntps.advice.cells import Cell
from ntps.validation.rivals import RIVALS

Row = dict[str, Any]


def twin(model: Path, folder: Path) -> Path:
    """A folder with the same architecture and tokenizer, and random weights."""
    torch.manual_seed(0)
    made: Any = AutoModel.from_config(AutoConfig.from_pretrained(model))
    made.save_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    tokenizer.save_pretrained(folder)
    return folder


def pooled(model: Path, texts: Sequence[str]) -> Array:
    """Mean tokens of every layer, by transformers alone."""
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    tokenizer.padding_side = "right"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    network: Any = AutoModel.from_pretrained(model).float().eval()
    found = []
    for begin in range(0, len(texts), 32):
        batch = tokenizer(texts[begin : begin + 32], return_tensors="pt", padding=True, truncation=True, max_length=512)
        with torch.inference_mode():
            states = torch.stack(network(**batch, output_hidden_states=True).hidden_states)
        mask = batch["attention_mask"][None, :, :, None]
        found.append(((states * mask).sum(dim=2) / mask.sum(dim=2)).double().numpy())
    return np.concatenate(found, axis=1)


def tuned(model: Path, task: ntps.Task) -> float:
    """Test accuracy of a tuned probe at the layer that cross-validation chooses."""
    assert task.test is not None
    train, test = (pooled(model, list(split.texts)) for split in (task.train, task.test))
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=theory.PENALTIES * train.shape[-1]))
    layer = np.argmax([cross_val_score(ridge, rows, task.train.labels, cv=5).mean() for rows in train])
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(probe, {"logisticregression__C": np.logspace(-4, 1, 6)}, cv=3)
    return float(search.fit(train[layer], task.train.labels).score(test[layer], task.test.labels))


def ours(output: str) -> dict[str, dict[str, float]]:
    """The figures of each model, by name of the figure; rivals at the layer where each of them is highest."""
    found: dict[str, dict[str, float]] = {}
    for row in json.loads(output)["models"]:
        model = row["model"]
        found.setdefault("accuracy_cv of the chosen layer", {})[model] = row["value"]
        found.setdefault("accuracy_cv of all layers", {})[model] = row["all_layers"]
        score = json.loads(Path(row["folder"], "result.json").read_text())
        for name in RIVALS:
            values = [layer["rivals"][name] for layer in score["layers"]]
            found.setdefault(name, {})[model] = max((each for each in values if each is not None), default=-np.inf)
    return found


def compare(task_name: str, models: Sequence[Path], data_dir: Path, limit: int, python: Path) -> Row:
    """All orders on one task."""
    few, many = (ntps.load_task(task_name, data_dir=data_dir, limit=each) for each in (limit, 2 * limit))
    task, costs, orders = replace(few, test=many.test), dict[str, Row](), dict[str, dict[str, float]]()
    with TemporaryDirectory() as name:
        folder = Path(name)
        texts = write_texts(task.train.texts, task.train.labels.tolist(), folder / "texts.jsonl")
        rank: list[str | Path] = [sys.executable, "-m", "ntps", "rank", texts, *models, "--no-test", "--json", "-q"]
        worker: list[str | Path] = [python, HERE / "transformer_ranker_worker.py", texts]
        commands: Mapping[str, Sequence[str | Path]] = {
            "ntps rank --rivals": [*rank, "--out", folder / "rivals", "--rivals"],
            **{
                f"transformer-ranker {each}": [*worker, each, "layermean", "32", *models]
                for each in ("hscore", "logme")
            },
        }
        for who, command in commands.items():
            run = measure(command, folder)
            if run["status"]:
                raise RuntimeError(f"{who}: {run['errors'][-2000:]}")
            costs[who] = {name: run[name] for name in ("seconds", "processor_seconds", "peak_bytes")}
            if "ntps" in who:
                orders |= ours(run["output"])
            else:
                scores = json.loads(run["output"].splitlines()[-1])
                orders[who] = {Path(model).name: value for model, value in scores.items()}
        reference = {model.name: tuned(model, task) for model in models}
    return {"task": task_name, "texts": len(task.train), "reference": reference, "orders": orders, "costs": costs}


TWIN = "random-"
"""How the name of a twin begins."""


def kendall(row: Row, *, twins: bool) -> dict[str, float]:
    """τ of every order of a task with the reference."""
    names = [name for name in row["reference"] if twins or not name.startswith(TWIN)]
    reference = [row["reference"][name] for name in names]
    return {
        order: float(kendalltau(reference, [values[name] for name in names]).statistic)
        for order, values in row["orders"].items()
    }


def lost(row: Row) -> dict[str, float]:
    """How far the reference of the first model of every order is below the best one."""
    reference = row["reference"]
    return {
        order: max(reference.values()) - reference[max(values, key=values.__getitem__)]
        for order, values in row["orders"].items()
    }


def with_mean(rows: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """Figures of every order by task, and their means."""
    orders = next(iter(rows.values()))
    return {**rows, "mean": {order: float(np.mean([each[order] for each in rows.values()])) for order in orders}}


def after_lora() -> Row:
    """In how many samples a figure orders two models as LoRA's accuracies do, and in how many that tell them apart."""
    pairs: dict[tuple[str, int], list[Cell]] = {}
    for cell in Calibration.read().cells:
        pairs.setdefault((cell.task, cell.texts), []).append(cell)
    found: Row = {"samples": len(pairs), "told apart": 0}
    for one, other in pairs.values():
        gap = one.lora_test - other.lora_test
        errors = [each.lora_test * (1 - each.lora_test) / each.test_texts for each in (one, other)]
        apart = abs(gap) > 1.96 * np.sqrt(sum(errors))
        found["told apart"] += int(apart)
        for name in ("final", "all_layers", "tangent", "area", "ntps"):
            right = (getattr(one, name) > getattr(other, name)) == (gap > 0)
            right_of = found.setdefault(name, {"right": 0, "right where told apart": 0})
            right_of["right"] += int(right)
            right_of["right where told apart"] += int(right and apart)
    return found


def main(
    tasks: list[str],
    out: Annotated[Path, typer.Option(help="JSON lines, one a task")],
    data_dir: Annotated[Path, typer.Option()],
    model: Annotated[list[Path], typer.Option(help="Folder of a model")],
    twins: Annotated[list[Path] | None, typer.Option("--twin", help="Folder of a model to make a twin of")] = None,
    limit: int = 500,
    environment: Annotated[Path, typer.Option(help="Where transformer-ranker is installed")] = ENVIRONMENT,
) -> None:
    """Prints the figures of each task, and their means."""
    known = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    with TemporaryDirectory() as name:
        models = [*model, *(twin(each, Path(name) / f"{TWIN}{each.name}") for each in twins or ())]
        for task in tasks:
            if task not in {row["task"] for row in known}:
                known.append(compare(task, models, data_dir, limit, environment / "bin" / "python"))
                with out.open("a") as file:
                    file.write(json.dumps(known[-1]) + "\n")
    figures = {
        "tau": {row["task"]: kendall(row, twins=True) for row in known},
        "tau without twins": {row["task"]: kendall(row, twins=False) for row in known},
        "lost": {row["task"]: lost(row) for row in known},
    }
    said = {name: with_mean(rows) for name, rows in figures.items()}
    print(json.dumps({**said, "after_lora": after_lora(), "machine": machine()}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
