"""A scoring run made ready: what identifies it, under which conditions it runs, and what a reader must know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ntps.checkpoint.checkpoint import Checkpoint
from ntps.distributed.world import World
from ntps.files import POOLED, PROGRESS
from ntps.forward.pooled_texts import PooledTexts
from ntps.jobs.progress import Reporter
from ntps.jobs.record import Provenance
from ntps.jobs.session import RunSession
from ntps.models.adapters.adapter import require_package
from ntps.models.model import LanguageModel
from ntps.moments.products import products_library
from ntps.options.scoring import ScoreSettings
from ntps.tasks.task import Task
from ntps.validation.labels import seeded_sample


class ScoreSession(RunSession):
    """A model and a task, ready to be scored by one or several processes.

    Attributes:
        world: The processes that share the run.
        pooled: Where the pooled texts of every layer are kept for other labels, if they are.
    """

    settings: ScoreSettings
    pooled: Path | None = None

    def __init__(
        self, model: LanguageModel, task: Task, settings: ScoreSettings, reporter: Reporter | None, world: World
    ) -> None:
        if settings.rivals:
            require_package("scikit-learn", "`rivals`")
        super().__init__(model, task, settings, reporter)
        self.world = world

    def pooled_texts(self, out: Path | None, checkpoint: Checkpoint | None) -> PooledTexts | None:
        """Where pooled texts go: all of them if they are kept, or else those that are left out in turn."""
        texts, most = len(self.task.train), self.settings.cv_texts
        resumed = bool(checkpoint and checkpoint.manifest.sums_path)
        if self.pooled:
            return PooledTexts(texts, self.pooled / "train", resumed=resumed)
        if not most:
            return None
        folder, sample = out and out / PROGRESS / POOLED, seeded_sample(texts, most)
        return PooledTexts(texts, folder, sample=sample, dtype=np.float32, resumed=resumed)

    def identity(self, keep_moments: bool) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        return {
            **self.pass_identity(),
            "moments": "keep" if keep_moments else "drop",
            "pooled": "keep" if self.pooled else "drop",
        }

    def provenance(self) -> Provenance:
        found = super().provenance()
        conditions = {"world_size": self.world.size, "products": products_library(self.model.device)}
        return found.model_copy(update={"settings": found.settings.model_copy(update=conditions)})

    def about_texts(self) -> dict[str, Any]:
        """What the index of statistics, and of pooled texts, says about them."""
        return {**self.provenance().to_dict(), "warnings": list(self.warnings())}

    def conditions(self) -> dict[str, Any]:
        """What moves the last bits of the sums."""
        return {
            "device": self.model.device.type,
            "threads": torch.get_num_threads(),
            "processes": self.world.size,
            "products": products_library(self.model.device),
        }

    def warnings(self) -> Iterator[str]:
        """What a reader must know, each thing once."""
        if not self.check.causal:
            yield (
                f"{self.model.architecture} is not causal (later tokens change earlier states): nothing about it is "
                "autoregressive, and its scores compare with no causal model's"
            )
        yield from super().warnings()
