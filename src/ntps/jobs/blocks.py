"""The blocks that every ``result.json`` has, and the index of statistics too: what was measured, with what."""

from __future__ import annotations

from collections.abc import Mapping

from ntps.json_files import Block, Figure, Items
from ntps.moments.kernels import Pooling


class ModelBlock(Block):
    """A model."""

    id: str
    revision: str | None
    architecture: str
    parameters: int
    hidden_size: int
    num_layers: int
    layer_names: Items[str]
    tokenizer: str
    weights: str
    adapter: Mapping[str, object] | None


class SplitBlock(Block):
    """The texts of a split."""

    split: str | None
    texts: int
    tokens: int
    dropped: Mapping[str, int]
    truncated: int
    fingerprint: str
    texts_fingerprint: str
    tokens_fingerprint: str


class LabelsBlock(Block):
    """The labels of a task, and where it comes from."""

    id: str
    source: str
    revision: str | None
    classes: int
    target_kind: str
    label_names: Items[str]
    class_counts: Items[int] | None
    selection: Mapping[str, object] | None
    notes: Items[str]


class TaskBlock(SplitBlock, LabelsBlock):
    """A task: the split that was measured, and that of the held-out figures."""

    test: SplitBlock | None


class SettingsBlock(Block):
    """The options of a run, and what was used where they leave it open; None where merged runs differ."""

    layers: Items[int]
    pooling: Pooling
    max_length: int | None
    tokens_per_batch: int | None
    test: bool
    dtype: str
    device: str | None
    attention_mask: str | None
    batching_deviation: Figure
    batching_texts: int | None = None
    batching_longest: int | None = None


class LayerBlock(Block):
    """A layer."""

    layer: int
    name: str
