"""How right every probe of a run is, text by text, in one file: two models can then be compared on the same texts."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ntps.errors import InputError
from ntps.files import write_whole
from ntps.validation.judged import Judged
from ntps.validation.labels import Labels


@dataclass(frozen=True)
class LeftOutTexts:
    """Labels of the texts that were left out in turn, and the probes that predicted them.

    Attributes:
        labels: The labels.
        layers: The layers, ascending.
        judged: The probe of each of them.
        together: That of all layers together.
    """

    labels: Labels
    layers: tuple[int, ...]
    judged: tuple[Judged, ...]
    together: Judged

    def write(self, path: Path) -> None:
        """Writes arrays of all probes, that of all layers last, in float32; targets of classes in a byte each."""
        every = (*self.judged, self.together)
        arrays: dict[str, NDArray[Any]] = {
            each.name: np.stack([getattr(judged, each.name) for judged in every]).astype(np.float32)
            for each in fields(Judged)
            if getattr(self.together, each.name) is not None
        }
        labels = replace(self.labels, digests=None).to_arrays()
        if self.labels.kind != "regression":
            labels["targets"] = labels["targets"].astype(np.uint8)
        # One key: of several, safetensors writes now this one first and now that one.
        about = {"about": json.dumps({"kind": self.labels.kind, "layers": self.layers})}
        write_whole(path, lambda temporary: save_file(arrays | labels, temporary, about))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what :meth:`write` wrote.

        Raises:
            InputError: There is no such file, or it is damaged.
        """
        remedy = "score the model again with this version of ntps"
        try:
            with safe_open(path, "numpy") as file:
                about = json.loads(file.metadata()["about"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            layers = tuple(map(int, about["layers"]))
            labels = Labels(about["kind"], arrays.pop("targets").astype(np.float64), arrays.pop("groups", None))
            *judged, together = (
                Judged(**{name: rows[probe].astype(np.float64) for name, rows in arrays.items()})
                for probe in range(len(layers) + 1)
            )
        except FileNotFoundError as error:
            raise InputError(f"there is no {path}, which says text by text how right probes are: {remedy}") from error
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"cannot read {path} ({error}): {remedy}") from error
        return cls(labels, layers, tuple(judged), together)
