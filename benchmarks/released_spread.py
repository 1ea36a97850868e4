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
from ntps.forward.batch_plan import plan_batches
from ntps.models.tokenizing.tokens import tokenize


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

    tokens = tokenize(model, task.train.texts)
    for batch in plan_batches(tokens.lengths, 2048):
        ids = torch.as_tensor(tokens.padded(batch, model.pad_id))
        mask = torch.arange(ids.shape[1]) < torch.as_tensor(tokens.lengths[batch])[:, None]
        targets = task.targets(task.train.labels[batch])

        def sink(layer: int, hidden: Tensor) -> None:
            for moments in disturbed:
                factor = 1 + noise * torch.randn(hidden.shape, generator=random, dtype=hidden.dtype)
                moments[layer].update(hidden * factor, mask, targets)  # noqa: B023  # called at once

        model.visit_layers(ids, None, layers, sink)
    print(f"{'layer':12} {'released':>10} {'paper':>10}")
    for layer in layers:
        spreads = []
        for convention in ("released", "paper"):
            curves = [score_moments(moments[layer], convention).curves.ntps for moments in disturbed]
            spreads.append(float(np.ptp(np.array(curves), axis=0).max()))
        print(f"{model.layer_names[layer]:12} {spreads[0]:10.1e} {spreads[1]:10.1e}")


if __name__ == "__main__":
    typer.run(main)
