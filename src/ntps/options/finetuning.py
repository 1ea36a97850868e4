"""How a model is fine-tuned: every number of the paper's recipe, with the paper's value as default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

from ntps.options.layers import Layers
from ntps.options.limits import LARGEST, check_choice, check_method, check_names, check_number, check_seed
from ntps.options.passes import PassSettings, Pooling
from ntps.options.shared import OUTPUT, ModelOptions, OutputOptions, TaskOptions

Method = Literal["lora", "full"]
Precision = Literal["auto", "float32", "bfloat16"]

STEPS, STEPS_FROM_SCRATCH = 5_000, 10_000
RECIPE = "The recipe (defaults: the paper's)"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a classifier is trained, whatever is trained of it.

    Attributes:
        steps: Steps of the optimizer; 5,000 by default, 10,000 from scratch.
        batch_size: Texts per step, in all processes together.
        learning_rate: Highest learning rate; for small models 2e-3 does better.
        warmup: Share of the steps in which the learning rate rises; it falls with a cosine afterwards.
        weight_decay: Of everything that is trained, biases and norms included.
        clip_threshold: Adafactor's own limit on the root mean square of an update; gradients are not clipped otherwise.
        decay_rate: Adafactor's exponent for the running mean of squared gradients.
        epsilons: Adafactor's regularizers of squared gradients and of the parameters' scale; the second has no effect
            on a fixed learning rate.
        head_dropout: Dropout before the head.
    """

    panel: ClassVar[str] = RECIPE

    steps: int | None = None
    batch_size: int = 1
    learning_rate: float = 1e-4
    warmup: float = 0.05
    weight_decay: float = 1e-5
    clip_threshold: float = 1.0
    decay_rate: float = -0.8
    epsilons: tuple[float, float] = (1e-30, 1e-3)
    head_dropout: float = 0.05

    def __post_init__(self) -> None:
        check_number("steps", self.steps, whole=True, at_least=1, optional=True)
        check_number("batch_size", self.batch_size, whole=True, at_least=1)
        check_number("learning_rate", self.learning_rate, above=0, at_most=LARGEST)
        check_number("warmup", self.warmup, at_least=0, below=1)
        check_number("weight_decay", self.weight_decay, at_least=0, at_most=LARGEST)
        check_number("clip_threshold", self.clip_threshold, above=0, at_most=LARGEST)
        check_number("decay_rate", self.decay_rate, at_least=-LARGEST, at_most=0)
        for epsilon in self.epsilons:
            check_number("epsilons", epsilon, above=0, at_most=1)
        check_number("head_dropout", self.head_dropout, at_least=0, below=1)

    @property
    def total_steps(self) -> int:
        """Steps of the optimizer."""
        return self.steps or STEPS

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises."""
        return math.ceil(self.warmup * self.total_steps)

    @property
    def optimizer_options(self) -> dict[str, Any]:
        """What ``transformers.Adafactor`` is given."""
        return {
            "lr": self.learning_rate,
            "eps": self.epsilons,
            "clip_threshold": self.clip_threshold,
            "decay_rate": self.decay_rate,
            "beta1": None,
            "weight_decay": self.weight_decay,
            "relative_step": False,
            # With it, the learning rate would be multiplied by the size of the weights, which LoRA begins at zero.
            "scale_parameter": False,
            "warmup_init": False,
        }


@dataclass(frozen=True, kw_only=True)
class LoRA(Recipe):
    """LoRA matrices and the head are trained.

    Attributes:
        rank: Rank of LoRA.
        alpha: LoRA counts ``alpha / rank`` times.
        lora_dropout: Dropout before LoRA.
        start_layer: First block with LoRA, counted from 0.

    Examples:
        >>> method = ntps.LoRA(rank=4, steps=2, batch_size=4)
        >>> ntps.finetune(limit=20, method=method, test=False).summary["steps"]
        2
    """

    name: ClassVar[Method] = "lora"
    from_scratch: ClassVar[bool] = False

    rank: int = 32
    alpha: float = 32
    lora_dropout: float = 0.05
    start_layer: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("rank", self.rank, whole=True, at_least=1)
        check_number("alpha", self.alpha, above=0, at_most=LARGEST)
        # Equal numbers are equal settings: 32 and 32.0.
        object.__setattr__(self, "alpha", int(self.alpha) if self.alpha == int(self.alpha) else self.alpha)
        check_number("lora_dropout", self.lora_dropout, at_least=0, below=1)
        check_number("start_layer", self.start_layer, whole=True, at_least=0)


@dataclass(frozen=True, kw_only=True)
class FullFineTuning(Recipe):
    """All weights are trained.

    Attributes:
        from_scratch: Whether training begins with fresh weights of the same architecture.

    Examples:
        >>> method = ntps.FullFineTuning(steps=2, batch_size=4, from_scratch=True)
        >>> ntps.finetune(limit=20, method=method, test=False).summary["steps"]
        2
    """

    name: ClassVar[Method] = "full"

    from_scratch: bool = False

    @property
    def total_steps(self) -> int:
        """Steps of the optimizer."""
        return self.steps or (STEPS_FROM_SCRATCH if self.from_scratch else STEPS)


METHODS: dict[Method, type[LoRA] | type[FullFineTuning]] = {"lora": LoRA, "full": FullFineTuning}


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
        eval_every: Steps between two evaluations on the test texts; there is one at the end in any case.
        save_every: Steps between two checkpoints.
        seed: Seed of the sample of texts, of fresh weights, of the order of texts, and of dropout.
    """

    panel: ClassVar[str] = RECIPE
    not_hashed: ClassVar[tuple[str, ...]] = ("tokens_per_batch", "accumulate", "eval_every", "save_every")

    layers: Layers = field(default="-1", init=False)
    pooling: Pooling = field(default="mean", init=False)
    method: LoRA | FullFineTuning | Method = "lora"
    precision: Precision = "auto"
    accumulate: int = 1
    eval_every: int = 500
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_method("method", self.method, METHODS)
        check_choice("precision", self.precision, get_args(Precision))
        for name in ("accumulate", "eval_every", "save_every"):
            check_number(name, getattr(self, name), whole=True, at_least=1)
        check_seed("seed", self.seed)

    @property
    def recipe(self) -> LoRA | FullFineTuning:
        """The method with all its numbers."""
        return METHODS[self.method]() if isinstance(self.method, str) else self.method

    def to_dict(self) -> dict[str, Any]:
        """These settings and those of the method by name, in JSON types."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        recipe = self.recipe
        # What is LoRA's alone has always been written for every method.
        return {**own, **asdict(LoRA()), **asdict(recipe), "method": recipe.name, "from_scratch": recipe.from_scratch}


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions(FinetuneSettings, OutputOptions, ModelOptions, TaskOptions):
    """What fine-tuning takes besides a model and a task.

    Attributes:
        device: ``cpu`` or ``cuda``; CUDA if there is one by default.
        out: Folder for ``result.json``, ``curves.parquet`` and the weights; nothing is kept by default.
        report_to: Trackers that transformers knows, such as ``tensorboard``.
        resume: Whether an interrupted run of the same call is continued from its checkpoint in ``out``.
    """

    panel: ClassVar[str] = OUTPUT

    report_to: Sequence[str] = ()
    resume: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("report_to", self.report_to, "tensorboard")
