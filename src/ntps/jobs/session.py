"""Model and task made ready for passes: what every measurement does before its first batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ntps.forward.batch_plan import ALL, Shard
from ntps.forward.causality import BatchingCheck, check_batching
from ntps.forward.stream import Pass
from ntps.jobs.blocks import SettingsBlock, TaskBlock
from ntps.jobs.clock import PHASES, Clock
from ntps.jobs.progress import NullReporter, Reporter
from ntps.jobs.provenance import describe_model, describe_task, identity, versions
from ntps.jobs.record import Provenance
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts, tokenize
from ntps.options.passes import PassSettings
from ntps.tasks.task import Split, Task

DEFAULT_TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 16384}


class RunSession:
    """A model and a task, ready for passes.

    Attributes:
        model: The model.
        task: The task.
        settings: The options.
        reporter: Learns about progress.
        clock: Counts seconds from now on.
        layers: Layers to visit, ascending.
        tokens: Tokens of the training texts.
        test: The split for held-out figures, if there is one and it is wanted.
        test_tokens: Its tokens.
        tokens_per_batch: Budget of a batch.
        check: What batching does to hidden states.
        described: The ``model`` block.
    """

    def __init__(
        self,
        model: LanguageModel,
        task: Task,
        settings: PassSettings,
        reporter: Reporter | None,
        phases: Sequence[str] = PHASES,
    ) -> None:
        self.model, self.task, self.settings, self.reporter = model, task, settings, reporter or NullReporter()
        self.clock = Clock(phases)
        self.layers = settings.layer_indices(model.num_layers)
        fallback = DEFAULT_TOKENS_PER_BATCH.get(model.device.type, DEFAULT_TOKENS_PER_BATCH["cpu"])
        self.tokens_per_batch = settings.tokens_per_batch or fallback
        self.tokens = self._tokenize(task.train, "tokenize train texts")
        self.test = task.test if settings.test else None
        self.test_tokens = None if self.test is None else self._tokenize(self.test, "tokenize test texts")
        self.check = self._checked()
        self.described = describe_model(model)

    @cached_property
    def settings_hash(self) -> str:
        """Not where model and task came from: the same weights and texts give the same numbers from any place."""
        return self.settings.settings_hash(self.layers, **identity(self.described, self.described_task, self.dtype))

    @cached_property
    def described_task(self) -> TaskBlock:
        """The ``task`` block."""
        return describe_task(self.task, self.tokens, self.test_tokens)

    @property
    def dtype(self) -> str:
        """Dtype of the forward pass."""
        return str(self.model.dtype).removeprefix("torch.")

    def follow(self, tokens_per_batch: int) -> None:
        """Sets the budget of a batch; batches of another size are checked anew."""
        if tokens_per_batch != self.tokens_per_batch:
            self.tokens_per_batch = tokens_per_batch
            self.check = self._checked()

    def work(self, split: Split, tokens: TokenizedTexts, phase: str | None, shard: Shard = ALL) -> Pass:
        """A pass over one split, or over a shard of its batches; the reporter is not told of one without a phase."""
        work = Pass(
            model=self.model,
            tokens=tokens,
            targets=lambda batch: self.task.targets(split.labels[batch]),
            layers=self.layers,
            pooling=self.settings.pooling,
            masked=not self.check.causal,
            tokens_per_batch=self.tokens_per_batch,
            progress=lambda _done: None,
            shard=shard,
        )
        if phase is None:
            return work
        tokens_here = sum(int(tokens.lengths[batch].sum()) for batch in work.batches)
        return replace(work, progress=self.reporter.start(phase, tokens_here, "tokens"))

    def count(self, seconds: tuple[float, float]) -> None:
        """Counts the seconds of :meth:`Pass.run`."""
        self.clock.add("forward", seconds[0])
        self.clock.add("statistics", seconds[1])

    def run_identity(self, settings: Mapping[str, Any], *packages: str) -> dict[str, Any]:
        """What must be the same for a run to be continued: texts, some settings, and versions of libraries."""
        return {
            "texts": self.task.train.fingerprint,
            "test texts": None if self.test is None else self.test.fingerprint,
            "tokens": self.tokens.fingerprint,
            **settings,
            **{f"version of {name}": version for name, version in versions(*packages).items()},
            "settings_hash": self.settings_hash,
        }

    def pass_identity(self) -> dict[str, Any]:
        """What must be the same for a pass to be continued: also the model, and every setting that moves a number."""
        settings = {n: value for n, value in self.settings.to_dict().items() if n not in self.settings.not_hashed}
        return {
            **{f"model {name}": value for name, value in self.described.to_dict().items()},
            "dtype": self.dtype,
            **self.run_identity(settings),
            "layers": list(self.layers),
        }

    def provenance(self) -> Provenance:
        """The blocks of a result that say what was measured with what."""
        settings = SettingsBlock.model_validate(
            {
                **self.settings.to_dict(),
                "layers": self.layers,
                "tokens_per_batch": self.tokens_per_batch,
                "dtype": self.dtype,
                "device": self.model.device.type,
                "attention_mask": "omitted" if self.check.causal else "passed",
                "batching_deviation": self.check.deviation,
                "batching_texts": self.check.texts,
                "batching_longest": self.check.longest,
            }
        )
        return Provenance(
            settings_hash=self.settings_hash, model=self.described, task=self.described_task, settings=settings
        )

    def warnings(self) -> Iterator[str]:
        """What a reader must know of model, batches and texts."""
        yield from self.model.notes
        if not self.check.passes:
            yield (
                f"batching changes hidden states by up to {self.check.deviation:.1e} (rounding explains "
                f"{self.check.tolerance:.0e}): score with `tokens_per_batch` 1 to take texts one by one"
            )
        if self.test is not None and (shared := self.task.shared_texts):
            yield (
                f"{shared:,} of {len(self.test):,} test texts are among the training texts: held-out figures flatter "
                f"by what the probe remembers of them"
            )
        if self.test is not None:
            yield from shared_groups(self.task)
        for kind, part in (("texts", self.tokens), ("test texts", self.test_tokens)):
            if part is not None and part.truncated:
                yield f"{part.truncated} of {len(part)} {kind} were longer than the limit and lost their end"

    def _checked(self) -> BatchingCheck:
        with self.clock.phase("forward"):
            return check_batching(self.model, self.tokens, self.layers, self.tokens_per_batch)

    def _tokenize(self, split: Split, phase: str) -> TokenizedTexts:
        with self.clock.phase("tokenize"):
            progress = self.reporter.start(phase, len(split), "texts")
            return tokenize(self.model, split.texts, self.settings.max_length, progress)


def shared_groups(task: Task) -> Iterator[str]:
    """What a reader must know of test texts whose group has training texts."""
    if task.test is not None and (shared := task.shared_groups):
        yield (
            f"{shared:,} of {len(task.test):,} test texts are of groups that training texts have too: held-out figures "
            f"flatter by what the probe learns of these groups"
        )


def group_warnings(by_layer: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The warnings of layers, by their names, each once with the layers that it concerns."""
    concerned: dict[str, list[str]] = {}
    for name, warnings in by_layer.items():
        for warning in warnings:
            concerned.setdefault(warning, []).append(name)
    for warning, names in concerned.items():
        where = "every layer" if len(names) == len(by_layer) else ", ".join(names)
        yield f"{where}: {warning}"
