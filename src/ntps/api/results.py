"""What functions return: results with tables, figures and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ntps.checkpoint.lock import claim_folder, replace_result
from ntps.display.finetune import finetune_words
from ntps.display.probe import probe_words
from ntps.display.ranking import ranking_words
from ntps.display.sentences import plain_words, short_name
from ntps.files import folder_path
from ntps.jobs.new_texts import NewTexts
from ntps.jobs.record import Record
from ntps.scoring.record import ScoreRecord
from ntps.study.ranking.record import Ranking
from ntps.training.records import FinetuneRecord, ProbeRecord

if TYPE_CHECKING:
    from huggingface_hub import EvalResult
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Result:
    """What a whole job returns.

    Attributes:
        record: Everything that is or would be on disk.
    """

    record: Record

    @property
    def summary(self) -> dict[str, Any]:
        """The main figures."""
        summary: dict[str, Any] = self.to_dict()["summary"]
        return summary

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know."""
        return self.record.result.warnings

    def to_frame(self) -> pd.DataFrame:
        """The curves, as in ``curves.parquet``."""
        return self.record.curves.copy()

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        return self.record.result.to_dict()

    def to_eval_results(self) -> list[EvalResult]:
        """Figures of a probe or a fine-tuned classifier on test texts, as Hugging Face model cards have them.

        Raises:
            InputError: There is no classifier, or no test text.
        """
        # The hub takes a moment to import.
        from ntps.display.model_card import eval_results

        return eval_results(self.record.result)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes ``result.json`` and ``curves.parquet``.

        Raises:
            InputError: The folder cannot be written, or holds a result and ``overwrite`` is false.
        """
        folder = folder_path(folder)
        with claim_folder(folder, overwrite):
            replace_result(folder, self.record)
        return folder

    def __repr__(self) -> str:
        result = self.record.result
        return f"{type(self).__name__}({short_name(result.model.id)} on {short_name(result.task.id)})"

    def _repr_html_(self) -> str:
        # Only notebooks need it.
        from ntps.display.notebook import result_html

        return result_html(repr(self), self.record.result)


class ScoreResult(Result):
    """What :func:`ntps.score` returns: one row of curves per layer and k.

    Attributes:
        record: Everything that is or would be on disk.

    Examples:
        >>> result = ntps.score(limit=50, test=False)
        >>> folder = result.save("scored")
        >>> ntps.ScoreResult.load("scored").summary == result.summary
        True
        >>> figure = result.plot("curves.png")
    """

    record: ScoreRecord

    @property
    def layers(self) -> pd.DataFrame:
        """One row per layer: ranks, ``area``, R², losses, bounds, conditions, and the scores of others."""
        rows = self.to_dict()["layers"]
        others = [row.pop("rivals", {}) for row in rows]
        return pd.DataFrame(
            [{**row, **other, "warnings": row["warnings"]} for row, other in zip(rows, others, strict=True)]
        )

    def plot(self, path: str | Path | None = None, *, value: str = "retained_centered") -> Figure:
        """Draws the layer × k heat map of one curve, and the curves of the layers.

        Args:
            path: Where to write the figure (PNG, PDF or SVG by its ending); not written by default.
            value: Column of :meth:`to_frame` to draw.
        """
        # Matplotlib takes a second to import, and only drawing needs it.
        from ntps.plots.score_curves import draw_score

        return draw_score(self.record, value, None if path is None else Path(path))

    @classmethod
    def load(cls, folder: str | Path) -> ScoreResult:
        """Reads a result from its folder.

        Raises:
            InputError: There is no readable result.
        """
        return cls(ScoreRecord.read(Path(folder)))

    def __repr__(self) -> str:
        result = self.record.result
        subject = f"{short_name(result.model.id)} on {short_name(result.task.id)}"
        return "\n".join([f"ScoreResult({subject}, {len(result.layers)} layers)", *plain_words(result)])


class FinetuneResult(Result):
    """What :func:`ntps.finetune` returns: training losses, and figures on the test texts, by step.

    Attributes:
        record: Everything that is or would be on disk but the weights.

    Examples:
        >>> result = ntps.finetune(limit=20, method=ntps.LoRA(rank=4, steps=2, batch_size=4), test=False)
        >>> folder = result.save("tuned")
        >>> ntps.FinetuneResult.load("tuned").summary == result.summary
        True
    """

    record: FinetuneRecord

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draws the training loss as a running mean, and the losses on the test texts as points (figure S1).

        Args:
            path: Where to write the figure (PNG, PDF or SVG by its ending); not written by default.
        """
        # Matplotlib takes a second to import, and only drawing needs it.
        from ntps.plots.loss_curves import draw_losses
        from ntps.plots.score_curves import save_figure

        result = self.record.result
        losses = self.to_frame().assign(model=result.model.id, task=result.task.id, method=result.measurement)
        losses["cross_entropy"] = losses["loss"]
        figure = draw_losses(losses, columns=1)
        if result.task.target_kind == "regression":
            figure.axes[0].set_ylabel("mean squared error", fontsize=9)
        save_figure(figure, None if path is None else Path(path))
        return figure

    @classmethod
    def load(cls, folder: str | Path) -> FinetuneResult:
        """Reads a result from its folder.

        Raises:
            InputError: There is no readable result of a fine-tuning run.
        """
        return cls(FinetuneRecord.read(Path(folder)))

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{finetune_words(self.record.result)}"


class ProbeResult(Result):
    """What :func:`ntps.probe` returns: ``to_frame()`` has a row per layer.

    Attributes:
        record: Everything that is or would be on disk.

    Examples:
        >>> result = ntps.probe(limit=50, kind=ntps.AdamWProbe(epochs=2), test=False)
        >>> result.to_frame()["name"].tolist()
        ['final_norm']
        >>> result.curves["epoch"].unique().tolist()
        [1, 2]
    """

    record: ProbeRecord

    @property
    def layers(self) -> pd.DataFrame:
        """One row per layer: ``layer``, ``name``, the figures as ``train_accuracy``, ``test_accuracy`` …, and those
        of a ridge probe for new texts as ``accuracy_cv`` …"""
        rows = []
        for row in self.record.result.layers:
            figures = {
                f"{split}_{name}": value for split, each in row.figures.items() for name, value in dict(each).items()
            }
            rows.append({"layer": row.layer, "name": row.name, **figures, **row.given(NewTexts, test=True)})
        return pd.DataFrame(rows)

    def to_frame(self) -> pd.DataFrame:
        """One row per layer, as :attr:`layers`."""
        return self.layers

    @property
    def curves(self) -> pd.DataFrame:
        """For ``adamw``, one row per layer, epoch and split, as in ``curves.parquet``; empty for other kinds."""
        return self.record.curves.copy()

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draws loss and accuracy by epoch; by layer where nothing was trained in epochs.

        Args:
            path: Where to write the figure (PNG, PDF or SVG by its ending); not written by default.
        """
        # Matplotlib takes a second to import, and only drawing needs it.
        from ntps.plots.probe_curves import draw_probe

        return draw_probe(self.record, self.layers, None if path is None else Path(path))

    @classmethod
    def load(cls, folder: str | Path) -> ProbeResult:
        """Reads a result from its folder.

        Raises:
            InputError: There is no readable result of a probe.
        """
        return cls(ProbeRecord.read(Path(folder)))

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *probe_words(self.record.result)])


@dataclass(frozen=True, repr=False)
class RankResult:
    """What :func:`ntps.rank` returns: the models in their order.

    Attributes:
        ranking: The content of ``ranking.json``.

    Examples:
        >>> for layer in (0, 3):  # two layers in place of two models
        ...     folder = ntps.score(limit=60, layers=[layer], test=False).save(f"layer{layer}")
        >>> result = ntps.rank(models=["layer0", "layer3"])
        >>> frame = result.to_frame()[["model", "place", "value", "behind"]]
        >>> folder = result.save("ranking")
    """

    ranking: Ranking

    def to_frame(self) -> pd.DataFrame:
        """One row per model, the best first, with ``place`` such as ``1–2`` where nothing decides."""
        rows = [{"place": row.place, **row.to_dict()} for row in self.ranking.models]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``ranking.json``."""
        return self.ranking.to_dict()

    def save(self, folder: str | Path) -> Path:
        """Writes ``ranking.json``.

        Raises:
            InputError: The folder cannot be written.
        """
        folder = folder_path(folder)
        self.ranking.write(folder)
        return folder

    def __repr__(self) -> str:
        head = f"RankResult({len(self.ranking.models)} models on {short_name(self.ranking.task)})"
        return "\n".join([head, *ranking_words(self.ranking)])

    def _repr_html_(self) -> str:
        from ntps.display.notebook import as_html

        columns = ["place", "model", "value", "behind", "layer", "parameters", "seconds"]
        return as_html(repr(self), self.to_frame()[columns].set_index("place"))
