"""The options of probes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from ntps.errors import InputError
from ntps.options.keywords import values
from ntps.options.limits import LARGEST, check_choice, check_method, check_number, check_seed
from ntps.options.passes import PassSettings
from ntps.options.shared import FrozenModelOptions, ResumableOptions, TaskOptions

Kind = Literal["ridge", "ols", "logistic", "adamw", "tangent"]
Solver = Literal["newton-cg", "saga"]

PROBE = "Which probe"


@dataclass(frozen=True, kw_only=True)
class RidgeProbe:
    """Ridge regression in closed form, its penalty chosen on texts left out; figures hold for new texts.

    It is the probe of :func:`ntps.score`: of at most 20,000 training texts, a seeded sample.

    Examples:
        >>> result = ntps.probe(limit=50, layers="-1", kind=ntps.RidgeProbe(), test=False)
        >>> result.summary["criterion"]
        'accuracy'
    """

    panel: ClassVar[str] = PROBE
    name: ClassVar[Kind] = "ridge"
    packages: ClassVar[tuple[str, ...]] = ()
    seeded: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """Least squares in closed form.

    Attributes:
        intercept: Whether a constant is fitted too.

    Examples:
        >>> result = ntps.probe(limit=50, layers="-1", kind=ntps.LeastSquares(intercept=False))
        >>> result.to_dict()["settings"]["intercept"]
        False
    """

    panel: ClassVar[str] = PROBE
    name: ClassVar[Kind] = "ols"
    packages: ClassVar[tuple[str, ...]] = ()
    seeded: ClassVar[bool] = False

    intercept: bool = True


@dataclass(frozen=True, kw_only=True)
class LogisticProbe:
    """Scikit-learn's logistic regression on standardized pooled texts.

    Attributes:
        solver: ``newton-cg``, or ``saga`` as in the paper, stopped early (1,000 iterations at most, tolerance 0.01);
            ``newton-cg`` comes closer to the optimum in less time.

    Examples:
        >>> result = ntps.probe(limit=50, layers="-1", kind=ntps.LogisticProbe())
        >>> result.to_dict()["settings"]["solver"]
        'newton-cg'
    """

    panel: ClassVar[str] = PROBE
    name: ClassVar[Kind] = "logistic"
    packages: ClassVar[tuple[str, ...]] = ("scikit-learn",)
    seeded: ClassVar[bool] = True

    solver: Solver = "newton-cg"

    def __post_init__(self) -> None:
        check_choice("solver", self.solver, get_args(Solver))


@dataclass(frozen=True, kw_only=True)
class AdamWProbe:
    """The paper's linear probe: a linear head with bias on pooled texts, trained with AdamW.

    Attributes:
        epochs: Passes over the pooled texts.
        batch_size: Texts per step.
        learning_rate: Constant learning rate.
        weight_decay: Decoupled weight decay of weights and biases.
        dropout: Share of the pooled text's dimensions that are dropped while training.

    Examples:
        >>> result = ntps.probe(limit=50, kind=ntps.AdamWProbe(epochs=2), test=False)
        >>> result.to_dict()["settings"]["epochs"]
        2
    """

    panel: ClassVar[str] = PROBE
    name: ClassVar[Kind] = "adamw"
    packages: ClassVar[tuple[str, ...]] = ()
    seeded: ClassVar[bool] = True

    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    dropout: float = 0.05

    def __post_init__(self) -> None:
        check_number("epochs", self.epochs, whole=True, at_least=1)
        check_number("batch_size", self.batch_size, whole=True, at_least=1)
        check_number("learning_rate", self.learning_rate, above=0, at_most=LARGEST)
        check_number("weight_decay", self.weight_decay, at_least=0, at_most=LARGEST)
        check_number("dropout", self.dropout, at_least=0, below=1)


@dataclass(frozen=True, kw_only=True)
class TangentProbe:
    """Ridge regression on the pooled text of the last layer and on its derivatives by LoRA's weights, in closed form.

    That is LoRA in its linear regime, from one forward pass and four ways back. Like :class:`RidgeProbe`, it chooses
    its penalty on texts left out, and its figures hold for new texts; of more than 20,000 training texts, it is fitted
    to a seeded sample.

    Examples:
        >>> result = ntps.probe(limit=30, kind="tangent", test=False)
        >>> result.layers["name"].tolist()
        ['final_norm']
    """

    panel: ClassVar[str] = PROBE
    name: ClassVar[Kind] = "tangent"
    packages: ClassVar[tuple[str, ...]] = ()
    seeded: ClassVar[bool] = True


Probe = RidgeProbe | LeastSquares | LogisticProbe | AdamWProbe | TangentProbe
PROBES: dict[Kind, type[Probe]] = {probe.name: probe for probe in get_args(Probe)}


@dataclass(frozen=True, kw_only=True)
class ProbeSettings(PassSettings):
    """What a probe can be asked for.

    Attributes:
        kind: ``ridge``, ``ols``, ``logistic``, ``adamw`` or ``tangent``; in Python also ``RidgeProbe()``,
            ``LeastSquares()``, ``LogisticProbe()`` or ``AdamWProbe()`` with numbers of their own.
        seed: Seed of the sample of texts, and of whatever is random about the probe.
    """

    panel: ClassVar[str] = PROBE

    kind: Probe | Kind = "ridge"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_method("kind", self.kind, PROBES)
        check_seed("seed", self.seed)
        if isinstance(self.probe, TangentProbe) and self.pooling != "mean":
            raise InputError(f"`pooling` must be mean for `kind` tangent, as in fine-tuning, not {self.pooling}")

    @property
    def probe(self) -> Probe:
        """The probe with all its numbers."""
        return PROBES[self.kind]() if isinstance(self.kind, str) else self.kind

    def layer_indices(self, num_layers: int) -> tuple[int, ...]:
        """The layers asked for; by default the last for AdamW and tangents, which have no other, and else all."""
        if self.layers is None and isinstance(self.probe, AdamWProbe | TangentProbe):
            return (num_layers,)
        layers = super().layer_indices(num_layers)
        if isinstance(self.probe, TangentProbe) and layers != (num_layers,):
            raise InputError(f"`layers` must be -1 for `kind` tangent, which is of the last layer, not {self.layers}")
        return layers

    def to_dict(self) -> dict[str, Any]:
        """The settings of the pass, and the kind with its own numbers."""
        seed = {"seed": self.seed} if self.probe.seeded else {}
        return {"kind": self.probe.name, **values(self, PassSettings), **asdict(self.probe), **seed}

    def identity(self) -> dict[str, Any]:
        """Everything by name, as studies have always known it: what is as it is by default for a probe is None."""
        given = {name: value for name, value in asdict(self.probe).items() if value != getattr(type(self.probe), name)}
        unset = {each.name: None for probe in PROBES.values() for each in fields(probe)}
        return {"kind": self.probe.name, "seed": self.seed, **values(self, PassSettings), **unset, **given}


@dataclass(frozen=True, kw_only=True)
class ProbeOptions(ProbeSettings, ResumableOptions, FrozenModelOptions, TaskOptions):
    """What a probe takes besides a model and a task.

    Attributes:
        layers: Layers such as ``0,3,-1`` or ``0:12``, in Python also ``[0, 3]``; all by default, for ``adamw``
            and ``tangent`` the last.
        out: Folder for ``result.json`` and ``curves.parquet``; nothing is written by default.
        resume: Whether an interrupted run of the same call is continued from its progress in ``out``; ``tangent`` alone
            leaves any, the others begin again.
    """
