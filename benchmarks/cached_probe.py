"""The paper's linear probe on pooled texts that are computed once, against training it through the frozen model.

    python benchmarks/cached_probe.py [MODEL] [TASK] [--texts 2000] [--data-dir DIR]

By default the embedded model and task. The slow way runs every batch of 64 shuffled texts through the base model, epoch
after epoch; two epochs are timed after one that warms up, and scaled to fifty. Printed as JSON: seconds, the ratio,
and how far the two heads are apart after two epochs without dropout and with the same batches.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from common import show
from ntps import LanguageModel, Task, load_model, load_task
from ntps.forward.pooled_texts import collect_pooled
from ntps.jobs.session import RunSession
from ntps.models.tokenizing.tokens import tokenize
from ntps.options.passes import PassSettings
from ntps.options.probing import AdamWProbe
from ntps.training.probes.adamw import train_head
from ntps.validation.labels import Labels

SEED = 0
TIMED = 2
"""Epochs through the frozen model that are timed."""


class FrozenModel:
    """Mean tokens of the last layer, computed anew for every batch, by transformers' own account.

    Attributes:
        passes: Batches so far.
    """

    def __init__(self, model: LanguageModel, task: Task) -> None:
        """Tokenizes the training texts."""
        self.passes = 0
        self._model, self._tokens = model, tokenize(model, task.train.texts)

    @torch.no_grad()
    def __call__(self, batch: Tensor) -> Tensor:
        """Mean tokens ``(B, d)`` of the texts with some indices."""
        self.passes += 1
        ids = torch.as_tensor(self._tokens.padded(batch.numpy(), self._model.pad_id))
        mask = torch.arange(ids.shape[1]) < torch.as_tensor(self._tokens.lengths[batch.numpy()])[:, None]
        states: Tensor = self._model.base(input_ids=ids, attention_mask=mask.long(), use_cache=False).last_hidden_state
        return (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def labels_of(task: Task) -> Labels:
    """Labels of the training texts."""
    return Labels.of(task, task.train)


def pool_once(model: LanguageModel, task: Task) -> Tensor:
    """Mean tokens ``(n, d)`` of the last layer, as ``ntps probe`` computes them."""
    ready = RunSession(model, task, PassSettings(layers="-1"), None)
    pooled = collect_pooled(ready.work(task.train, ready.tokens, "texts"))[model.num_layers]
    return torch.as_tensor(pooled, dtype=torch.float32)


def distance(first: nn.Linear, second: nn.Linear) -> float:
    """Largest difference of two heads' weights and biases."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max(float((one - other).detach().abs().max()) for one, other in pairs)


def main(
    model_name: Annotated[str | None, typer.Argument(metavar="MODEL", show_default=False)] = None,
    task_name: Annotated[str | None, typer.Argument(metavar="TASK", show_default=False)] = None,
    texts: int = 2000,
    data_dir: Path | None = None,
) -> None:
    """Time both."""
    model, task = load_model(model_name), load_task(task_name, limit=texts, data_dir=data_dir)
    recipe = AdamWProbe()

    began = time.perf_counter()
    pooled = pool_once(model, task)
    after_pass = time.perf_counter()
    train_head(lambda batch: pooled[batch], model.hidden_size, labels_of(task), recipe, SEED)
    once = {"pass": after_pass - began, "epochs": time.perf_counter() - after_pass}

    frozen = FrozenModel(model, task)
    ends: list[float] = []
    slow = replace(recipe, epochs=TIMED + 1)
    train_head(frozen, model.hidden_size, labels_of(task), slow, SEED, lambda *_epoch: ends.append(time.perf_counter()))
    an_epoch = (ends[-1] - ends[0]) / TIMED

    plain = replace(recipe, epochs=TIMED, dropout=0.0)
    heads = [
        train_head(features, model.hidden_size, labels_of(task), plain, SEED)
        for features in (lambda batch: pooled[batch], frozen)
    ]
    show(
        {
            "model": model.id,
            "task": task.id,
            "texts": len(task.train),
            "epochs": recipe.epochs,
            "seconds": {**once, "frozen_model_an_epoch": an_epoch},
            "frozen_over_cached": recipe.epochs * an_epoch / sum(once.values()),
            "largest_difference_of_heads": distance(*heads),
        }
    )


if __name__ == "__main__":
    typer.run(main)
