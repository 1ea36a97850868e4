"""Recipes by which a model is fine-tuned: every number, of one that learns and of the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, get_args

from ntps.errors import InputError
from ntps.options.limits import LARGEST, check_choice, check_number

Method = Literal["lora", "full"]
RecipeName = Literal["standard", "paper"]

PAPER_STEPS, PAPER_STEPS_FROM_SCRATCH, PAPER_INTERVAL = 5_000, 10_000, 500
PASSES, FEWEST_STEPS, MOST_STEPS = 20, 200, 2_000
"""Most steps of the standard recipe: so many passes over the texts, but within these bounds."""
EVALUATIONS = 20
"""How often the standard recipe looks at the validation texts, if nothing stops it."""
LARGEST_RATE, RATE = 2e-3, 0.3
"""Learning rate of the standard recipe: the second by the cube root of the number of parameters, at most the first."""
FULL_SHARE = 0.1
"""Of that rate, where all pretrained weights are trained."""
RECIPE = "The recipe"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a classifier is trained, whatever is trained of it.

    Attributes:
        recipe: ``standard`` holds training texts back, stops when it no longer does better on them, and keeps the
            weights that did best; ``paper`` is the paper's, which does as many steps as it says.
        steps: Most steps of the optimizer; by default 20 passes over the training texts, but 200 to 2,000 steps; for
            ``paper`` 5,000, and 10,000 from scratch.
        batch_size: Texts per step, in all processes together; 16 by default, for ``paper`` 1.
        learning_rate: Highest learning rate; by default 0.3 by the cube root of the number of parameters, at most
            2e-3, and a tenth of that for all pretrained weights; for ``paper`` 1e-4.
        patience: Evaluations in a row without a better one that end the training; 5 by default, for ``standard``.
        warmup: Share of the steps in which the learning rate rises; it falls with a cosine afterwards.
        weight_decay: Of everything that is trained, biases and norms included.
        clip_threshold: Adafactor's own limit on the root mean square of an update; gradients are not clipped otherwise.
        decay_rate: Adafactor's exponent for the running mean of squared gradients.
        epsilons: Adafactor's regularizers of squared gradients and of the parameters' scale; the second has no effect
            on a fixed learning rate.
        head_dropout: Dropout before the head.
    """

    panel: ClassVar[str] = RECIPE
    defaults: ClassVar[Mapping[RecipeName, Mapping[str, float]]] = {
        "standard": {"batch_size": 16, "patience": 5},
        "paper": {"batch_size": 1, "learning_rate": 1e-4},
    }

    recipe: RecipeName = "standard"
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    patience: int | None = None
    warmup: float = 0.05
    weight_decay: float = 1e-5
    clip_threshold: float = 1.0
    decay_rate: float = -0.8
    epsilons: tuple[float, float] = (1e-30, 1e-3)
    head_dropout: float = 0.05

    def __post_init__(self) -> None:
        check_choice("recipe", self.recipe, get_args(RecipeName))
        for name in ("steps", "batch_size", "patience"):
            check_number(name, getattr(self, name), whole=True, at_least=1, optional=True)
        check_number("learning_rate", self.learning_rate, above=0, at_most=LARGEST, optional=True)
        check_number("warmup", self.warmup, at_least=0, below=1)
        check_number("weight_decay", self.weight_decay, at_least=0, at_most=LARGEST)
        check_number("clip_threshold", self.clip_threshold, above=0, at_most=LARGEST)
        check_number("decay_rate", self.decay_rate, at_least=-LARGEST, at_most=0)
        for epsilon in self.epsilons:
            check_number("epsilons", epsilon, above=0, at_most=1)
        check_number("head_dropout", self.head_dropout, at_least=0, below=1)
        if self.patience is not None and not self.validated:
            raise InputError("`patience` means nothing to `recipe` paper, which does every step: leave it out")
        for name, value in self.defaults[self.recipe].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @property
    def _paper_steps(self) -> int:
        """Steps of the paper's recipe."""
        return PAPER_STEPS

    @property
    def _rate_share(self) -> float:
        """What part of the standard learning rate suits what is trained."""
        return 1.0

    @property
    def validated(self) -> bool:
        """Whether training texts are held back, to stop by and to choose the best weights by."""
        return self.recipe != "paper"

    def for_texts(self, texts: int) -> Self:
        """The recipe with its number of steps.

        Args:
            texts: How many texts are trained on.
        """
        if self.steps is not None:
            return self
        if not self.validated:
            return replace(self, steps=self._paper_steps)
        passes = PASSES * math.ceil(texts / self.texts_per_step)
        return replace(self, steps=min(max(passes, FEWEST_STEPS), MOST_STEPS))

    def for_model(self, parameters: int) -> Self:
        """The recipe with its learning rate.

        Args:
            parameters: How many the base transformer has.
        """
        rate = self._rate_share * min(LARGEST_RATE, RATE / math.cbrt(parameters))
        return self if self.learning_rate is not None else replace(self, learning_rate=rate)

    @property
    def total_steps(self) -> int:
        """Most steps of the optimizer, of a recipe for some number of texts."""
        assert self.steps is not None
        return self.steps

    @property
    def texts_per_step(self) -> int:
        """Texts per step, in all processes together."""
        assert self.batch_size is not None
        return self.batch_size

    @property
    def interval(self) -> int:
        """Steps between two evaluations."""
        return math.ceil(self.total_steps / EVALUATIONS) if self.validated else PAPER_INTERVAL

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
    def _paper_steps(self) -> int:
        """Steps of the paper's recipe."""
        return PAPER_STEPS_FROM_SCRATCH if self.from_scratch else PAPER_STEPS

    @property
    def _rate_share(self) -> float:
        """What part of the standard learning rate suits what is trained: pretrained weights are easily forgotten."""
        return 1.0 if self.from_scratch else FULL_SHARE


METHODS: dict[Method, type[LoRA] | type[FullFineTuning]] = {"lora": LoRA, "full": FullFineTuning}
