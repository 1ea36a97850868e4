"""Ridge and tangent probes on disk: a safetensors file that says for which model and which labels its weights are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ntps.errors import InputError
from ntps.files import SCHEMA, write_whole
from ntps.forward.tangents import DIRECTIONS, RANK, WIDTH
from ntps.jobs.record import Provenance
from ntps.theory import LayersProbe, LinearProbe
from ntps.training.metrics import Array
from ntps.validation.cross_validation import CrossValidation
from ntps.validation.tangents import TangentFit, TangentRidge


@dataclass(frozen=True)
class SavedProbe:
    """The ridge probes of one layer and of all layers together, for pooled texts as they are.

    Attributes:
        layer: The chosen layer.
        chosen: Its probe.
        layers: The layers of the other one, ascending.
        together: The probe of all of them.
        inverse_temperatures: What makes probabilities of the predictions of both; see
            :func:`~ntps.validation.probabilities.fit_inverse_temperature`. None for numbers, and in older files.
        about: What they belong to, in JSON types: ``schema, settings_hash``, and some of the blocks ``model``, ``task``
            and ``settings`` of the result.
    """

    layer: int
    chosen: LinearProbe
    layers: tuple[int, ...]
    together: LayersProbe
    inverse_temperatures: tuple[float | None, float | None]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, ridge: CrossValidation, layer: int, provenance: Provenance) -> SavedProbe:
        """The probes that were fitted to all training texts.

        Args:
            ridge: Every probe of a run.
            layer: The chosen layer.
            provenance: What they were fitted to.
        """
        return cls(
            layer,
            ridge.fits[layer].probe,
            ridge.together.layers,
            ridge.together.probe,
            (ridge.fits[layer].inverse_temperature, ridge.together.inverse_temperature),
            _belongs_to(provenance),
        )

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
        own = {"layer": self.layer, "layers": self.layers, "inverse_temperatures": self.inverse_temperatures}
        _write(path, tensors, {**self.about, **own})

    @classmethod
    def read(cls, path: Path) -> SavedProbe:
        """Reads what :meth:`write` wrote.

        Raises:
            InputError: The file cannot be read, or holds something else.
        """
        with _opened(path) as (get, about):
            layer, layers = about.pop("layer"), tuple(about.pop("layers"))
            of_chosen, of_together = about.pop("inverse_temperatures", (None, None))
            chosen = LinearProbe(get("chosen.coefficients"), get("chosen.intercept"))
            coefficients = tuple(get(f"all_layers.coefficients.{each}") for each in layers)
            together = LayersProbe(coefficients, get("all_layers.intercept"), get("all_layers.shares"))
        return cls(layer, chosen, layers, together, (of_chosen, of_together), about)

    def parts(self, *, all_layers: bool) -> dict[int, LinearProbe]:
        """What each layer adds to the prediction of one of the two probes, which is their sum."""
        if all_layers:
            return dict(zip(self.layers, self.together.parts, strict=True))
        return {self.layer: self.chosen}

    def predict(self, pooled: Mapping[int, Float64[Array, "texts dims"]]) -> Float64[Array, "texts outputs"]:
        """What the probe of all layers predicts.

        Args:
            pooled: Pooled texts by layer.
        """
        return self.together.predict(pooled[layer] for layer in self.layers)


@dataclass(frozen=True)
class SavedTangentProbe:
    """The tangent probe.

    Attributes:
        ridge: Its weights.
        inverse_temperature: As for :class:`SavedProbe`.
        about: What it belongs to, as for :class:`SavedProbe`; ``tangents`` holds what else a
            :class:`~ntps.forward.tangents.TangentPass` must be given to compute its features.
    """

    ridge: TangentRidge
    inverse_temperature: float | None
    about: Mapping[str, Any]

    @classmethod
    def of(cls, fit: TangentFit, seed: int, provenance: Provenance) -> SavedTangentProbe:
        """The probe that was fitted to all training texts.

        Args:
            fit: The probe.
            seed: Of its features.
            provenance: What it was fitted to.
        """
        tangents = {"width": WIDTH, "rank": RANK, "directions": DIRECTIONS, "seed": seed}
        return cls(fit.ridge, fit.inverse_temperature, {**_belongs_to(provenance), "tangents": tangents})

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all; errors as for :class:`SavedProbe`."""
        states, coefficients = self.ridge.states, self.ridge.coefficients
        tensors = {"coefficients": states.coefficients, "intercept": states.intercept, "tangents": coefficients}
        _write(path, tensors, {**self.about, "inverse_temperature": self.inverse_temperature})

    @classmethod
    def read(cls, path: Path) -> SavedTangentProbe:
        """Reads what :meth:`write` wrote; errors as for :class:`SavedProbe`."""
        with _opened(path) as (get, about):
            inverse_temperature = about.pop("inverse_temperature", None)
            ridge = TangentRidge(LinearProbe(get("coefficients"), get("intercept")), get("tangents"))
        return cls(ridge, inverse_temperature, about)


def read_probe(path: Path) -> SavedProbe | SavedTangentProbe:
    """Reads a probe of either kind.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    with _opened(path) as (_get, about):
        kind = SavedTangentProbe if "tangents" in about else SavedProbe
    return kind.read(path)


def _belongs_to(provenance: Provenance) -> dict[str, Any]:
    whole = provenance.to_dict()
    kept = {
        "model": ("id", "revision", "tokenizer", "tokenizer_fingerprint", "weights"),
        "task": ("id", "target_kind", "label_names"),
        "settings": ("pooling", "max_length", "dtype", "attention_mask"),
    }
    blocks = {block: {name: whole[block][name] for name in names} for block, names in kept.items()}
    blocks["task"]["text_columns"] = (whole["task"]["selection"] or {}).get("text_columns", [])
    return {"schema": SCHEMA, "settings_hash": provenance.settings_hash, **blocks}


def _write(path: Path, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    metadata = {"ntps": json.dumps(about, ensure_ascii=False)}
    write_whole(path, lambda temporary: save_file(contiguous, temporary, metadata=metadata))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Callable[[str], Array], dict[str, Any]]]:
    """Reads tensors by name, and what they belong to."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file.get_tensor, json.loads(file.metadata()["ntps"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read a probe from {path}: {error}; make the run again") from error
