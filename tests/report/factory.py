"""A results folder as a study writes it, with planted relations, made in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MEASUREMENTS = ("score", "ols", "logistic", "adamw", "lora", "scratch", "score-after-lora")
LAYERS, WIDTH, TEST_TEXTS = 4, 24, 600
NAMES = ("embed", "block.1", "block.2", "final_norm")
SETTINGS = {
    "layers": list(range(LAYERS)),
    "pooling": "mean",
    "max_length": None,
    "tokens_per_batch": 4096,
    "test": True,
    "dtype": "float32",
    "device": "cpu",
    "attention_mask": "none",
    "batching_deviation": 0.0,
}
TASKS = (
    "emotion",
    "imdb",
    "banking77",
    "sst2",
    "intent",
    "sms_spam",
    "clickbait",
    "rotten_tomatoes",
    "climate_sentiment",
    "commonsense_qa",
    "medical_questions_pairs",
    "financial_phrasebank",
)


@dataclass(frozen=True)
class StudyFactory:
    """Writes a study.

    Attributes:
        models: Model ids.
        tasks: Task ids.
        measurements: Measurements of every pair.
        failed: Causes by (model, task, measurement); a failed run has no folder.
        missing: Runs that were never started.
        noise: Spread of figures around what fit alone would give.
    """

    models: Sequence[str] = ("demo/tiny-lm",)
    tasks: Sequence[str] = TASKS[:8]
    measurements: Sequence[str] = MEASUREMENTS
    failed: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    missing: Sequence[tuple[str, str, str]] = ()
    noise: float = 0.02

    def write(self, folder: Path, *, manifest: bool = True) -> Path:
        """Writes every run, and ``study.json`` beside them."""
        runs = []
        for number, model in enumerate(self.models):
            for index, task in enumerate(self.tasks):
                rng = np.random.default_rng([number, index])
                fit = (index * 5 % len(self.tasks) + 0.5) / len(self.tasks)
                for measurement in self.measurements:
                    key = (model, task, measurement)
                    where = Path("results") / slug(model) / "local" / slug(task) / measurement
                    status = "failed" if key in self.failed else "missing" if key in self.missing else "done"
                    if status == "done":
                        self.run(folder / where, model, task, measurement, fit, rng)
                    runs.append(
                        {
                            "model": model,
                            "revision": "local",
                            "task": task,
                            "measurement": measurement,
                            "folder": str(where),
                            "status": status,
                            "cause": self.failed.get(key),
                            "seconds": None if status == "missing" else 10.0 * (1 + len(measurement)),
                        }
                    )
        study = {"schema": 1, "name": "planted", "definition": {}, "runs": runs}
        if manifest:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "study.json").write_text(json.dumps(study))
        return folder

    def run(self, folder: Path, model: str, task: str, measurement: str, fit: float, rng: np.random.Generator) -> None:
        """Writes one finished run."""

        def noise() -> float:
            return float(rng.normal(0, self.noise))

        base = 0.5 + 0.4 * fit
        result = head(model, task)
        if measurement.startswith("score"):
            after = measurement == "score-after-lora"
            result |= score_blocks(fit + 0.1 * after, noise)
            folder.mkdir(parents=True)
            curves(fit, noise).to_parquet(folder / "curves.parquet", index=False)
            if after:
                result["model"]["adapter"] = {"method": "lora", "rank": 32}
                result["change"] = change(fit, noise)
        elif measurement in ("ols", "logistic", "adamw"):
            result |= probe_blocks(measurement, base, noise)
        else:
            gain = 0.12 * (1 - fit) if measurement == "lora" else -0.1
            result |= finetune_blocks(measurement, base + gain + noise())
            folder.mkdir(parents=True)
            losses(base + gain).to_parquet(folder / "curves.parquet", index=False)
        folder.mkdir(parents=True, exist_ok=True)
        result["settings"] = SETTINGS | result["settings"]
        (folder / "result.json").write_text(json.dumps(result))


def slug(name: str) -> str:
    return name.strip("/").replace("/", "--")


def head(model: str, task: str) -> dict[str, Any]:
    digests = dict.fromkeys(("fingerprint", "texts_fingerprint", "tokens_fingerprint"), "0" * 64)
    split = {"tokens": 12000, "dropped": {}, "truncated": 0, **digests}
    return {
        "schema": 1,
        "ntps_version": "0.1.0",
        "created": "2026-01-01T00:00:00+00:00",
        "settings_hash": "0" * 64,
        "model": {
            "id": model,
            "revision": None,
            "architecture": "Tiny",
            "parameters": 1000,
            "hidden_size": WIDTH,
            "num_layers": LAYERS - 1,
            "layer_names": NAMES,
            "tokenizer": model,
            "weights": "0" * 64,
            "adapter": None,
        },
        "task": {
            "id": task,
            "source": "file",
            "revision": None,
            "split": "train",
            "texts": 1500,
            **split,
            "classes": 2,
            "target_kind": "classes",
            "label_names": ["a", "b"],
            "class_counts": [800, 700],
            "selection": {},
            "notes": [],
            "test": {"split": "test", "texts": TEST_TEXTS, **split},
        },
        "timing": {"total": 5.0},
        "versions": {"python": "3.11"},
        "warnings": [],
    }


def score_blocks(fit: float, noise: Any) -> dict[str, Any]:
    rows = [
        {
            "layer": layer,
            "name": NAMES[layer],
            "area": 0.1 + 0.2 * fit * (1 + layer) / LAYERS + 0.5 * noise(),
            "chance_area": 0.05,
            "r2": 0.3 + 0.5 * fit,
            "r2_adjusted": 0.25 + 0.5 * fit,
            "r2_test": 0.2 + 0.5 * fit,
            "accuracy_test": 0.5 + 0.4 * fit,
            "k_share95": 9,
            "ntps_share95": 0.3 + 0.3 * fit + noise(),
            "chance_ntps": 9 / WIDTH,
            "rank_pooled": WIDTH,
            "rank_centered": WIDTH,
            "rank_autoregressive": WIDTH,
            "rank_perception": 2,
            **dict.fromkeys(("best_loss", "target_energy", "next_token_loss")),
            **dict.fromkeys(("bound_lower_constant", "bound_upper_constant")),
            "perception_eigenvalues": [0.2, 0.1],
            "condition": {},
            "cutoff": {},
            "warnings": [],
        }
        for layer in range(LAYERS)
    ]
    return {
        "kind": "score",
        "settings": {"convention": "paper", "centered": False, "world_size": 1},
        "layers": rows,
        "summary": {**rows[-1], "rule": "planted", "few_texts": False},
    }


def curves(fit: float, noise: Any) -> pd.DataFrame:
    k = np.arange(1, WIDTH + 1)
    frames = []
    for layer in range(LAYERS):
        base = np.clip((k / WIDTH) ** (1 + layer * (1 - fit)) + 0.5 * noise(), 0, 1)
        frames.append(
            pd.DataFrame(
                {
                    "convention": "paper",
                    "layer": layer,
                    "k": k,
                    "k_perception": np.minimum(k, 2),
                    "fraction": np.nan,
                    "ntps": base,
                    "ntps_full": base,
                    "excess_loss": 1 - base,
                    "retained": base,
                    "retained_centered": base,
                    "next_token_share": 1 - 0.7**k,
                    "tied": False,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def change(fit: float, noise: Any) -> dict[str, Any]:
    rows = []
    for layer in range(LAYERS):
        before, after = 0.3 + 0.3 * fit, 0.33 + 0.33 * fit + noise()
        rows.append(
            {
                "layer": layer,
                "name": NAMES[layer],
                "k": 9,
                "area_before": 0.2,
                "area_after": 0.25,
                "r2_before": 0.4,
                "r2_after": 0.6,
                "ntps_before": before,
                "ntps_after": after,
                "ntps_change_percent": 100 * (after / before - 1),
            }
        )
    return {"baseline": {"summary": {}}, "layers": rows, "rule": "k where next_token_share reaches 0.95", "at": None}


def figures(accuracy: float) -> dict[str, float | None]:
    return {
        "accuracy": min(accuracy, 1.0),
        "balanced_accuracy": min(accuracy, 1.0),
        "mse": 0.25 * (1 - accuracy),
        "squared_loss": 0.5 * (1 - accuracy),
        "r2": accuracy - 0.2,
        "cross_entropy": -float(np.log(max(accuracy, 1e-3))),
    }


def probe_blocks(kind: str, base: float, noise: Any) -> dict[str, Any]:
    layers = range(LAYERS) if kind != "adamw" else [LAYERS - 1]
    rows = [
        {
            "layer": layer,
            "name": NAMES[layer],
            "train": figures(base + 0.03 + noise()),
            "test": figures(base + noise()),
            "warnings": [],
        }
        for layer in layers
    ]
    majority = {"majority_accuracy": {"train": 0.52, "test": 0.51}}
    return {
        "kind": "probe",
        "settings": {"kind": kind},
        "layers": rows,
        "summary": {**rows[-1], "rule": "last layer", **majority},
    }


def finetune_blocks(measurement: str, accuracy: float) -> dict[str, Any]:
    return {
        "kind": "finetune",
        "settings": {
            "method": "lora" if measurement == "lora" else "full",
            "from_scratch": measurement == "scratch",
            "batch_size": 16,
        },
        "summary": {
            "train": None,
            "test": figures(accuracy),
            "majority_accuracy": {"train": 0.52, "test": 0.51},
            "steps": 500,
            "trainable_parameters": 4000,
            "total_parameters": 10000,
        },
    }


def losses(accuracy: float) -> pd.DataFrame:
    steps = np.arange(10, 501, 10)
    decay = np.log(2) * (1 - accuracy + accuracy * np.exp(-steps / 120))
    train = pd.DataFrame({"step": steps, "split": "train", "cross_entropy": decay, "accuracy": np.nan})
    test = train[train["step"] % 100 == 0].assign(
        split="test", cross_entropy=lambda frame: frame["cross_entropy"] + 0.05, accuracy=accuracy
    )
    return pd.concat([train, test], ignore_index=True).assign(learning_rate=1e-4)
