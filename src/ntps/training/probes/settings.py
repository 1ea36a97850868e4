"""The options of probes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from ntps.errors import InputError
from ntps.jobs.settings import PassSettings, check_choice
from ntps.limits import LARGEST, check_number, check_seed

Kind = Literal["ols", "logistic", "adamw"]
Solver = Literal["newton-cg", "saga"]


@dataclass(frozen=True)
class OlsRecipe:
    """Least squares in closed form.

    Attributes:
        intercept: Whether a constant is fitted too.
    """

    kind: ClassVar[Kind] = "ols"
    packages: ClassVar[tuple[str, ...]] = ()
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
    packages: ClassVar[tuple[str, ...]] = ("scikit-learn",)
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
    packages: ClassVar[tuple[str, ...]] = ()
    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    dropout: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        check_number("--epochs", self.epochs, whole=True, at_least=1)
        check_number("--batch-size", self.batch_size, whole=True, at_least=1)
        check_number("--learning-rate", self.learning_rate, above=0, at_most=LARGEST)
        check_number("--weight-decay", self.weight_decay, at_least=0, at_most=LARGEST)
        check_number("--dropout", self.dropout, at_least=0, below=1)


Recipe = OlsRecipe | LogisticRecipe | AdamwRecipe
RECIPES: dict[Kind, type[Recipe]] = {recipe.kind: recipe for recipe in get_args(Recipe)}


@dataclass(frozen=True, kw_only=True)
class ProbeSettings(PassSettings):
    """What a probe can be asked for; numbers that are None are those of its kind's recipe.

    Attributes:
        kind: ``ols`` (least squares in closed form), ``logistic`` (scikit-learn, on standardized pooled texts) or
            ``adamw`` (the paper's linear probe).
        seed: Seed of the sample of texts, and of whatever is random about the kind.
        intercept: ``ols``: whether a constant is fitted too; it is by default.
        solver: ``logistic``: ``newton-cg``, or ``saga`` as in the paper (1,000 iterations, tolerance 0.01).
        epochs: ``adamw``: passes over the texts, 50 by default.
        batch_size: ``adamw``: texts per step, 64 by default.
        learning_rate: ``adamw``: 1e-4 by default.
        weight_decay: ``adamw``: 0.01 by default.
        dropout: ``adamw``: dropout of pooled texts, 0.05 by default.
    """

    kind: Kind = "ols"
    seed: int = 0
    intercept: bool | None = None
    solver: Solver | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    dropout: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("--kind", self.kind, get_args(Kind))
        check_seed("--seed", self.seed)
        own = {each.name for each in fields(RECIPES[self.kind])}
        for name in self._numbers().keys() - own:
            fitting = [kind for kind, recipe in RECIPES.items() if name in {each.name for each in fields(recipe)}]
            raise InputError(
                f"--{name.replace('_', '-')} means nothing to --kind {self.kind}: it is an option of {fitting[0]}"
            )
        self.recipe  # noqa: B018  # refuses numbers that make no sense

    @property
    def recipe(self) -> Recipe:
        """The recipe with all its numbers."""
        recipe = RECIPES[self.kind]
        numbers = self._numbers()
        if "seed" in {each.name for each in fields(recipe)}:
            numbers["seed"] = self.seed
        return recipe(**numbers)

    def layer_indices(self, num_layers: int) -> tuple[int, ...]:
        """The layers asked for; by default all in closed form or by scikit-learn, and the last for AdamW."""
        if self.layers is None and self.kind == "adamw":
            return (num_layers,)
        return super().layer_indices(num_layers)

    def described(self) -> dict[str, Any]:
        """The settings of the pass, and the kind with its own numbers."""
        of_pass = {each.name: getattr(self, each.name) for each in fields(PassSettings)}
        return {"kind": self.kind, **of_pass, **asdict(self.recipe)}

    def _numbers(self) -> dict[str, Any]:
        """What was given for some kind."""
        common = {each.name for each in fields(PassSettings)} | {"kind", "seed"}
        given = {each.name: getattr(self, each.name) for each in fields(ProbeSettings) if each.name not in common}
        return {name: value for name, value in given.items() if value is not None}
