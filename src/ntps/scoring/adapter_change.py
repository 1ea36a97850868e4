"""What fine-tuning changed: the scores of the same texts before and after (the paper's table 2)."""

from __future__ import annotations

from ntps.errors import InputError
from ntps.scoring.record import ChangeBlock, ChangeRow, LayerRow, ScoreRecord

RULE = "k where next_token_share reaches 0.95"
"""In the model before; fixed in advance, so that no k is chosen by its result."""


def parse_place(text: str, num_layers: int, hidden_size: int) -> tuple[int, int]:
    """The layer and the k of a text such as ``12:300``; layers may count from the end.

    Raises:
        InputError: The text cannot be read, or the model has no such layer or k.
    """
    first, _, second = text.rpartition(":")
    try:
        layer, k = int(first), int(second)
    except ValueError as error:
        raise InputError(f"`at` {text!r} cannot be read: write a layer and a k, such as 4:100") from error
    if not -num_layers - 1 <= layer <= num_layers or not 1 <= k <= hidden_size:
        raise InputError(
            f"`at` {text} does not exist: the model has layers 0 to {num_layers}, and k is 1 to {hidden_size}"
        )
    return layer % (num_layers + 1), k


def change_block(before: ScoreRecord, after: ScoreRecord, place: tuple[int, int] | None) -> ChangeBlock:
    """The ``change`` block of a result.

    Args:
        before: Score of the base model.
        after: Score of the same layers and texts after fine-tuning.
        place: A layer and a k to look at besides.
    """

    def row(layer: int, name: str | None, k: int | None, **figures: float | None) -> ChangeRow:
        old, new = (None if k is None else _ntps(record, layer, k) for record in (before, after))
        percent = 100 * (new - old) / old if old and new is not None else None
        ntps = {"k": k, "ntps_before": old, "ntps_after": new, "ntps_change_percent": percent}
        return ChangeRow.model_validate({"layer": layer, "name": name, **figures, **ntps})

    def changed(old: LayerRow, new: LayerRow) -> ChangeRow:
        names = ("area", "r2", "area_cv", "r2_cv")
        figures = {f"{name}_before": getattr(old, name) for name in names}
        figures |= {f"{name}_after": getattr(new, name) for name in names}
        return row(old.layer, old.name, old.k_share95, **figures)

    pairs = zip(before.result.layers, after.result.layers, strict=True)
    at = None
    if place is not None:
        names = {old.layer: old.name for old in before.result.layers}
        at = row(place[0], names.get(place[0]), place[1])
    return ChangeBlock(
        baseline={"summary": before.result.summary.to_dict()},
        rule=RULE,
        layers=tuple(changed(old, new) for old, new in pairs),
        at=at,
    )


def _ntps(record: ScoreRecord, layer: int, k: int) -> float | None:
    """None where the layer was not scored, k exceeds the rank of its V, or NTPS is undefined."""
    curves = record.curves
    found = curves.loc[(curves["layer"] == layer) & (curves["k"] == k), "ntps"].dropna()
    return None if found.empty else float(found.iloc[0])
