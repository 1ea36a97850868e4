"""Model × task → a scored record: the whole of the main job, from loaded parts to files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ntps.errors import NumericalError
from ntps.models import LanguageModel, TokenizedTexts
from ntps.moments.checkpoint import Checkpoint, Ledger
from ntps.moments.claim import clear_folder
from ntps.moments.collect import collect_moments, evaluate_probes
from ntps.moments.describe import envelope, versions
from ntps.moments.layers import score_layers
from ntps.moments.prepared import Prepared, Reporter, gathered
from ntps.moments.record import MOMENTS, ScoreRecord, layer_row, write_moments
from ntps.moments.score import LayerScore
from ntps.moments.settings import ScoreSettings
from ntps.moments.summary import summarize
from ntps.tasks import Split, Task


def run_score(
    model: LanguageModel,
    task: Task,
    settings: ScoreSettings,
    *,
    out: Path | None = None,
    keep_moments: bool = True,
    resume: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> ScoreRecord:
    """Scores every layer asked for.

    Args:
        model: The model.
        task: The task.
        settings: The options.
        out: Folder for the results, which the caller has claimed; nothing is written without it. Statistics are on
            disk at intervals, and in any case before scoring starts.
        keep_moments: Whether the statistics stay there.
        resume: Whether a run that was interrupted is continued.
        overwrite: Whether the progress of any other run is discarded.
        reporter: Learns about progress.

    Raises:
        InputError: An option does not fit the model or the task, or a file cannot be written.
        NumericalError: Hidden states are not finite.
    """
    return _Run(model, task, settings, reporter).score(out, keep_moments, resume, overwrite)


class _Run(Prepared):
    settings: ScoreSettings
    notes: tuple[str, ...] = ()

    def score(self, out: Path | None, keep_moments: bool, resume: bool, overwrite: bool) -> ScoreRecord:
        checkpoint = None
        if out is not None:
            fresh = Ledger(self.identity(keep_moments), self.conditions(), self.tokens_per_batch)
            asked = self.settings.tokens_per_batch
            checkpoint = Checkpoint.open(out, fresh, asked, resume=resume, overwrite=overwrite)
            self.tokens_per_batch = checkpoint.ledger.tokens_per_batch
            self.notes = checkpoint.ledger.notes
        work = self.work(self.task.train, self.tokens, "train texts")
        moments, seconds = collect_moments(work, self.task.outputs, checkpoint)
        self.count(seconds)
        counted = moments[self.layers[0]].texts
        if counted != len(self.task.train):
            raise NumericalError(f"{counted} of {len(self.task.train)} texts were counted: please report this defect")
        if out is not None and checkpoint is not None and not checkpoint.ledger.complete:
            batches = len(work.batches)
            with self.clock.phase("statistics"):
                clear_folder(out)
                if keep_moments:
                    write_moments(out / MOMENTS, moments, self.provenance())
                    checkpoint.commit(out / MOMENTS, batches, batches)
                else:
                    checkpoint.save(moments, batches, batches)
        advance = self.reporter.start("closed forms", len(self.layers), "layers")
        scores = []
        form = self.settings.convention, self.settings.centered
        with self.clock.phase("theory"):
            for score in score_layers(moments, self.model.layer_names, *form):
                scores.append(score)
                advance(1)
        if self.test is not None and self.test_tokens is not None:
            scores = self.held_out(scores, self.test, self.test_tokens)
        record = ScoreRecord(self.result(scores), pd.concat([score.to_frame() for score in scores], ignore_index=True))
        if out is not None:
            record.write(out)
        if checkpoint is not None:
            checkpoint.remove()
        return record

    def held_out(self, scores: Sequence[LayerScore], split: Split, tokens: TokenizedTexts) -> list[LayerScore]:
        work = self.work(split, tokens, "test texts")
        figures, seconds = evaluate_probes(work, {score.layer: score.probe for score in scores})
        self.count(seconds)
        classes = self.task.kind == "classes"
        return [
            replace(
                score,
                r2_test=figures[score.layer].r2,
                accuracy_test=figures[score.layer].accuracy if classes else None,
            )
            for score in scores
        ]

    def identity(self, keep_moments: bool) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        settings = self.settings.described()
        del settings["tokens_per_batch"]
        return {
            **{f"model {name}": value for name, value in self.described.items()},
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "texts": self.task.train.fingerprint,
            "test texts": None if self.test is None else self.test.fingerprint,
            "tokens": self.tokens.fingerprint,
            **settings,
            "layers": list(self.layers),
            "moments": "keep" if keep_moments else "drop",
            **{f"version of {name}": version for name, version in versions().items()},
            "settings_hash": self.settings_hash,
        }

    def conditions(self) -> dict[str, Any]:
        """What moves the last bits of the sums."""
        return {"device": self.model.device.type, "threads": torch.get_num_threads()}

    def result(self, scores: Sequence[LayerScore]) -> dict[str, Any]:
        return {
            **envelope("score", self.provenance(), self.clock),
            "layers": [layer_row(score) for score in scores],
            "summary": summarize(scores),
            "warnings": [*self.notes, *self.warnings(), *gathered({score.name: score.warnings for score in scores})],
        }

    def warnings(self) -> Iterator[str]:
        """What a reader must know, each thing once."""
        if not self.check.causal:
            yield (
                f"{self.model.architecture} is not causal (later tokens change earlier states): nothing about it is "
                "autoregressive, and its scores compare with no causal model's"
            )
        yield from super().warnings()
