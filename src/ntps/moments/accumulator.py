"""Second moments of one layer: all that the scores need, in memory that does not grow with the texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from jaxtyping import Bool, Float64
from numpy.typing import NDArray
from torch import Tensor

from ntps.errors import InputError, NumericalError
from ntps.moments.buffers import Workspace
from ntps.moments.kernels import RaggedBatch, ragged_batch, symmetric
from ntps.moments.means import Means
from ntps.moments.packed_layout import Layout
from ntps.moments.products import add_gram, add_product
from ntps.moments.sums import SUMS, _shapes
from ntps.moments.sums_file import SYMMETRIC, read_sums, write_sums
from ntps.options.passes import Pooling
from ntps.theory import EPS

Array = NDArray[np.float64]


class NonFiniteStates(NumericalError):
    """Some hidden state is NaN or infinite.

    Attributes:
        row: First row of the batch where it happened.
        dtype: Dtype of the hidden states.
    """

    def __init__(self, row: int, dtype: torch.dtype) -> None:
        super().__init__(
            f"hidden states of row {row} are not finite (dtype {dtype}): check the weights, or use a wider dtype"
        )
        self.row = row
        self.dtype = dtype


def require_finite(finite: Bool[Tensor, " texts"], dtype: torch.dtype) -> None:
    """Raises :class:`NonFiniteStates` unless all texts are finite.

    Args:
        finite: Whether each is.
        dtype: Dtype of their hidden states.
    """
    if not bool(finite.all()):
        raise NonFiniteStates(int((~finite).nonzero()[0]), dtype)


class Moments:
    """Float64 sums over texts for one layer.

    ``update`` takes your own tensors; no Hugging Face model is needed. Sums are associative: moments of parts may be
    merged, added and subtracted.

    Attributes:
        hidden_size: Width d of the hidden states.
        targets: Width c of the target vectors.
        pooling: How a text becomes one vector: ``mean`` (Algorithm 1), ``sum`` or ``last``.
        texts: Texts so far.
        tokens: Tokens so far.
        sums: The sums by name (see :data:`SUMS`); Grams hold their upper triangle only.
        resolution: Relative rounding of the coarsest states so far.

    Examples:
        >>> import torch
        >>> hidden, mask = torch.randn(100, 12, 16), torch.ones(100, 12, dtype=torch.bool)
        >>> first, second = (ntps.Moments(hidden_size=16, targets=3) for _ in range(2))
        >>> first.update(hidden[:50], mask[:50], torch.eye(3)[torch.arange(50) % 3])
        >>> second.update(hidden[50:], mask[50:], torch.eye(3)[torch.arange(50) % 3])
        >>> (first + second).texts
        100
    """

    def __init__(
        self, hidden_size: int, targets: int, *, pooling: Pooling = "mean", device: torch.device | str = "cpu"
    ) -> None:
        if hidden_size < 1 or targets < 1:
            raise InputError(f"hidden_size and targets must be at least 1, not {hidden_size} and {targets}")
        if pooling not in get_args(Pooling):
            raise InputError(f"pooling must be one of {', '.join(get_args(Pooling))}, not {pooling!r}")
        self.hidden_size = hidden_size
        self.targets = targets
        self.pooling: Pooling = pooling
        self.texts = 0
        self.tokens = 0
        self.resolution = EPS
        # Made in inference mode, the sums could not be updated outside it.
        with torch.inference_mode(False):
            self.sums: dict[str, Tensor] = {
                name: torch.zeros(shape, dtype=torch.float64, device=device)
                for name, shape in _shapes(hidden_size, targets).items()
            }

    def __repr__(self) -> str:
        return f"Moments({self.hidden_size:,} dimensions, {self.targets} targets, {self.texts:,} texts)"

    def update(self, hidden: Tensor, mask: Tensor, targets: Tensor | Array) -> None:
        """Adds a batch of texts.

        Args:
            hidden: ``(texts, tokens, hidden_size)`` hidden states in any floating dtype.
            mask: ``(texts, tokens)``, true at real tokens; padding may be on the left or on the right.
            targets: ``(texts, targets)`` target vectors y.

        Raises:
            InputError: Shapes do not fit, or a mask row has no real token or a hole.
            NumericalError: A hidden state or a target is not finite; nothing is added.
        """
        hidden = hidden.detach()
        y = torch.as_tensor(targets, dtype=torch.float64, device=hidden.device).detach()
        self._check_shapes(hidden, mask, y)
        if len(hidden) == 0:
            return
        if not bool(torch.isfinite(y).all()):
            raise NumericalError("the targets are not finite: remove the texts whose target is NaN or infinite")
        batch = ragged_batch(hidden, Layout.of_mask(mask).to(hidden.device), self.pooling, Workspace())
        require_finite(batch.finite, hidden.dtype)
        self.add(batch, y)

    def add(self, batch: RaggedBatch, y: Float64[Tensor, "texts outputs"]) -> None:
        """Adds the rows of a batch, which must be finite.

        Args:
            batch: What :func:`ragged_batch` made of the hidden states of some texts.
            y: Their targets, finite too and on the same device.
        """
        # Into memory of our own: where that of NumPy begins is a matter of chance.
        y = y.clone(memory_format=torch.contiguous_format)
        sums = self.sums
        add_gram(sums["prefix_gram"], batch.prefix)
        add_product(sums["prefix_next"], batch.prefix, batch.following)
        sums["prefix_sum"] += batch.prefix.sum(dim=0)
        sums["next_sum"] += batch.following.sum(dim=0)
        following = batch.following.flatten()
        sums["next_energy"] += following @ following
        norm2 = batch.pooled.square().sum(dim=1)
        add_gram(sums["pooled_gram"], batch.pooled)
        add_product(sums["pooled_target"], batch.pooled, y)
        sums["pooled_sum"] += batch.pooled.sum(dim=0)
        sums["pooled_norm4"] += norm2.square().sum()
        sums["pooled_norm2_sum"] += norm2 @ batch.pooled
        add_gram(sums["target_gram"], y)
        sums["target_sum"] += y.sum(dim=0)
        self.texts += len(batch.pooled)
        self.tokens += len(batch.pooled) + len(batch.prefix)
        self.resolution = max(self.resolution, batch.resolution)

    def merge(self, other: Moments) -> Moments:
        """Adds the sums of other texts in place, and returns itself."""
        return self._combine(other, 1)

    def __add__(self, other: Moments) -> Moments:
        return self.copy()._combine(other, 1)

    def __sub__(self, other: Moments) -> Moments:
        return self.copy()._combine(other, -1)

    def copy(self) -> Moments:
        """An independent copy."""
        twin = Moments(self.hidden_size, self.targets, pooling=self.pooling, device=self.sums["prefix_gram"].device)
        return twin._combine(self, 1)

    def means(self) -> Means:
        """Means over the texts so far, as NumPy arrays.

        Raises:
            InputError: There is no text yet.
            NumericalError: The sums exceeded what float64 holds.
        """
        if self.texts < 1:
            raise InputError("there are no texts in these moments: call update first")
        for name, value in self.sums.items():
            if not bool(torch.isfinite(value).all()):
                large = "target values" if name in ("target_gram", "target_sum") else "hidden states"
                raise NumericalError(f"{name} exceeds what float64 holds: scale the {large} down")
        mean = {
            name: ((symmetric(value) if name in SYMMETRIC else value) / self.texts).cpu().numpy()
            for name, value in self.sums.items()
        }
        return Means(
            texts=self.texts,
            prefix_gram=mean["prefix_gram"],
            prefix_next=mean["prefix_next"],
            next_energy=float(mean["next_energy"]),
            pooled_gram=mean["pooled_gram"],
            pooled_target=mean["pooled_target"],
            target_gram=mean["target_gram"],
            pooled_mean=mean["pooled_sum"],
            target_mean=mean["target_sum"],
            prefixes=(self.tokens - self.texts) / self.texts,
            prefix_sum=mean["prefix_sum"],
            next_sum=mean["next_sum"],
            resolution=self.resolution,
        )

    @property
    def kind(self) -> dict[str, str]:
        """What a file says beside the sums."""
        facts = {"pooling": self.pooling, "texts": self.texts, "tokens": self.tokens, "resolution": self.resolution}
        return {name: str(value) for name, value in facts.items()}

    def save(self, path: str | Path) -> None:
        """Writes these moments to one safetensors file (sums; symmetric ones as packed triangles)."""
        write_sums(Path(path), self.sums, self.kind)

    @classmethod
    def load(cls, path: str | Path) -> Moments:
        """Reads moments that :meth:`save` wrote.

        Raises:
            InputError: The file is missing or is not such a file.
        """
        return cls.from_sums(*read_sums(Path(path)), path)

    @classmethod
    def from_sums(cls, sums: dict[str, Tensor], kind: Mapping[str, str], path: str | Path) -> Moments:
        """Moments of sums that were read from a file.

        Args:
            sums: The sums by name.
            kind: What :attr:`kind` was; ``resolution`` may be missing.
            path: The file, for errors.

        Raises:
            InputError: They are not the sums of a layer.
        """
        if set(sums) != set(SUMS) or not {"pooling", "texts", "tokens"} <= set(kind):
            raise InputError(f"{path} does not hold the moments of a layer: give a file that Moments.save wrote")
        shape = sums["pooled_target"].shape
        if len(shape) != 2 or {name: tuple(value.shape) for name, value in sums.items()} != _shapes(*shape):
            raise InputError(f"the sums in {path} do not fit together: the file is damaged, compute the moments again")
        for name, value in sums.items():
            if wrong := _wrong(name, value):
                raise InputError(f"{name} in {path} {wrong}: the file is damaged, compute the moments again")
        texts, tokens = (int(kind[name]) if kind[name].isdecimal() else -1 for name in ("texts", "tokens"))
        if kind["pooling"] not in get_args(Pooling) or not 0 <= texts <= tokens:
            raise InputError(f"{path} does not say of how many texts it is: compute the moments again")
        moments = cls(*shape, pooling=kind["pooling"])  # type: ignore[arg-type]  # checked above
        moments.texts, moments.tokens = texts, tokens
        moments.resolution = _resolution(kind, path)
        for name, total in moments.sums.items():
            # Into memory of our own: in a file, sums begin anywhere.
            total.copy_(sums[name])
        return moments

    def _combine(self, other: Moments, sign: int) -> Moments:
        mine, theirs = (self.hidden_size, self.targets, self.pooling), (other.hidden_size, other.targets, other.pooling)
        if mine != theirs:
            raise InputError(
                "moments of different kinds cannot be combined: "
                f"(hidden_size, targets, pooling) are {mine} on one side and {theirs} on the other"
            )
        for name, value in self.sums.items():
            value.add_(other.sums[name].to(value.device), alpha=sign)
        self.texts += sign * other.texts
        self.tokens += sign * other.tokens
        self.resolution = max(self.resolution, other.resolution)
        return self

    def _check_shapes(self, hidden: Tensor, mask: Tensor, targets: Tensor) -> None:
        if hidden.dim() != 3 or hidden.shape[2] != self.hidden_size or not hidden.is_floating_point():
            raise InputError(
                f"hidden must be a floating tensor of shape (texts, tokens, {self.hidden_size}), "
                f"not {hidden.dtype} of shape {tuple(hidden.shape)}"
            )
        if mask.shape != hidden.shape[:2]:
            raise InputError(f"mask must have shape {tuple(hidden.shape[:2])}, not {tuple(mask.shape)}")
        if targets.shape != (len(hidden), self.targets):
            raise InputError(f"targets must have shape ({len(hidden)}, {self.targets}), not {tuple(targets.shape)}")


def _resolution(kind: Mapping[str, str], path: str | Path) -> float:
    """The relative rounding that a file names; that of float64 where it is older than the word."""
    try:
        found = float(kind.get("resolution", EPS))
    except ValueError:
        found = math.nan
    if not EPS <= found < 1:
        raise InputError(f"{path} does not say how its hidden states were rounded: compute the moments again")
    return found


def _wrong(name: str, value: Tensor) -> str | None:
    """What no sum of ours can be."""
    if value.dtype != torch.float64:
        return f"is {str(value.dtype).removeprefix('torch.')} and not float64"
    if not bool(torch.isfinite(value).all()):
        return "is not finite"
    if name in SYMMETRIC and bool((value.diagonal() < 0).any()):
        return "has negative squares"
    return None
