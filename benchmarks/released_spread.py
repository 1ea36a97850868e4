"""How far scores move when every hidden state is changed by a relative 1e-7: `released` against `paper`.

python benchmarks/released_spread.py MODEL TASK [--limit 1000] [--noise 1e-7] [--seeds 5]
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from ntps import Moments, load_model, load_task, score_moments
from ntps.models import tokenize
from ntps.moments.collect import Pass
from ntps.moments.layout import Layout
from ntps.moments.plan import Batch


def main(
    model_name: Annotated[str, typer.Argument(metavar="MODEL")],
    task_name: Annotated[str, typer.Argument(metavar="TASK")],
    limit: int = 1000,
    noise: float = 1e-7,
    seeds: int = 5,
) -> None:
    """Print, for each layer, the largest range of `ntps` over noise seeds, in both conventions."""
    model, task = load_model(model_name, dtype="float64"), load_task(task_name, limit=limit)
    layers = range(model.num_layers + 1)
    disturbed = [{layer: Moments(model.hidden_size, task.outputs) for layer in layers} for _ in range(seeds)]
    random = torch.Generator().manual_seed(0)

    def reduce(layer: int, hidden: Tensor, layout: Layout, targets: Tensor, _texts: Batch) -> None:
        for moments in disturbed:
            factor = 1 + noise * torch.randn(hidden.shape, generator=random, dtype=hidden.dtype)
            moments[layer].add(hidden * factor, layout, targets)

    Pass(
        model=model,
        tokens=tokenize(model, task.train.texts),
        targets=lambda batch: task.targets(task.train.labels[batch]),
        layers=layers,
        pooling="mean",
        masked=False,
        tokens_per_batch=2048,
        progress=lambda _done: None,
    ).run(reduce)
    print(f"{'layer':12} {'released':>10} {'paper':>10}")
    for layer in layers:
        spreads = []
        for convention in ("released", "paper"):
            curves = [score_moments(moments[layer], convention).curves.ntps for moments in disturbed]
            spreads.append(float(np.ptp(np.array(curves), axis=0).max()))
        print(f"{model.layer_names[layer]:12} {spreads[0]:10.1e} {spreads[1]:10.1e}")


if __name__ == "__main__":
    typer.run(main)
