"""What ``ranking.json`` says."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ntps.checkpoint.owned_files import take
from ntps.files import write_json
from ntps.jobs.new_texts import Interval
from ntps.json_files import Block, Figure, Items

RANKING = "ranking.json"


class RankedModel(Block):
    """A model in its place.

    Attributes:
        model: What it is called.
        first: The best place that it may have. The places of all models hold together at 95 %.
        last: The worst one.
        value: What its chosen layer reaches on new texts, in the ranking's ``criterion``.
        texts: How many texts were left out in turn, in the last sample that it was scored on.
        behind: That, less the value of the model at the top; null for that one itself. Where an earlier sample decided
            between the two, it is that of the earlier sample.
        behind_interval: The interval of the difference on the same texts; those of all pairs of models hold together.
        equals: Models that cannot be told from it.
        layer: Name of its best layer.
        all_layers: What one probe of all its layers together reaches.
        all_layers_step: That, less the same of the model above; null for the first. On the largest sample that both
            were scored on.
        all_layers_step_interval: The interval of the difference on the same texts; those of all pairs hold together.
        embedding: ``best`` where no single layer is better than the embedding, whose words have no order; ``equal``
            where the embedding cannot be told from the best layer; null otherwise.
        test: What the probe of the best layer reaches on the test texts.
        area_cv: Share of the R² of new texts that probes of next-token directions reach in the best layer.
        chance_area_cv: The same of random subspaces.
        parameters: Of the base transformer.
        seconds: What its scores took.
        folder: Of that score; null if it was not kept.
        lora: Accuracy that LoRA would reach, if that was asked for, with its 95 % prediction interval.
        lora_missing: Why that is not forecast.
        source: Hub id or folder of the model.
        weights: Fingerprint of its weights.
    """

    model: str
    first: int
    last: int
    value: Figure
    value_interval: Interval
    behind: Figure
    behind_interval: Interval
    equals: Items[str]
    layer: str
    all_layers: Figure
    all_layers_interval: Interval
    all_layers_step: Figure = None
    all_layers_step_interval: Interval = None
    embedding: str | None = None
    test: Figure
    test_interval: Interval
    area_cv: Figure
    chance_area_cv: Figure
    parameters: int
    seconds: Figure
    folder: str | None
    texts: int | None = None
    lora: Figure = None
    lora_interval: Interval = None
    lora_missing: str | None = None
    source: str | None = None
    weights: str | None = None

    @property
    def place(self) -> str:
        """Its place, or the places between which nothing decides."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


class MissingModel(Block):
    """A model that has no score.

    Attributes:
        cause: Why.
    """

    model: str
    cause: str


class Ranking(Block):
    """Models by what they reach on new texts of one task.

    Attributes:
        schema_version: 1; the schema grows by addition only.
        created: When they were compared.
        task: Id of the task.
        fingerprint: SHA-256 over its texts and labels.
        texts: How many texts were left out in turn, in the last sample.
        test_texts: How many test texts there are.
        criterion: The figure by which models are compared.
        baseline: What that figure is without looking at the texts.
        majority: The most frequent class.
        models: The models that have a score, the best first.
        missing: Those that have none.
        until: What ends the ranking as soon as it is decided: ``best`` or ``order``; null where all texts are scored.
        samples: Sizes of the samples that it may take, ascending; the places of all of them hold together at 95 %.
        unused: Rows that cannot be used, in words.
        command: The command line that made it; null if it was made in Python.
    """

    schema_version: int = Field(alias="schema")
    kind: Literal["ranking"]
    ntps_version: str
    created: str
    task: str
    fingerprint: str
    texts: int
    test_texts: int | None
    criterion: str
    baseline: Figure
    majority: str | None
    models: Items[RankedModel]
    missing: Items[MissingModel]
    until: str | None = None
    samples: Items[int] = ()
    unused: Items[str] = ()
    command: str | None = None

    @property
    def decided(self) -> bool:
        """Whether nothing is left to decide: of all models, or between the best and the others."""
        return all(row.first == row.last for row in self.models[: 1 if self.until == "best" else None])

    def write(self, folder: Path) -> None:
        """Writes ``ranking.json``.

        Raises:
            InputError: The folder cannot be written, or another file of this name is there.
        """
        take(folder, (RANKING,))
        write_json(folder / RANKING, self.to_dict(), ensure_ascii=False, allow_nan=False)
