"""Model × task → a scored record: the whole of the main job, from loaded parts to files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch

from ntps.checkpoint.checkpoint import Checkpoint
from ntps.checkpoint.lock import clear_folder, left_behind
from ntps.checkpoint.manifest import Manifest
from ntps.checkpoint.owned_files import PARTS, erase
from ntps.checkpoint.resume import open_progress
from ntps.distributed.world import World
from ntps.errors import InputError, NumericalError
from ntps.files import MOMENTS, POOLED
from ntps.forward.batch_plan import Shard
from ntps.forward.out_of_memory import retry_smaller
from ntps.forward.pooled_texts import PooledTexts
from ntps.forward.stream import Pass, discard_pooled
from ntps.jobs.progress import Reporter
from ntps.jobs.provenance import envelope
from ntps.jobs.record import Provenance
from ntps.jobs.session import RunSession, group_warnings
from ntps.jobs.unused_rows import unused_rows
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.moments.accumulator import Moments
from ntps.moments.layer_score import LayerScore, score_layers
from ntps.moments.products import products_library
from ntps.moments.sums_folder import write_moments
from ntps.options.scoring import ScoreSettings
from ntps.scoring.adapter_change import change_block
from ntps.scoring.exchange import join_moments, join_tallies, require_equal_across_processes, share_probes, share_record
from ntps.scoring.record import LayerRow, ScoreFile, ScoreRecord, summarize
from ntps.scoring.reductions import collect_moments, evaluate_probes, with_held_out
from ntps.tasks.task import Split, Task

Result = TypeVar("Result")


def run_score(
    model: LanguageModel,
    task: Task,
    settings: ScoreSettings,
    *,
    out: Path | None = None,
    keep_moments: bool = True,
    keep_pooled: bool = False,
    resume: bool = True,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    world: World | None = None,
    baseline: ScoreRecord | None = None,
    place: tuple[int, int] | None = None,
) -> ScoreRecord:
    """Scores every layer asked for.

    Args:
        model: The model.
        task: The task.
        settings: The options.
        out: Folder for the results, which the caller has claimed; nothing is written without it. Statistics are on
            disk at intervals, and in any case before scoring starts.
        keep_moments: Whether the statistics stay there.
        keep_pooled: Whether pooled texts are kept there too, for other labels later.
        resume: Whether a run that was interrupted is continued.
        overwrite: Whether the progress of any other run is discarded.
        reporter: Learns about progress.
        world: The processes that share the run; all of them get the record.
        baseline: Score of the same layers and texts to compare with, before fine-tuning.
        place: A layer and a k to compare at besides.

    Raises:
        InputError: An option does not fit the model or the task, or a file cannot be written.
        NumericalError: Hidden states are not finite.
    """
    if keep_pooled and (out is None or (world and not world.alone)):
        raise InputError("`keep_pooled` needs `out`, and a single process")
    run = _ScoreRun(model, task, settings, reporter, world or World())
    run.baseline, run.place = baseline, place
    run.pooled = out / POOLED if out and keep_pooled else None
    return run.score(out, keep_moments, resume, overwrite)


class _ScoreRun(RunSession):
    settings: ScoreSettings
    whole: Mapping[str, Any]
    """What identifies the run, to the last option."""
    notes: tuple[str, ...] = ()
    largest: int | None = None
    baseline: ScoreRecord | None = None
    place: tuple[int, int] | None = None
    pooled: Path | None = None

    def __init__(
        self, model: LanguageModel, task: Task, settings: ScoreSettings, reporter: Reporter | None, world: World
    ) -> None:
        super().__init__(model, task, settings, reporter)
        self.world = world

    def score(self, out: Path | None, keep_moments: bool, resume: bool, overwrite: bool) -> ScoreRecord:
        run = require_equal_across_processes(self.world, self.identity(keep_moments))
        checkpoint = None
        before = self.baseline and self.baseline.result.settings_hash
        self.whole = {"kind": ScoreRecord.kind, **run, "baseline": before, "place": self.place}
        if out is not None:
            fresh = Manifest(run, self.conditions(), self.tokens_per_batch, self.world.rank, self.world.size)
            if self.world.broadcast_object(self.world.rank == 0 and left_behind(out, self.whole)) and resume:
                # It was killed when all but the clearing up was done.
                Checkpoint(out, fresh).leave()
                return share_record(self.world, None if self.world.rank else ScoreRecord.read(out))
            asked = self.settings.tokens_per_batch
            checkpoint = open_progress(self.world, out, fresh, asked, resume=resume, overwrite=overwrite)
            self.follow(checkpoint.manifest.tokens_per_batch)
            self.largest = checkpoint.manifest.largest
            if self.pooled is None:
                erase(out, PARTS)
        moments = self.collect(out, checkpoint, keep_moments)
        scores = self.closed_forms(moments)
        if self.test is not None and self.test_tokens is not None:
            scores = self.held_out(scores, self.test, self.test_tokens)
        return self.finish(scores, out, checkpoint)

    def collect(self, out: Path | None, checkpoint: Checkpoint | None, keep_moments: bool) -> dict[int, Moments]:
        """The moments of all texts, in the first process and on its disk; none in the others."""
        pooled = self.pooled and PooledTexts(
            len(self.task.train), self.pooled / "train", resumed=bool(checkpoint and checkpoint.manifest.sums_path)
        )
        if checkpoint and pooled:
            checkpoint.before_commit = pooled.sync
        if checkpoint is None or not checkpoint.manifest.complete:
            shard = checkpoint.manifest.shard if checkpoint else Shard(self.world.rank, self.world.size)
            work = self.work(self.task.train, self.tokens, "train texts", shard)
            with self.world.checked_batches():
                moments, seconds = self.within_memory(
                    lambda work: collect_moments(
                        work, self.task.outputs, checkpoint, self.world.check, pooled.put if pooled else discard_pooled
                    ),
                    work,
                    checkpoint,
                )
            self.count(seconds)
            with self.clock.phase("statistics"):
                moments = self.join(moments, out, checkpoint, keep_moments, len(work.plan))
        else:
            moments = checkpoint.restore()
        if checkpoint is not None and self.world.rank:
            checkpoint.leave()
        if pooled:
            pooled.finish(self.layers, self.provenance().to_dict())
        return moments

    def join(
        self, moments: dict[int, Moments], out: Path | None, checkpoint: Checkpoint | None, keep: bool, batches: int
    ) -> dict[int, Moments]:
        """Joins the moments of all processes in the first one, and makes sure that they are on disk."""
        if not self.world.alone:
            if checkpoint is not None and moments:
                checkpoint.save(moments, len(checkpoint.manifest.shard.numbers(batches)), batches)
            nothing = Moments(self.model.hidden_size, self.task.outputs, pooling=self.settings.pooling)
            moments = {layer: moments.get(layer) or nothing.copy() for layer in self.layers}
            join_moments(self.world, moments)
        if self.world.rank == 0:
            counted = moments[self.layers[0]].texts
            if counted != len(self.task.train):
                raise NumericalError(
                    f"{counted} of {len(self.task.train)} texts were counted: please report this defect"
                )
            if out is not None and checkpoint is not None:
                clear_folder(out, self.whole)
                if keep:
                    provenance = {**self.provenance().to_dict(), "warnings": list(self.warnings())}
                    write_moments(out / MOMENTS, moments.items(), provenance)
                    checkpoint.commit(out / MOMENTS, batches, batches, complete=True)
                else:
                    checkpoint.save(moments, batches, batches, complete=True)
        # Not before they are on disk may the others forget theirs.
        self.world.barrier()
        return {} if self.world.rank else moments

    def closed_forms(self, moments: dict[int, Moments]) -> list[LayerScore]:
        advance = self.reporter.start("closed forms", len(self.layers), "layers")
        scores = []
        form = self.settings.convention, self.settings.centered
        with self.clock.phase("theory"):
            for score in score_layers(moments, self.model.layer_names, *form):
                scores.append(score)
                advance(1)
        return scores

    def held_out(self, scores: Sequence[LayerScore], split: Split, tokens: TokenizedTexts) -> list[LayerScore]:
        shape = (self.model.hidden_size, self.task.outputs)
        probes = share_probes(self.world, {score.layer: score.probe for score in scores}, self.layers, shape)
        work = self.work(split, tokens, "test texts", Shard(self.world.rank, self.world.size))
        pooled = self.pooled and PooledTexts(len(split), self.pooled / "test")
        store = pooled.put if pooled else discard_pooled
        tallies, seconds = self.within_memory(lambda work: evaluate_probes(work, probes, store), work)
        self.count(seconds)
        if pooled:
            pooled.finish(self.layers, self.provenance().to_dict())
        join_tallies(self.world, tallies)
        return with_held_out(scores, tallies, self.task)

    def finish(self, scores: list[LayerScore], out: Path | None, checkpoint: Checkpoint | None) -> ScoreRecord:
        """Writes the record in the first process; all return it."""
        notes = list(checkpoint.manifest.notes) if checkpoint else []
        if self.largest is not None:
            notes.append(
                f"a batch did not fit the memory: batches were cut to {self.largest} padded tokens, which moves "
                "results by no more than another `tokens_per_batch` does"
            )
        said = [note for each in self.world.all_gather_object(notes) for note in each]
        self.notes = tuple(dict.fromkeys(said))
        record = None
        if self.world.rank == 0:
            curves = pd.concat([score.to_frame() for score in scores], ignore_index=True)
            record = ScoreRecord(self.result(scores), curves)
            if self.baseline is not None:
                change = change_block(self.baseline, record, self.place)
                record = replace(record, result=record.result.model_copy(update={"change": change}))
            if out is not None:
                record.write(out)
            if checkpoint is not None:
                checkpoint.remove()
        return share_record(self.world, record)

    def within_memory(
        self, attempt: Callable[[Pass], Result], work: Pass, checkpoint: Checkpoint | None = None
    ) -> Result:
        """Runs a pass; batches that do not fit the memory are cut, and stay so."""

        def smaller(largest: int) -> None:
            self.largest = largest
            if checkpoint is not None:
                checkpoint.shrink(largest)

        return retry_smaller(lambda largest: attempt(replace(work, largest=largest)), self.largest, smaller)

    def identity(self, keep_moments: bool) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        settings = {n: value for n, value in self.settings.to_dict().items() if n not in self.settings.not_hashed}
        return {
            **{f"model {name}": value for name, value in self.described.to_dict().items()},
            "dtype": self.dtype,
            **self.run_identity(settings),
            "layers": list(self.layers),
            "moments": "keep" if keep_moments else "drop",
            "pooled": "keep" if self.pooled else "drop",
        }

    def provenance(self) -> Provenance:
        found = super().provenance()
        conditions = {"world_size": self.world.size, "products": products_library(self.model.device)}
        return found.model_copy(update={"settings": found.settings.model_copy(update=conditions)})

    def conditions(self) -> dict[str, Any]:
        """What moves the last bits of the sums."""
        return {
            "device": self.model.device.type,
            "threads": torch.get_num_threads(),
            "processes": self.world.size,
            "products": products_library(self.model.device),
        }

    def result(self, scores: Sequence[LayerScore]) -> ScoreFile:
        return ScoreFile.model_validate(
            {
                **envelope("score", self.provenance(), self.clock),
                "layers": [LayerRow.of(score) for score in scores],
                "summary": summarize(scores),
                "warnings": [
                    *unused_rows(self.described_task, unusable=True),
                    *self.notes,
                    *self.warnings(),
                    *group_warnings({score.name: score.warnings for score in scores}),
                ],
            }
        )

    def warnings(self) -> Iterator[str]:
        """What a reader must know, each thing once."""
        if not self.check.causal:
            yield (
                f"{self.model.architecture} is not causal (later tokens change earlier states): nothing about it is "
                "autoregressive, and its scores compare with no causal model's"
            )
        yield from super().warnings()
