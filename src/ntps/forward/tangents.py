"""Tangent features: how the pooled text of the last layer would move with each weight of LoRA, at its start.

LoRA begins with B = 0, where the model is linear in B: a small B moves ``v · x̄`` by ``⟨∂(v · x̄)/∂B, B⟩``. For a
projection with inputs ``x_t``, and gradients ``g_t`` of ``v · x̄`` by its outputs, the derivative is
``Σ_t g_t (A x_t)ᵀ``. A ridge on these features is LoRA in its linear regime (Malladi et al. 2023, arXiv 2210.05643).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int8
from numpy.typing import NDArray
from torch import Tensor, nn

from ntps.errors import NumericalError
from ntps.forward.batch_plan import Batch, cut
from ntps.forward.out_of_memory import explained_memory, retry_smaller
from ntps.forward.pooled_texts import PooledTexts
from ntps.forward.stopwatch import Stopwatch
from ntps.forward.stream import Pass
from ntps.models.adapters.lora import lora_projections
from ntps.models.architecture import states_of
from ntps.models.precision import ieee_float32
from ntps.models.quiet import quiet_transformers

WIDTH = 4096
"""Features that are kept of all derivatives of a text."""
DIRECTIONS = 4
"""In how many directions v the pooled text is watched."""
RANK = 32
"""Rank of LoRA."""
TOKENS = 1024
"""Padded tokens at once: all activations are kept for the way back."""
TANGENTS = -1
"""Under which number the derivatives stand beside the layers."""


@dataclass(frozen=True)
class TangentTexts:
    """What is kept of some texts.

    Attributes:
        pooled: Mean states by layer; those of the last layer among them.
        tangents: Derivatives of the last layer's by LoRA's B, sketched.
        forward_seconds: What the model took for its states.
        backward_seconds: What all ways back took, with the sketches.
    """

    pooled: Mapping[int, Float32[NDArray[np.float32], "texts dims"]]
    tangents: Float32[NDArray[np.float32], "texts width"]
    forward_seconds: float = 0.0
    backward_seconds: float = 0.0

    @classmethod
    def of(cls, rows: PooledTexts, seconds: tuple[float, float] = (0.0, 0.0)) -> TangentTexts:
        """What was collected in the arrays of :meth:`TangentPass.room`."""
        arrays = {number: np.asarray(array, dtype=np.float32) for number, array in rows.arrays.items()}
        return cls(
            {number: array for number, array in arrays.items() if number != TANGENTS}, arrays[TANGENTS], *seconds
        )


@dataclass
class Sketch:
    """Adds random signs of long vectors up to short ones, whose inner products are about the same.

    A CountSketch (Charikar, Chen and Farach-Colton 2002): blocks of ``width`` entries get random signs, are turned by
    a random amount, and are added. Products are right on average, and their relative error is about ``1/√width``.

    Attributes:
        width: Entries that are kept; None for all.
        seed: Of signs and turns.
    """

    width: int | None
    seed: int
    _signs: dict[tuple[int, torch.device], tuple[Int8[Tensor, " entries"], list[int]]] = field(default_factory=dict)

    def __call__(self, part: int, vectors: Float[Tensor, "texts entries"]) -> Float[Tensor, "texts width"]:
        """Sketches one part of all entries; sketches of several parts are to be added, or put side by side without a
        width.

        Args:
            part: Number of the part, which has signs of its own.
            vectors: Its entries.
        """
        if self.width is None:
            return vectors
        key = part, vectors.device
        if key not in self._signs:
            self._signs[key] = self._drawn(part, vectors.shape[1], vectors.device)
        signs, turns = self._signs[key]
        signed = vectors * signs
        kept = vectors.new_zeros(len(vectors), self.width)
        for start, turn in zip(range(0, signed.shape[1], self.width), turns, strict=True):
            block = signed[:, start : start + self.width]
            block = nn.functional.pad(block, (0, self.width - block.shape[1]))
            kept += torch.roll(block, turn, dims=1)
        return kept

    def _drawn(self, part: int, entries: int, device: torch.device) -> tuple[Int8[Tensor, " entries"], list[int]]:
        assert self.width is not None
        random = np.random.default_rng([self.seed, 2, part])
        signs = random.integers(2, size=entries, dtype=np.int8) * 2 - 1
        turns = random.integers(self.width, size=-(-entries // self.width)).tolist()
        return torch.as_tensor(signs, device=device), turns


@dataclass
class TangentPass:
    """A forward pass over some texts, and a way back for each direction.

    Attributes:
        work: The texts, how they are batched, and the layers whose pooled texts are kept; the last one is in any case.
        width: Entries of a sketch; None for all derivatives.
        rank: Rank of LoRA.
        directions: How many v, orthonormal and random.
        seed: Of v, of LoRA's A, and of the sketch.
    """

    work: Pass
    width: int | None = WIDTH
    rank: int = RANK
    directions: int = DIRECTIONS
    seed: int = 0

    def __post_init__(self) -> None:
        self._projections = lora_projections(self.work.model)
        self._sketch = Sketch(self.width, self.seed)
        self._reductions: dict[tuple[int, torch.device], Tensor] = {}
        self._clocks = Stopwatch(), Stopwatch()

    @property
    def watched(self) -> Float64[NDArray[np.float64], "dims directions"]:
        """The directions v in columns."""
        width = self.work.model.hidden_size
        random = np.random.default_rng([self.seed, 0]).normal(size=(width, min(self.directions, width)))
        return np.asarray(np.linalg.qr(random)[0])

    def reduction(self, projection: int, inputs: int, device: torch.device) -> Float32[Tensor, "{self.rank} {inputs}"]:
        """LoRA's A of a projection, distributed as PEFT begins it."""
        key = projection, device
        if key not in self._reductions:
            bound = inputs**-0.5
            random = np.random.default_rng([self.seed, 1, projection])
            drawn = random.uniform(-bound, bound, size=(self.rank, inputs)).astype(np.float32)
            self._reductions[key] = torch.as_tensor(drawn, device=device)
        return self._reductions[key]

    @property
    def seconds(self) -> tuple[float, float]:
        """What the model took for its states in all runs so far, and what all ways back took."""
        forward, backward = self._clocks
        return forward.seconds(), backward.seconds()

    def room(self) -> PooledTexts:
        """Arrays for the rows of all texts, by layer and under ``TANGENTS``."""
        rows = PooledTexts(len(self.work.tokens), dtype=np.float32)
        if self.width is not None:
            rows.open([TANGENTS], self.width)
        rows.open(sorted({*self.work.layers, self.work.model.num_layers}), self.work.model.hidden_size)
        return rows

    @quiet_transformers()
    def run(
        self,
        largest: int | None = TOKENS,
        *,
        rows: PooledTexts | None = None,
        finished: Callable[[Batch], None] = lambda _batch: None,
        smaller: Callable[[int], None] = lambda _tokens: None,
    ) -> TangentTexts:
        """Runs the pass.

        Args:
            largest: Padded tokens that are run at once, or a single text.
            rows: What :meth:`room` gave, with rows that are known already.
            finished: Told after each batch.
            smaller: Told how many padded tokens are run at once from now on.

        Raises:
            InputError: LoRA does not know the model's projections.
            NumericalError: A derivative is not finite; names text and dtype.
            OutOfMemory: Not even one text fits.
        """
        rows, left = rows or self.room(), deque(self.work.batches)
        with _frozen(self.work.model.base), ieee_float32():
            retry_smaller(lambda largest: self._run(left, rows, finished, largest), largest, smaller)
        return TangentTexts.of(rows, self.seconds)

    def _run(
        self, left: deque[Batch], rows: PooledTexts, finished: Callable[[Batch], None], largest: int | None
    ) -> None:
        watched, lengths = torch.as_tensor(self.watched, dtype=torch.float32), self.work.tokens.lengths
        while left:
            for part in cut(left[0], lengths, largest):
                self._run_batch(part, watched, rows)
            batch = left.popleft()
            finished(batch)
            self.work.progress(int(lengths[batch].sum()))

    def _run_batch(self, batch: Batch, watched: Float32[Tensor, "dims directions"], rows: PooledTexts) -> None:
        model, device, (forward, backward) = self.work.model, self.work.model.device, self._clocks
        ids = torch.as_tensor(self.work.tokens.padded(batch, model.pad_id), device=device)
        lengths = torch.as_tensor(self.work.tokens.lengths[batch])
        real = torch.arange(ids.shape[1]) < lengths[:, None]
        mask = real.long().to(device) if self.work.masked else None

        def mean(hidden: Tensor) -> Tensor:
            kept = hidden.float().masked_fill(~real.to(hidden.device)[..., None], 0.0)
            return kept.sum(dim=1) / lengths.to(hidden.device)[:, None]

        def keep(layer: int, output: object) -> None:
            rows.put(layer, batch, mean(states_of(output, ids).detach()))

        with explained_memory(len(batch), ids.numel()), _seen_by(self._projections) as seen, torch.enable_grad():
            with forward.counting(device), model.watching(self.work.layers, keep):
                output = model.base(input_ids=ids, attention_mask=mask, use_cache=False)
                last = states_of(output.last_hidden_state, ids)
                states = mean(last)
            with backward.counting(device):
                found = self._sketched(seen, states, watched.to(last.device))
        rows.put(model.num_layers, batch, states.detach())
        if not found.isfinite().all():
            text = int(batch[int((~found.isfinite()).any(dim=1).nonzero()[0, 0])])
            raise NumericalError(
                f"derivatives of text {text} are not finite in {str(last.dtype).removeprefix('torch.')}: load the "
                "model in float32"
            )
        rows.put(TANGENTS, batch, found)

    def _sketched(
        self, seen: list[_Seen], states: Float32[Tensor, "batch dims"], watched: Float32[Tensor, "dims directions"]
    ) -> Float32[Tensor, "batch width"]:
        """The derivatives of all projections, for every direction."""
        outputs = [each.outputs for each in seen]
        sketches: list[Tensor] = []
        for index, direction in enumerate(watched.T):
            # Texts do not see each other: of the sum, each gets the gradient of its own.
            more = index + 1 < watched.shape[1]
            gradients = torch.autograd.grad((states @ direction).sum(), outputs, retain_graph=more)
            for each, gradient in zip(seen, gradients, strict=True):
                derivative = self._derivative(each, gradient)
                part = each.projection * self.directions + index
                sketches.append(self._sketch(part, derivative).to(states.device))
        return torch.cat(sketches, dim=1) if self.width is None else torch.stack(sketches).sum(dim=0)

    def _derivative(self, seen: _Seen, gradient: Float[Tensor, "batch tokens out"]) -> Float32[Tensor, "batch entries"]:
        """``∂(v · x̄)/∂B`` of one projection, text by text."""
        reduction = self.reduction(seen.projection, seen.inputs.shape[-1], seen.inputs.device)
        reduced = seen.inputs.float() @ reduction.T
        return (gradient.float().transpose(1, 2) @ reduced).flatten(start_dim=1)


@dataclass(frozen=True)
class _Seen:
    projection: int
    inputs: Tensor
    outputs: Tensor


@contextmanager
def _seen_by(projections: list[nn.Module]) -> Iterator[list[_Seen]]:
    """Collects what projections take and give in a forward pass, and lets gradients reach the latter."""
    seen: list[_Seen] = []

    def keep(projection: int, _module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if not output.requires_grad:
            output.requires_grad_()
        seen.append(_Seen(projection, inputs[0].detach(), output))

    with ExitStack() as stack:
        for number, module in enumerate(projections):
            stack.callback(module.register_forward_hook(partial(keep, number)).remove)
        yield seen


@contextmanager
def _frozen(base: nn.Module) -> Iterator[None]:
    """Without gradients of the weights, which would keep what only they need."""
    trained = [parameter for parameter in base.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_()
