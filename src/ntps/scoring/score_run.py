"""Model × task → a scored record: the whole of the main job, from loaded parts to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ntps.checkpoint.checkpoint import Checkpoint
from ntps.checkpoint.lock import clear_folder, left_behind
from ntps.checkpoint.manifest import Manifest
from ntps.checkpoint.owned_files import KEPT_PARTS, PARTS, erase
from ntps.checkpoint.resume import open_progress
from ntps.distributed.world import World
from ntps.errors import InputError, NumericalError
from ntps.files import MANIFEST, MOMENTS, POOLED, PROGRESS
from ntps.forward.batch_plan import Shard
from ntps.forward.out_of_memory import retry_smaller
from ntps.forward.pooled_texts import PooledTexts, read_pooled
from ntps.forward.stream import Pass, discard_pooled
from ntps.jobs.exchange import open_pooled, require_equal_across_processes, share_record
from ntps.jobs.new_texts import Validated, cross_validate_sample
from ntps.jobs.progress import Reporter
from ntps.jobs.provenance import envelope
from ntps.jobs.session import group_warnings
from ntps.jobs.unused_rows import unused_rows
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts
from ntps.moments.accumulator import Moments
from ntps.moments.layer_score import LayerScore, score_layers
from ntps.moments.sums_folder import write_moments
from ntps.options.scoring import ScoreSettings
from ntps.scoring.adapter_change import change_block
from ntps.scoring.exchange import join_moments, join_pooled, join_seen, share_probes
from ntps.scoring.record import LayerRow, ScoreFile, ScoreRecord, summarize
from ntps.scoring.reductions import collect_moments, evaluate_probes, probes_of, with_held_out
from ntps.scoring.score_session import ScoreSession
from ntps.scoring.validated import validated_scores
from ntps.tasks.task import Split, Task
from ntps.validation.cross_validation import CrossValidation
from ntps.validation.held_out import HeldOut
from ntps.validation.labels import Labels

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


class _ScoreRun(ScoreSession):
    whole: Mapping[str, Any]
    """What identifies the run, to the last option."""
    notes: tuple[str, ...] = ()
    largest: int | None = None
    baseline: ScoreRecord | None = None
    place: tuple[int, int] | None = None

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
                return share_record(self.world, ScoreRecord, None if self.world.rank else ScoreRecord.read(out))
            asked = self.settings.tokens_per_batch
            checkpoint = open_progress(self.world, out, fresh, asked, resume=resume, overwrite=overwrite)
            self.follow(checkpoint.manifest.tokens_per_batch)
            self.largest = checkpoint.manifest.largest
        store = self.pooled_texts(out, checkpoint)
        if out is not None and self.pooled is None:
            # Of a run that was to keep all, and was discarded.
            erase(out, [KEPT_PARTS])
        try:
            moments = self.collect(out, checkpoint, keep_moments, store)
        except BaseException:
            if out is not None and self.world.alone and not (out / PROGRESS / MANIFEST).exists():
                # Nothing says how many of its rows are there.
                erase(out, PARTS)
            raise
        probes = None if store is None or self.world.rank else self.cross_validate(store)
        scores = self.closed_forms(moments, probes)
        held_out = None
        if self.test is not None and self.test_tokens is not None:
            scores, held_out = self.held_out(scores, probes, self.test, self.test_tokens)
        with self.clock.phase("theory"):
            found = validated_scores(probes, scores, self.model.layer_names, held_out, rivals=self.settings.rivals)
        return self.finish(scores, found, out, checkpoint)

    def collect(
        self, out: Path | None, checkpoint: Checkpoint | None, keep_moments: bool, store: PooledTexts | None
    ) -> dict[int, Moments]:
        """The moments of all texts, in the first process and on its disk; none in the others."""
        if checkpoint is None or not checkpoint.manifest.complete:
            shard = checkpoint.manifest.shard if checkpoint else Shard(self.world.rank, self.world.size)
            work = self.work(self.task.train, self.tokens, "train texts", shard)
            if store is not None:
                open_pooled(self.world, store, self.layers, self.model.hidden_size)
                if checkpoint is not None:
                    checkpoint.before_commit = store.sync
            keep = discard_pooled if store is None else store.put
            with self.world.checked_batches():
                moments, seconds = self.within_memory(
                    lambda work: collect_moments(work, self.task.outputs, checkpoint, self.world.check, keep),
                    work,
                    checkpoint,
                )
            self.count(seconds)
            with self.clock.phase("statistics"):
                batches = len(work.plan)
                if checkpoint is not None and moments and not self.world.alone:
                    # What this process did is not to be done again because another one died.
                    checkpoint.save(moments, len(shard.numbers(batches)), batches)
                if store is not None:
                    join_pooled(self.world, store, work.plan, shard)
                moments = self.join(moments, out, checkpoint, keep_moments, batches)
        else:
            moments = checkpoint.restore()
            if store is not None and not self.pooled and self.world.rank == 0:
                store.open(self.layers, self.model.hidden_size)
        if checkpoint is not None and self.world.rank:
            checkpoint.leave()
        if store is not None and self.pooled:
            labels = Labels.of(self.task, self.task.train).to_arrays()
            store.finish(self.layers, self.about_texts(), labels)
        return moments

    def join(
        self, moments: dict[int, Moments], out: Path | None, checkpoint: Checkpoint | None, keep: bool, batches: int
    ) -> dict[int, Moments]:
        """Joins the moments of all processes in the first one, and makes sure that they are on disk."""
        if not self.world.alone:
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
                    write_moments(out / MOMENTS, moments.items(), self.about_texts())
                    checkpoint.commit(out / MOMENTS, batches, batches, complete=True)
                else:
                    checkpoint.save(moments, batches, batches, complete=True)
        # Not before they are on disk may the others forget theirs.
        self.world.barrier()
        return {} if self.world.rank else moments

    def cross_validate(self, store: PooledTexts) -> CrossValidation | None:
        """Probes of pooled texts, in the first process."""
        arrays = read_pooled(self.pooled / "train") if self.pooled else store.arrays
        advance = self.reporter.start("probes", len(self.layers), "layers")
        labels = Labels.of(self.task, self.task.train)
        with self.clock.phase("theory"):
            return cross_validate_sample(arrays.__getitem__, self.layers, labels, self.settings.cv_texts, advance)

    def closed_forms(self, moments: dict[int, Moments], probes: CrossValidation | None) -> list[LayerScore]:
        advance = self.reporter.start("closed forms", len(self.layers), "layers")
        scores = []
        form = self.settings.convention, self.settings.centered
        penalties = None if probes is None else probes.penalties
        with self.clock.phase("theory"):
            for score in score_layers(moments, self.model.layer_names, *form, penalties):
                scores.append(score)
                advance(1)
        return scores

    def held_out(
        self, scores: Sequence[LayerScore], probes: CrossValidation | None, split: Split, tokens: TokenizedTexts
    ) -> tuple[list[LayerScore], HeldOut | None]:
        shape = (self.model.hidden_size, self.task.outputs)
        fitted = None if self.world.rank else probes_of(scores, probes)
        shared = share_probes(self.world, fitted, self.layers, shape)
        work = self.work(split, tokens, "test texts", Shard(self.world.rank, self.world.size))
        store = PooledTexts(len(split), self.pooled / "test") if self.pooled else None
        keep = discard_pooled if store is None else store.put
        labels = Labels.of(self.task, split)
        seen, seconds = self.within_memory(lambda work: evaluate_probes(work, shared, labels, keep), work)
        self.count(seconds)
        if store is not None:
            store.finish(self.layers, self.about_texts(), labels.to_arrays())
        join_seen(self.world, seen)
        return with_held_out(scores, seen.ols, self.task), seen.ridge

    def finish(
        self, scores: list[LayerScore], new_texts: Validated, out: Path | None, checkpoint: Checkpoint | None
    ) -> ScoreRecord:
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
            record = ScoreRecord(
                self.result(scores, new_texts), curves, new_texts.left_out, held_out=new_texts.held_out
            )
            if self.baseline is not None:
                change = change_block(self.baseline, record, self.place)
                record = replace(record, result=record.result.model_copy(update={"change": change}))
            if out is not None:
                record.write(out)
            if checkpoint is not None:
                checkpoint.remove()
        return share_record(self.world, ScoreRecord, record)

    def within_memory(
        self, attempt: Callable[[Pass], Result], work: Pass, checkpoint: Checkpoint | None = None
    ) -> Result:
        """Runs a pass; batches that do not fit the memory are cut, and stay so."""

        def smaller(largest: int) -> None:
            self.largest = largest
            if checkpoint is not None:
                checkpoint.shrink(largest)

        return retry_smaller(lambda largest: attempt(replace(work, largest=largest)), self.largest, smaller)

    def result(self, scores: Sequence[LayerScore], new_texts: Validated) -> ScoreFile:
        rows = [LayerRow.of(score, new_texts.layers.get(score.layer, {})) for score in scores]
        return ScoreFile.model_validate(
            {
                **envelope("score", self.provenance(), self.clock),
                "layers": rows,
                "all_layers": new_texts.together,
                "summary": summarize(scores, rows, new_texts, self.described_task),
                "warnings": [
                    *unused_rows(self.described_task, unusable=True),
                    *self.notes,
                    *self.warnings(),
                    *group_warnings({row.name: row.all_warnings for row in rows}),
                ],
            }
        )
