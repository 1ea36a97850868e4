"""The options of probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

from ntps.errors import InputError
from ntps.moments import PassSettings, check_choice

Kind = Literal["ols", "logistic", "adamw"]
Solver = Literal["newton-cg", "saga"]


@dataclass(frozen=True)
class OlsRecipe:
    """Least squares in closed form.

    Attributes:
        intercept: Whether a constant is fitted too.
    """

    kind: ClassVar[Kind] = "ols"
    intercept: bool = True


@dataclass(frozen=True)
class LogisticRecipe:
    """Scikit-learn's logistic regression on standardized pooled texts.

    Attributes:
        solver: ``saga`` is the paper's, stopped early (1,000 iterations at most, tolerance 0.01); ``newton-cg`` comes
            closer to the optimum in less time.
        seed: Seed of ``saga``.
    """

    kind: ClassVar[Kind] = "logistic"
    solver: Solver = "newton-cg"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("--solver", self.solver, get_args(Solver))


@dataclass(frozen=True)
class AdamwRecipe:
    """The paper's linear probe: a linear head with bias on pooled texts, trained with AdamW.

    Attributes:
        epochs: Passes over the pooled texts.
        batch_size: Texts a step.
        learning_rate: Constant learning rate.
        weight_decay: Decoupled weight decay of weights and biases.
        dropout: Share of the pooled text's dimensions that are dropped while training.
        seed: Seed of the first weights, the batches and the dropout.
    """

    kind: ClassVar[Kind] = "adamw"
    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    dropout: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for option, value, sound, what in (
            ("--epochs", self.epochs, self.epochs >= 1, "at least 1"),
            ("--batch-size", self.batch_size, self.batch_size >= 1, "at least 1"),
            ("--learning-rate", self.learning_rate, self.learning_rate > 0, "positive"),
            ("--weight-decay", self.weight_decay, self.weight_decay >= 0, "0 or more"),
            ("--dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)"),
        ):
            if not sound:
                raise InputError(f"{option} must be {what}, not {value}")


Recipe = OlsRecipe | LogisticRecipe | AdamwRecipe
RECIPES: dict[Kind, type[Recipe]] = {recipe.kind: recipe for recipe in get_args(Recipe)}


def probe_recipe(kind: str, options: Mapping[str, Any]) -> Recipe:
    """The recipe of a kind of probe.

    Args:
        kind: ``ols``, ``logistic`` or ``adamw``.
        options: Fields of its recipe by name; what is None keeps its default.

    Raises:
        InputError: There is no such kind, or it has no such option.
    """
    check_choice("--kind", kind, get_args(Kind))
    recipe = RECIPES[kind]  # type: ignore[index]  # checked above
    given = {name: value for name, value in options.items() if value is not None}
    known = {each.name for each in fields(recipe)}
    for name in given:
        if name not in known:
            fitting = " or ".join(other for other, each in RECIPES.items() if name in {f.name for f in fields(each)})
            raise InputError(f"--{name.replace('_', '-')} means nothing to --kind {kind}: it is for {fitting}")
    return recipe(**given)


@dataclass(frozen=True)
class ProbeSettings(PassSettings):
    """What a probe can be asked for.

    Attributes:
        recipe: Which kind of probe, and its numbers.
    """

    recipe: Recipe = field(default_factory=OlsRecipe)

    def layer_indices(self, num_layers: int) -> tuple[int, ...]:
        """The layers asked for; by default all in closed form or by scikit-learn, and the last for AdamW."""
        if self.layers is None and self.recipe.kind == "adamw":
            return (num_layers,)
        return super().layer_indices(num_layers)

    def described(self) -> dict[str, Any]:
        """Pass and recipe side by side, with the kind."""
        block = asdict(self)
        return {"kind": self.recipe.kind, **block, **block.pop("recipe")}
