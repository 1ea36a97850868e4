"""Whether 95 % intervals of figures for new texts hold: probes of many samples, judged on all texts outside them.

    python benchmarks/coverage.py FOLDER --texts 400 --samples 200 [--out rows.jsonl]

FOLDER is what `ntps score MODEL TASK --limit 20000 --keep-pooled --cv-texts 0 --out FOLDER` left. Of each sample: the
probe of every layer, of all layers together, and of the chosen layer; each interval against what that very probe
reaches on the texts outside. `area_cv` is held against its mean over all samples, as it is a ratio at a number of
texts. Rows that are in the file already are not computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from numpy.typing import NDArray

from common import machine
from ntps.moments.kernels import resolution_of
from ntps.moments.layer_score import score_layers
from ntps.scoring.stored_run import PooledLabels, StoredRun
from ntps.validation.cross_validation import CrossValidation, cross_validate
from ntps.validation.judged import CRITERION, Estimate, figures, judge_held_out
from ntps.validation.labels import Labels

Row = dict[str, Any]


def reached(predicted: NDArray[np.float64], labels: Labels) -> dict[str, float]:
    """Every figure of fixed predictions."""
    judged, once = judge_held_out(predicted, labels), np.ones((1, len(labels)))
    return {name: float(figure(once)[0, 0]) for name, figure in figures([judged], labels)}


def rows_of(probes: CrossValidation, kept: PooledLabels, directions: dict[int, Any], sample: set[int]) -> Iterator[Row]:
    """Each figure with its interval and what it turned out to be."""
    rest = np.array(sorted(set(range(len(kept.labels))) - sample))
    labels = kept.labels.take(rest)
    criterion = CRITERION[labels.kind]
    by_layer, together = probes.estimates()
    joint, found = np.zeros_like(labels.targets), {}

    def row(what: str, figure: str, estimate: Estimate, actual: float | None) -> Row:
        return {"what": what, "figure": figure, **vars(estimate), "reached": actual}

    for layer, fit in probes.fits.items():
        pooled = np.asarray(kept.read(layer)[rest], dtype=np.float64)
        found[layer] = reached(fit.probe.predict(pooled), labels)
        joint += probes.together.parts[layer].predict(pooled)
        for figure in (criterion, "r2"):
            yield row(f"layer {layer}", figure, by_layer[layer][figure], found[layer][figure])
    for figure in (criterion, "r2"):
        yield row("all layers", figure, together[figure], reached(joint, labels)[figure])
    if (choice := probes.choice) is not None:
        yield row("chosen layer", criterion, choice.estimate, found[choice.layer][criterion])
    for layer, area in probes.areas(directions).items():
        yield row(f"layer {layer}", "area", area.area, None)


def coverage(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Share of the intervals that hold, by figure and what it is of, and how many there were."""
    rows = rows.copy()
    rows["what"] = rows["what"].str.replace(r"layer \d+", "each layer", regex=True)
    rows = rows.dropna(subset=["low", "high", "reached"])
    rows["covers"] = (rows["low"] <= rows["reached"]) & (rows["reached"] <= rows["high"])
    groups = rows.groupby(["figure", "what"])
    return {
        f"{figure}, {what}": {"covered": round(float(each["covers"].mean()), 3), "intervals": len(each)}
        for (figure, what), each in groups
    }


def main(
    folder: Path,
    texts: int = 400,
    samples: int = 200,
    out: Annotated[Path | None, typer.Option(help="JSON lines, one a figure")] = None,
) -> None:
    """Prints how often intervals hold."""
    run = StoredRun.open(folder, test=False)
    kept, layers = run.texts, list(run.index.layers)
    assert kept is not None, "score with --keep-pooled"
    directions = {}
    for layer in layers:
        (score,) = score_layers({layer: run.moments(layer)}, run.index.model.layer_names)
        directions[layer] = (score.directions.basis, score.directions.share)
    arrays = {layer: np.asarray(kept.read(layer), dtype=np.float32) for layer in layers}
    read = PooledLabels(arrays.__getitem__, kept.labels)
    known = [json.loads(line) for line in out.read_text().splitlines()] if out and out.exists() else []
    done = {(row["texts"], row["sample"]) for row in known}
    for seed in range(samples):
        if (texts, seed) in done:
            continue
        sample = np.sort(np.random.default_rng(seed).choice(len(kept.labels), size=texts, replace=False))
        labels = kept.labels.take(sample)
        drawn = {layer: rows[sample] for layer, rows in arrays.items()}
        probes = cross_validate(drawn.__getitem__, layers, labels, resolution_of(torch.float32))
        assert probes is not None
        new = [{"texts": texts, "sample": seed, **row} for row in rows_of(probes, read, directions, {*sample.tolist()})]
        known += new
        if out is not None:
            with out.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in new)
    rows = pd.DataFrame(known)
    rows = rows[rows["texts"] == texts]
    areas = rows["figure"] == "area"
    rows.loc[areas, "reached"] = rows[areas].groupby("what")["value"].transform("mean")
    print(json.dumps({"texts": texts, "coverage": coverage(rows), "machine": machine()}, indent=2))


if __name__ == "__main__":
    typer.run(main)
