"""Ridge probes on disk: one safetensors file that says for which model, and which labels, its weights are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ntps.errors import InputError
from ntps.files import SCHEMA, write_whole
from ntps.jobs.record import Provenance
from ntps.theory import LayersProbe, LinearProbe
from ntps.training.metrics import Array
from ntps.validation.cross_validation import CrossValidation


@dataclass(frozen=True)
class SavedProbe:
    """The ridge probes of one layer and of all layers together, for pooled texts as they are.

    Attributes:
        layer: The chosen layer.
        chosen: Its probe.
        layers: The layers of the other one, ascending.
        together: The probe of all of them.
        about: What they belong to, in JSON types: ``schema, settings_hash``, and some of the blocks ``model``, ``task``
            and ``settings`` of the result.
    """

    layer: int
    chosen: LinearProbe
    layers: tuple[int, ...]
    together: LayersProbe
    about: Mapping[str, Any]

    @classmethod
    def of(cls, ridge: CrossValidation, layer: int, provenance: Provenance) -> SavedProbe:
        """The probes that were fitted to all training texts.

        Args:
            ridge: Every probe of a run.
            layer: The chosen layer.
            provenance: What they were fitted to.
        """
        whole = provenance.to_dict()
        kept = {
            "model": ("id", "revision", "tokenizer", "weights"),
            "task": ("id", "target_kind", "label_names"),
            "settings": ("pooling", "max_length", "dtype", "attention_mask"),
        }
        blocks = {block: {name: whole[block][name] for name in names} for block, names in kept.items()}
        about = {"schema": SCHEMA, "settings_hash": provenance.settings_hash, **blocks}
        return cls(layer, ridge.fits[layer].probe, ridge.together.layers, ridge.together.probe, about)

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all.

        Raises:
            InputError: The disk refuses.
        """
        tensors = {
            "chosen.coefficients": self.chosen.coefficients,
            "chosen.intercept": self.chosen.intercept,
            "all_layers.intercept": self.together.intercept,
            "all_layers.shares": self.together.shares,
        }
        for layer, coefficients in zip(self.layers, self.together.coefficients, strict=True):
            tensors[f"all_layers.coefficients.{layer}"] = coefficients
        about = {**self.about, "layer": self.layer, "layers": self.layers}
        contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        metadata = {"ntps": json.dumps(about, ensure_ascii=False)}
        write_whole(path, lambda temporary: save_file(contiguous, temporary, metadata=metadata))

    @classmethod
    def read(cls, path: Path) -> SavedProbe:
        """Reads what :meth:`write` wrote.

        Raises:
            InputError: The file cannot be read, or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads(file.metadata()["ntps"])
                layer, layers = about.pop("layer"), tuple(about.pop("layers"))
                get = file.get_tensor
                chosen = LinearProbe(get("chosen.coefficients"), get("chosen.intercept"))
                coefficients = tuple(get(f"all_layers.coefficients.{each}") for each in layers)
                together = LayersProbe(coefficients, get("all_layers.intercept"), get("all_layers.shares"))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"cannot read a probe from {path}: {error}; make the run again") from error
        return cls(layer, chosen, layers, together, about)

    def predict(self, pooled: Mapping[int, Float64[Array, "texts dims"]]) -> Float64[Array, "texts outputs"]:
        """What the probe of all layers predicts.

        Args:
            pooled: Pooled texts by layer.
        """
        return self.together.predict(pooled[layer] for layer in self.layers)
