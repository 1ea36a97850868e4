"""How a model is fine-tuned: every number of the paper's recipe, with the paper's value as default."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from ntps.errors import InputError
from ntps.jobs.settings import Layers, PassSettings, check_choice
from ntps.limits import LARGEST, check_number, check_seed

Method = Literal["lora", "full"]
Precision = Literal["auto", "float32", "bfloat16"]

OF_LORA = ("rank", "alpha", "lora_dropout", "start_layer")
STEPS, STEPS_FROM_SCRATCH = 5_000, 10_000


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(PassSettings):
    """What a fine-tuning run can be asked for.

    The head sees the mean token of the last layer, as in the paper: ``layers`` and ``pooling`` have no other value.

    Attributes:
        method: ``lora`` trains LoRA matrices and the head, ``full`` everything.
        from_scratch: Whether training begins with fresh weights of the same architecture; only with ``full``.
        steps: Steps of the optimizer; 5,000, and 10,000 from scratch, if None.
        batch_size: Texts a step, in all processes together.
        accumulate: Parts in which a process takes its share of a step, to save memory.
        learning_rate: Highest learning rate; for small models 2e-3 does better.
        warmup: Share of the steps in which the learning rate rises; it falls with a cosine afterwards.
        weight_decay: Of everything that is trained, biases and norms included.
        clip_threshold: Adafactor's own limit on the root mean square of an update; gradients are not clipped otherwise.
        decay_rate: Adafactor's exponent for the running mean of squared gradients.
        epsilons: Adafactor's regularizers of squared gradients and of the parameters' scale; the second has no effect
            on a fixed learning rate.
        rank: Rank of LoRA.
        alpha: LoRA counts ``alpha / rank`` times.
        lora_dropout: Dropout before LoRA.
        start_layer: First block with LoRA, counted from 0.
        head_dropout: Dropout before the head.
        precision: ``bfloat16`` computes in it where it is safe to; trained weights are float32 in any case. ``auto``
            does so on CUDA devices that can.
        eval_every: Steps between two evaluations on the test texts; there is one at the end in any case.
        save_every: Steps between two checkpoints.
        seed: Seed of the sample of texts, of fresh weights, of the order of texts, and of dropout.
    """

    not_hashed: ClassVar[tuple[str, ...]] = ("tokens_per_batch", "accumulate", "eval_every", "save_every")

    layers: Layers = "-1"
    method: Method = "lora"
    from_scratch: bool = False
    steps: int | None = None
    batch_size: int = 1
    accumulate: int = 1
    learning_rate: float = 1e-4
    warmup: float = 0.05
    weight_decay: float = 1e-5
    clip_threshold: float = 1.0
    decay_rate: float = -0.8
    epsilons: tuple[float, float] = (1e-30, 1e-3)
    rank: int = 32
    alpha: float = 32
    lora_dropout: float = 0.05
    start_layer: int = 0
    head_dropout: float = 0.05
    precision: Precision = "auto"
    eval_every: int = 500
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("--method", self.method, get_args(Method))
        check_choice("--precision", self.precision, get_args(Precision))
        check_choice("--pooling", self.pooling, ("mean",))
        check_choice("--layers", str(self.layers), ("-1",))
        if self.from_scratch and self.method == "lora":
            raise InputError("--from-scratch trains all weights: give --method full with it")
        for name in ("steps", "batch_size", "accumulate", "rank", "eval_every", "save_every"):
            check_number(_flag(name), getattr(self, name), whole=True, at_least=1)
        for name in ("lora_dropout", "head_dropout", "warmup"):
            check_number(_flag(name), getattr(self, name), at_least=0, below=1)
        for name in ("learning_rate", "clip_threshold", "alpha"):
            check_number(_flag(name), getattr(self, name), above=0, at_most=LARGEST)
        check_number("--weight-decay", self.weight_decay, at_least=0, at_most=LARGEST)
        check_number("--decay-rate", self.decay_rate, at_least=-LARGEST, at_most=0)
        check_number("--start-layer", self.start_layer, whole=True, at_least=0)
        check_seed("--seed", self.seed)
        for epsilon in self.epsilons:
            check_number("--epsilons", epsilon, above=0, at_most=1)
        if self.method != "lora":
            for each in fields(self):
                if each.name in OF_LORA and getattr(self, each.name) != each.default:
                    raise InputError(f"{_flag(each.name)} means nothing to --method {self.method}: it is for lora")

    @property
    def total_steps(self) -> int:
        """Steps of the optimizer."""
        return self.steps or (STEPS_FROM_SCRATCH if self.from_scratch else STEPS)

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


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
