"""What a report needs of the files that it reads."""

from __future__ import annotations

from ntps.shapes import MAYBE, Shape

FIGURES = ("accuracy", "balanced_accuracy", "mse", "squared_loss", "r2", "cross_entropy")
_FIGURES: Shape = ({f"{name}?": MAYBE for name in FIGURES}, None)
_BY_SPLIT: Shape = {"train?": _FIGURES, "test?": _FIGURES, "majority_accuracy": {"train?": MAYBE, "test?": MAYBE}}
_LAYER: Shape = {"layer": int, "name": str}
_OF_LAYER = ["area", "chance_area", "r2", "r2_adjusted", "r2_test", "accuracy_test", "k_share95", "ntps_share95"]
_CHANGED = [
    "k",
    "ntps_before",
    "ntps_after",
    "ntps_change_percent",
    "area_before",
    "area_after",
    "r2_before",
    "r2_after",
]
HEAD: Shape = {
    "kind": str,
    "model": {"id": str, "revision?": (str, None)},
    "task": {
        "id": str,
        "texts": int,
        "classes": int,
        "fingerprint?": str,
        "target_kind?": str,
        "test?": ({"texts": int, "fingerprint?": str}, None),
    },
    "settings": {},
    "timing": {"total?": MAYBE},
    "warnings?": [str],
}
BY_KIND: dict[str, Shape] = {
    "score": {
        **HEAD,
        "model": {**HEAD["model"], "num_layers": int},
        "layers": [{**_LAYER, **{f"{name}?": MAYBE for name in _OF_LAYER}}],
        "change?": {"layers": [{**_LAYER, **{f"{name}?": MAYBE for name in _CHANGED}}]},
    },
    "probe": {
        **HEAD,
        "settings": {"kind": str},
        "layers": [{**_LAYER, "train?": _FIGURES, "test?": _FIGURES}],
        "summary": {**_LAYER, **_BY_SPLIT},
    },
    "finetune": {
        **HEAD,
        "settings": {"method": str, "from_scratch": bool},
        "summary": {"steps": int, **_BY_SPLIT},
    },
    "words": {
        "kind": str,
        "model": {"id": str},
        "task": {"id": str},
        "summary": {
            **_LAYER,
            "rule": str,
            "perception_eigenvalues": [(int, float)],
            "autoregressive_eigenvalues": [(int, float)],
        },
        "words": [{"list": str, "word": str, **{f"{name}?": (int, float) for name in ("u1", "u2", "v1", "v2")}}],
    },
}
"""``result.json`` by its kind."""
STUDY: Shape = {
    "schema": int,
    "name?": (str, None),
    "runs": [
        {
            "model": str,
            "revision?": (str, None),
            "task": str,
            "measurement": str,
            "folder": str,
            "status": str,
            "cause?": (str, None),
            "seconds?": MAYBE,
        }
    ],
}
"""``study.json``."""
