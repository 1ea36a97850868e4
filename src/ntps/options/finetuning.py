"""How a model is fine-tuned: a recipe, and how it is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args

from ntps.options.layers import Layers
from ntps.options.limits import check_choice, check_method, check_names, check_number, check_seed
from ntps.options.passes import PassSettings, Pooling
from ntps.options.recipes import METHODS, RECIPE, FullFineTuning, LoRA, Method
from ntps.options.shared import OUTPUT, ModelOptions, ResumableOptions, TaskOptions

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(PassSettings):
    """What a fine-tuning run can be asked for.

    The head sees the mean token of the last layer, as in the paper: ``layers`` and ``pooling`` have no other value.

    Attributes:
        method: ``lora`` or ``full``, which is all weights; in Python also ``LoRA()`` or ``FullFineTuning()`` with
            numbers of their own.
        precision: ``bfloat16`` computes in it where it is safe to; trained weights are float32 in any case. ``auto``
            does so on CUDA devices that can.
        accumulate: Parts in which a process takes its share of a step, to save memory.
        eval_every: Steps between two evaluations on the texts held back, a twentieth of the steps by default; for the
            paper's recipe on the test texts, 500. There is one at the end in any case.
        save_every: Steps between two checkpoints.
        seed: Seed of the sample of texts, of fresh weights, of the order of texts, and of dropout.
    """

    panel: ClassVar[str] = RECIPE
    not_hashed: ClassVar[tuple[str, ...]] = ("tokens_per_batch", "accumulate", "save_every")

    layers: Layers = field(default="-1", init=False)
    pooling: Pooling = field(default="mean", init=False)
    method: LoRA | FullFineTuning | Method = "lora"
    precision: Precision = "auto"
    accumulate: int = 1
    eval_every: int | None = None
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_method("method", self.method, METHODS)
        check_choice("precision", self.precision, get_args(Precision))
        for name in ("accumulate", "eval_every", "save_every"):
            check_number(name, getattr(self, name), whole=True, at_least=1, optional=name == "eval_every")
        check_seed("seed", self.seed)

    @property
    def recipe(self) -> LoRA | FullFineTuning:
        """The method with all its numbers."""
        return METHODS[self.method]() if isinstance(self.method, str) else self.method

    def for_texts(self, texts: int) -> Self:
        """These settings with what follows from the number of texts that are trained on."""
        method = self.recipe.for_texts(texts)
        return replace(self, method=method, eval_every=self.eval_every or method.interval)

    def to_dict(self) -> dict[str, Any]:
        """These settings and those of the method by name, in JSON types."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        recipe = self.recipe
        # What is LoRA's alone has always been written for every method.
        return {**own, **asdict(LoRA()), **asdict(recipe), "method": recipe.name, "from_scratch": recipe.from_scratch}

    @property
    def _unchanged(self) -> list[str]:
        """What changes nothing about the paper's recipe, which is older than the choice of one."""
        return [] if self.recipe.validated else ["recipe", "patience", "eval_every"]


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions(FinetuneSettings, ResumableOptions, ModelOptions, TaskOptions):
    """What fine-tuning takes besides a model and a task.

    Attributes:
        device: ``cpu`` or ``cuda``; CUDA if there is one by default.
        out: Folder for ``result.json``, ``curves.parquet`` and the weights; nothing is kept by default.
        report_to: Trackers that transformers knows, such as ``tensorboard``.
    """

    panel: ClassVar[str] = OUTPUT

    report_to: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("report_to", self.report_to, "tensorboard")
