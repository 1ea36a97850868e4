"""What the choices of the tangent probe are worth: directions, their number, γ, and which layers are pooled.

    python benchmarks/tangent_choices.py MODEL [MODEL …] --data-dir FOLDER [--texts 500] [--out FILE]

A tangent probe has free choices: the directions v in which the pooled text is watched (random orthonormal ones, or the
leading left singular vectors of the ridge probe's weights), how many there are, what the kernel of the derivatives
counts beside that of pooled texts (γ), and whether these are the last layer's or all layers'. Every choice is made for
every model and task from the same texts. Printed are mean accuracies in per cent, on folds left out and on test texts,
over the first five tasks, on which choices are to be made, and over the five others, which may only confirm them; for
directions of the ridge, which have seen the labels of all training texts, only test texts count. Beside them stand the
ridge probes of the last layer and of all layers. FILE has a row for each model, task and choice; models and tasks that
are there already are not computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

import ntps
from common import Array, machine
from ntps.advice.fits import accuracy_of
from ntps.forward.tangents import TangentPass, TangentTexts
from ntps.jobs.session import RunSession
from ntps.models.tokenizing.tokens import tokenize
from ntps.moments.kernels import resolution_of
from ntps.options.advising import AdviseSettings
from ntps.validation.labels import Labels
from ntps.validation.layer_fit import fit_layer
from ntps.validation.tangents import fit_tangents

CHOOSING = ("emotion", "rotten_tomatoes", "intent", "banking77", "sms_spam")
CONFIRMING = ("sst2", "clickbait", "commonsense_qa", "medical_questions_pairs", "climate_sentiment")
COUNTS = (1, 2, 4, 8)
GAMMAS = (0.3, 1.0, 3.0, 10.0, 30.0, 1e6)
STANDARD = 4
"""Directions beside which the other choices are compared."""
RESOLUTION = resolution_of(torch.float32)

Row = dict[str, Any]


@dataclass
class GivenDirections(TangentPass):
    """A pass that watches given directions."""

    given: Array | None = None

    @property
    def watched(self) -> Array:
        """The directions in columns."""
        return super().watched if self.given is None else self.given


@dataclass(frozen=True)
class Sides:
    """Training and test texts of one model and task, with labels."""

    session: RunSession
    train: Labels
    test: Labels

    @classmethod
    def of(cls, model: Path, task: str, data_dir: Path, texts: int, test_texts: int) -> Sides:
        """Loads both."""
        few, many = (ntps.load_task(task, data_dir=data_dir, limit=limit) for limit in (texts, test_texts))
        both = replace(few, test=many.test)
        assert both.test is not None
        session = RunSession(ntps.load_model(str(model)), both, AdviseSettings(), None)
        return cls(session, Labels.of(both, both.train), Labels.of(both, both.test))

    def passes(self, count: int, given: Array | None = None) -> tuple[TangentTexts, TangentTexts]:
        """What is kept of the training texts and of the test texts."""
        session, train_split, test_split = self.session, self.session.task.train, self.session.task.test
        assert test_split is not None
        tokens = tokenize(session.model, test_split.texts, session.settings.max_length)
        train = GivenDirections(session.work(train_split, session.tokens, None), directions=count, given=given)
        test = replace(train, work=session.work(test_split, tokens, None))
        return train.run(), test.run()


def accuracy(predicted: Array, labels: Labels) -> float:
    """Share of right answers."""
    return float(np.mean(predicted.argmax(axis=1) == labels.classes))


def side_by_side(texts: TangentTexts) -> Array:
    """Pooled texts of all layers."""
    return np.concatenate([texts.pooled[layer] for layer in sorted(texts.pooled)], axis=1)


def rows_of(sides: Sides) -> Iterator[Row]:
    """Every choice for one model and task."""
    last = sides.session.layers[-1]
    for count in COUNTS:
        train, test = sides.passes(count)
        if count == COUNTS[0]:
            for name, pooled in (("last layer", lambda each: each.pooled[last]), ("all layers", side_by_side)):
                ridge = fit_layer(pooled(train), sides.train, RESOLUTION)
                found = accuracy(ridge.probe.predict(np.asarray(pooled(test), dtype=np.float64)), sides.test)
                yield {"choice": f"ridge, {name}", "left_out": accuracy_of(ridge.judged), "test": found}
                if name == "last layer":
                    leading = np.linalg.svd(ridge.probe.coefficients, full_matrices=False)[0][:, :STANDARD]
        if count != STANDARD:
            yield fitted(f"{count} random directions", train, test, sides, last)
            continue
        for gamma in GAMMAS:
            yield fitted(f"γ = {gamma:g}", train, test, sides, last, gamma)
        yield fitted("all layers pooled", train, test, sides, None)
    yield fitted(f"{STANDARD} directions of the ridge", *sides.passes(STANDARD, leading), sides, last)


def fitted(
    choice: str, train: TangentTexts, test: TangentTexts, sides: Sides, layer: int | None, gamma: float = 10.0
) -> Row:
    """One choice; without a layer, all of them are pooled."""
    pooled = [side_by_side(each) if layer is None else each.pooled[layer] for each in (train, test)]
    fit = fit_tangents(pooled[0], train.tangents, sides.train, RESOLUTION, gamma)
    found = accuracy(fit.predict(pooled[1], test.tangents), sides.test)
    return {"choice": choice, "left_out": accuracy_of(fit.judged), "test": found}


def main(
    models: list[Path],
    data_dir: Annotated[Path, typer.Option()],
    texts: int = 500,
    test_texts: int = 1000,
    out: Path | None = None,
) -> None:
    rows: list[Row] = json.loads(out.read_text())["rows"] if out is not None and out.exists() else []
    for model in models:
        for task in (*CHOOSING, *CONFIRMING):
            key = {"model": model.name, "task": task, "texts": texts}
            if any(key.items() <= row.items() for row in rows):
                continue
            rows += [key | row for row in rows_of(Sides.of(model, task, data_dir, texts, test_texts))]
            print(json.dumps(rows[-1]), flush=True)
            if out is not None:
                out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    table = pd.DataFrame(rows)
    order = list(dict.fromkeys(table["choice"]))
    for name, tasks in (("chosen on", CHOOSING), ("confirmed on", CONFIRMING)):
        print(f"{name} {', '.join(tasks)}")
        means = table[table["task"].isin(tasks)].groupby("choice")[["left_out", "test"]].mean() * 100
        print(means.loc[order].to_string(float_format="{:.1f}".format))


if __name__ == "__main__":
    typer.run(main)
