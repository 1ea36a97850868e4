"""The measurements of a study, by name: what each is made of, and which function makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntps.advice.advise_run import run_advice
from ntps.jobs.progress import Reporter
from ntps.models.adapters.files import ADAPTER
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.options.advising import AdviseSettings
from ntps.options.finetuning import FinetuneSettings
from ntps.options.probing import PROBES, ProbeSettings
from ntps.options.recipes import FullFineTuning, LoRA
from ntps.options.scoring import ScoreSettings
from ntps.scoring.record import ScoreRecord
from ntps.scoring.score_run import run_score
from ntps.scoring.word_planes import WordSettings, run_words
from ntps.tasks.load import load_task
from ntps.tasks.task import Task
from ntps.training.finetuning.finetune_run import run_finetune
from ntps.training.finetuning.held_back import parts_of
from ntps.training.probes.probe_run import run_probe


class ModelTaskCache:
    """The model and the task that are at hand: loaded once for all the runs that follow one another with them."""

    def __init__(self, data_dir: str | None = None) -> None:
        """Begins with nothing at hand; ``data_dir`` is that of :func:`ntps.load_task`."""
        self._data_dir = data_dir
        self._model: tuple[Any, LanguageModel] | None = None
        self._task: tuple[Any, Task] | None = None

    def model(self, spec: Any) -> LanguageModel:
        """The model of a :class:`~ntps.study.specs.ModelSpec`."""
        if self._model is None or self._model[0] != spec:
            self.forget_model()
            self._model = (spec, _load(spec))
        return self._model[1]

    def tuned(self, spec: Any, adapter: Path) -> LanguageModel:
        """The model with an adapter merged into it, which is of use for one run only."""
        self.forget_model()
        return _load(spec, adapter)

    def task(self, spec: Any) -> Task:
        """The task of a :class:`~ntps.study.specs.TaskSpec`."""
        if self._task is None or self._task[0] != spec:
            self._task = (spec, load_task(spec.id, **spec.loading, data_dir=self._data_dir))
        return self._task[1]

    def forget_model(self) -> None:
        """Leaves the memory to whoever loads a model of his own."""
        self._model = None


def _load(spec: Any, adapter: Path | None = None) -> LanguageModel:
    return load_model(
        spec.id,
        dtype=spec.dtype,
        device=spec.device,
        tokenizer=spec.tokenizer,
        trust_remote_code=spec.trust_remote_code,
        adapter=adapter,
    )


@dataclass(frozen=True)
class Measurement:
    """A kind of measurement.

    Attributes:
        settings: Dataclass of its settings.
        measure: Makes it: bench, run, reporter.
        method: The field of the settings that holds a method, and the method's dataclass.
        fixed: What of the method makes the measurement what it is.
        after: The measurements that it continues.
        like: The measurement whose settings it takes over; it has none of its own then.
        on_moments: Whether, instead of texts, it reads the statistics of the score that it continues.
        training: Most steps, texts a step and texts evaluated meanwhile, from settings and number of training texts.
    """

    settings: type[Any]
    measure: Callable[[ModelTaskCache, Any, Reporter | None], object]
    method: tuple[str, type[Any]] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    like: str | None = None
    on_moments: bool = False
    training: Callable[[Any, int], tuple[int, int, int]] = lambda _settings, _texts: (0, 0, 0)


def _score(bench: ModelTaskCache, run: Any, reporter: Reporter | None) -> object:
    return run_score(
        bench.model(run.model),
        bench.task(run.task),
        run.settings,
        out=run.folder,
        keep_moments=run.keep_moments,
        reporter=reporter,
    )


def _words(bench: ModelTaskCache, run: Any, _reporter: Reporter | None) -> object:
    return run_words(run.needs[0].folder, bench.model(run.model), run.settings, out=run.folder)


def _probe(bench: ModelTaskCache, run: Any, reporter: Reporter | None) -> object:
    return run_probe(bench.model(run.model), bench.task(run.task), run.settings, out=run.folder, reporter=reporter)


def _advice(bench: ModelTaskCache, run: Any, reporter: Reporter | None) -> object:
    return run_advice(bench.model(run.model), bench.task(run.task), run.settings, out=run.folder, reporter=reporter)


def _finetune(bench: ModelTaskCache, run: Any, reporter: Reporter | None) -> object:
    task = bench.task(run.task)
    bench.forget_model()
    return run_finetune(
        run.model.id,
        task,
        run.settings,
        out=run.folder,
        device=run.model.device,
        tokenizer=run.model.tokenizer,
        trust_remote_code=run.model.trust_remote_code,
        reporter=reporter,
    )


def _score_after(bench: ModelTaskCache, run: Any, reporter: Reporter | None) -> object:
    before, tuned = run.needs
    return run_score(
        bench.tuned(run.model, tuned.folder / ADAPTER),
        bench.task(run.task),
        run.settings,
        out=run.folder,
        keep_moments=run.keep_moments,
        baseline=ScoreRecord.read(before.folder),
        reporter=reporter,
    )


def _training(settings: FinetuneSettings, texts: int) -> tuple[int, int, int]:
    validated = texts // parts_of(texts) if settings.recipe.validated else 0
    settled = settings.for_texts(texts - validated)
    recipe = settled.recipe
    evaluations = recipe.total_steps // (settled.eval_every or recipe.interval)
    return recipe.total_steps, recipe.texts_per_step, evaluations * validated


MEASUREMENTS: Mapping[str, Measurement] = {
    "score": Measurement(ScoreSettings, _score),
    "words": Measurement(WordSettings, _words, after=("score",), on_moments=True),
    **{name: Measurement(ProbeSettings, _probe, ("kind", probe)) for name, probe in PROBES.items()},
    "advice": Measurement(AdviseSettings, _advice),
    "lora": Measurement(FinetuneSettings, _finetune, ("method", LoRA), training=_training),
    "scratch": Measurement(
        FinetuneSettings, _finetune, ("method", FullFineTuning), {"from_scratch": True}, training=_training
    ),
    "score-after-lora": Measurement(ScoreSettings, _score_after, after=("score", "lora"), like="score"),
}
"""Every measurement by the name of its folder, in the order in which they run."""
