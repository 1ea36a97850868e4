"""The blocks that every ``result.json`` has, and the index of statistics too: what was measured, with what."""

from __future__ import annotations

from collections.abc import Mapping

from ntps.json_files import Block, Figure, Items
from ntps.options.passes import Pooling
from ntps.tasks.task import TargetKind


class ModelBlock(Block):
    """A model; see :class:`~ntps.models.model.LanguageModel`.

    Attributes:
        num_layers: L; there is one state more, the embedding output.
        tokenizer: Hub id or folder of the tokenizer.
        tokenizer_fingerprint: Of what it does; null in older results.
        weights: Fingerprint of the weights.
        adapter: What was merged into the weights: ``id, rank, alpha, targets, weights``.
    """

    id: str
    revision: str | None
    architecture: str
    parameters: int
    hidden_size: int
    num_layers: int
    layer_names: Items[str]
    tokenizer: str
    tokenizer_fingerprint: str | None = None
    weights: str
    adapter: Mapping[str, object] | None


class SplitBlock(Block):
    """The texts of a split; see :class:`~ntps.tasks.task.Split`.

    Attributes:
        split: Name of the split in its source; null for all parts.
        texts: Number of texts n.
        groups: Number of groups of texts that belong together; null where it is not known which do.
        tokens: Number of tokens, padding not counted.
        truncated: Number of texts that were cut.
        tokens_fingerprint: SHA-256 over the tokens.
    """

    split: str | None
    texts: int
    groups: int | None = None
    tokens: int
    dropped: Mapping[str, int]
    truncated: int
    fingerprint: str
    texts_fingerprint: str
    tokens_fingerprint: str


class LabelsBlock(Block):
    """The labels of a task, and where it comes from; see :class:`~ntps.tasks.task.Task`.

    Attributes:
        classes: Width of y.
        target_kind: ``classes``, ``multilabel`` or ``regression``.
        class_counts: Training texts by class, in the order of ``label_names``; null for other labels.
    """

    id: str
    source: str
    revision: str | None
    classes: int
    target_kind: TargetKind
    label_names: Items[str]
    class_counts: Items[int] | None
    selection: Mapping[str, object] | None
    notes: Items[str]

    @property
    def majority(self) -> dict[str, object]:
        """The most frequent class of the training texts, and its share; empty without classes."""
        counts = self.class_counts
        if self.target_kind != "classes" or counts is None:
            return {}
        most = max(range(len(counts)), key=counts.__getitem__)
        return {"majority": self.label_names[most], "majority_accuracy": counts[most] / sum(counts)}


class TaskBlock(SplitBlock, LabelsBlock):
    """A task: the split that was measured, and that of the held-out figures.

    Attributes:
        test: The split of the held-out figures.
    """

    test: SplitBlock | None


class SettingsBlock(Block):
    """The options of a run, and what was used where they leave it open; null where merged runs differ;
    see :class:`~ntps.options.passes.PassSettings`.

    Attributes:
        layers: Indices of the layers.
        test: Whether held-out figures were measured.
        dtype: Dtype of the forward pass.
        device: Kind of the device.
        attention_mask: Whether the attention mask was passed or omitted.
        batching_deviation: What batching changed at the start-up check.
        batching_texts: Texts of that check.
        batching_longest: Tokens of its longest text.
    """

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
    """A layer.

    Attributes:
        layer: Index: 0 is the embedding output, i the output of block i, L what the model returns.
        name: Such as ``block.3``.
    """

    layer: int
    name: str
