"""How right probes and classifiers are about each test text, in a file: two runs can be compared on the same texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ntps import theory
from ntps.errors import InputError
from ntps.files import write_whole
from ntps.validation.judged import Array, Estimate, judge_held_out
from ntps.validation.labels import Ids, Labels

CHOSEN, ALL_LAYERS = "chosen", "all layers"
"""The probe of the layer of the summary, or the classifier, and one ridge probe of all layers."""


@dataclass(frozen=True)
class HeldOutTexts:
    """What predictors contribute, text by text, to their figure ``Σ share / Σ whole`` of the test texts.

    That is the accuracy of classes and of whole label sets (hits over ones), and the R² of numbers (the loss that is
    saved over the loss of the mean).

    Attributes:
        shares: By name of the predictor, ``chosen`` or ``all layers``.
        whole: That of all predictors.
        groups: Numbers of texts that belong together; each text is one of its own by default.
    """

    shares: Mapping[str, Float64[Array, " texts"]]
    whole: Float64[Array, " texts"]
    groups: Int64[Ids, " texts"] | None = None

    @classmethod
    def of(cls, predicted: Mapping[str, Float64[Array, "texts outputs"]], labels: Labels) -> Self:
        """What predictions say.

        Args:
            predicted: By name of the predictor, target vectors: the class is the largest, labels are found from 0.5 on.
            labels: Labels of the test texts.
        """
        whole = np.ones(len(labels))
        shares: dict[str, Array] = {}
        for name, values in predicted.items():
            if labels.kind == "classes":
                shares[name] = (values.argmax(axis=1) == labels.classes).astype(np.float64)
            elif labels.kind == "multilabel":
                shares[name] = ((values >= 0.5) == (labels.targets > 0.5)).all(axis=1).astype(np.float64)
            else:
                judged = judge_held_out(values, labels)
                shares[name], whole = judged.baseline - judged.loss, judged.baseline
        return cls(shares, whole, labels.groups)

    def gain(self, name: str, other: HeldOutTexts, other_name: str) -> Estimate:
        """By how much a predictor is better than another one on the same texts, with a 95 % interval.

        Texts, or groups of them, are drawn with replacement, the same for both.

        Args:
            name: The predictor.
            other: Others of the same texts.
            other_name: The one among them.
        """
        blank = Labels("regression", np.zeros((len(self.whole), 1)), self.groups)
        apart = (self.shares[name] - other.shares[other_name])[:, None]
        found = theory.intervals(theory.ratio(apart, self.whole[:, None]), blank.draws, 1.0)
        value, low, high = (float(each[0]) for each in (found.value, found.low, found.high))
        if np.isnan(value) or np.isnan(low):
            return Estimate(None if np.isnan(value) else value)
        if low == high:
            # Where all draws agree they say nothing.
            margin = theory.certain_share(blank.units)
            low, high = value - margin, value + margin
        return Estimate(value, low, high)

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all.

        Raises:
            InputError: The disk refuses.
        """
        arrays: dict[str, NDArray[Any]] = {"shares": np.stack(list(self.shares.values())), "whole": self.whole}
        if self.groups is not None:
            arrays["groups"] = self.groups
        about = {"about": json.dumps({"predictors": list(self.shares)})}
        write_whole(path, lambda temporary: save_file(arrays, temporary, about))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Reads what :meth:`write` wrote; None where nothing is.

        Raises:
            InputError: The file is damaged.
        """
        try:
            with safe_open(path, "numpy") as file:
                names = json.loads(file.metadata()["about"])["predictors"]
                arrays: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            shares = dict(zip(names, arrays["shares"], strict=True))
            return cls(shares, arrays["whole"], arrays.get("groups"))
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"cannot read {path} ({error}): make the run again") from error
