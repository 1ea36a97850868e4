"""How often predictions are what a column of labels says, counted while the rows stream by."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from ntps.errors import InputError
from ntps.prediction.predictions import Predictions
from ntps.tasks.labels.classes import unknown_class
from ntps.tasks.sources.columns import require_columns
from ntps.tasks.sources.table import Table, is_missing, is_number, short
from ntps.theory import PredictionSums

Array = NDArray[np.float64]


class Agreement:
    """Counts hits, or adds up squared errors.

    Args:
        column: Column of the labels; rows where it is empty are not counted.

    Attributes:
        labelled: Rows that have a label.
        hits: Those whose class, or whole label set, is predicted.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.labelled = self.hits = 0
        self._sums: PredictionSums | None = None

    def add(self, table: Table, predictions: Predictions) -> None:
        """Counts rows.

        Raises:
            InputError: The column is missing, or holds a label that the probe does not know.
        """
        require_columns(table, [self.column])
        values = table.values(self.column)
        rows = [row for row, value in enumerate(values) if not is_missing(value)]
        if not rows:
            return
        wanted = np.array([self._vector(values[row], predictions, table.at(row)) for row in rows])
        self.labelled += len(rows)
        if predictions.kind == "regression":
            self._sums = self._sums or PredictionSums(wanted[0])
            self._sums.add(predictions.outputs[rows], wanted)
        elif predictions.kind == "classes":
            self.hits += int((predictions.outputs[rows].argmax(axis=1) == wanted.argmax(axis=1)).sum())
        else:
            self.hits += int((predictions.labels[rows] == (wanted > 0.5)).all(axis=1).sum())

    def sentence(self) -> str:
        """The figure, with an interval at 95 % where it is a share."""
        if not self.labelled:
            return f"No row has a label in column '{self.column}', so nothing can be compared"
        rows = f"{self.labelled:,} row{'s' if self.labelled > 1 else ''} with a label in column '{self.column}'"
        if self._sums is not None:
            r2 = self._sums.r2
            return f"R² is {'undefined' if r2 is None else f'{r2:.3f}'} on {rows}"
        # It takes a third of a second to import, and only this sentence needs it.
        from scipy.stats import binomtest

        found = binomtest(self.hits, self.labelled).proportion_ci(method="wilson")
        share, low, high = (100 * each for each in (self.hits / self.labelled, found.low, found.high))
        return f"Accuracy is {share:.1f} % ({low:.1f} to {high:.1f} %) on {rows}"

    def _vector(self, value: object, predictions: Predictions, at: str) -> Float64[Array, " outputs"]:
        """The target vector that a cell stands for."""
        names, kind = predictions.label_names, predictions.kind
        if isinstance(value, str) and kind != "classes":
            try:
                value = json.loads(value)
            except ValueError:
                value = [value]
        cells: Sequence[object] = value if isinstance(value, list | tuple) else [value]
        numbers = [float(cell) for cell in cells if isinstance(cell, int | float)]
        if kind == "regression" or (kind == "multilabel" and len(numbers) == len(names) and {*numbers} <= {0.0, 1.0}):
            if len(numbers) != len(names):
                raise InputError(
                    f"{at}: {short(value)} in column '{self.column}' is not {len(names)} numbers; correct it, or leave "
                    "it empty"
                )
            return np.array(numbers)
        vector = np.zeros(len(names))
        for cell in cells:
            vector[self._index(cell, names, at)] = 1.0
        return vector

    def _index(self, label: object, names: tuple[str, ...], at: str) -> int:
        """The class that is meant: by its name, or by its number where names are no numbers themselves."""
        written = str(label).lower() if isinstance(label, bool) else str(label)
        if written in names:
            return names.index(written)
        if is_number(written) and float(written).is_integer():
            number = int(float(written))
            if str(number) in names:
                return names.index(str(number))
            if 0 <= number < len(names) and not all(map(is_number, names)):
                return number
        raise unknown_class(at, label, self.column, names)
