"""Options and arguments that make no sense."""

from __future__ import annotations

import random
from collections.abc import Iterator

from fuzz.cases import Case
from fuzz.inputs import Inputs

NUMBERS = ("nan", "inf", "-inf", "-1", "1e308", "x", "", "--")
WHOLE = ("0", "-1", "x", "1.5", "", "nan")
SEEDS = ("-1", str(10**23), "x", "1.5")
OF_PASS = {
    "--layers": ("zz", "9", "-9", "1:0", "1,,2", "", "0:9"),
    "--pooling": ("median", ""),
    "--max-length": ("0", "-5", "100000", "x"),
    "--tokens-per-batch": ("0", "-1", "x"),
    "--device": ("nope", "meta:9", "", "cuda:x", "meta"),
    "--dtype": ("float7", ""),
    "--seed": SEEDS,
    "--limit": WHOLE,
    "--split": ("nope", ""),
    "--text-column": ("nope", ""),
    "--label-column": ("nope", "text"),
    "--group-column": ("nope", "label", ""),
    "--tokenizer": ("/nowhere", "~nobodyx/m", "x" * 5000),
    "--out": ("/dev/null/x", "{here}/file"),
}
OF_FINETUNE = {
    **{f"--{name}": WHOLE for name in ("steps", "batch-size", "patience", "accumulate", "eval-every", "rank")},
    "--save-every": WHOLE,
    **{f"--{name}": NUMBERS for name in ("learning-rate", "weight-decay", "alpha", "clip-threshold")},
    **{f"--{name}": ("1", "nan", "-0.1", "inf") for name in ("warmup", "lora-dropout", "head-dropout")},
    "--decay-rate": ("5", "nan", "inf"),
    "--start-layer": ("-1", "99", "x"),
    "--method": ("nope",),
    "--precision": ("float7",),
    "--recipe": ("nope",),
}
OF_PROBE = {
    "--kind": ("nope",),
    "--epochs": WHOLE,
    "--solver": ("nope", "saga"),
    **{f"--{name}": ("nan", "inf", "-1") for name in ("learning-rate", "weight-decay", "dropout")},
}
ALONE = (
    ("report", "/nowhere"),
    ("report", "{study}", "--figures", "9"),
    ("report", "{study}", "--out", "/dev/null/x"),
    ("paper", "--with", "/nowhere"),
    ("paper", "--out", "/dev/null/x"),
    ("merge", "{scored}", "--out", "{here}/out"),
    ("merge", "{scored}", "{scored}", "--out", "{here}/out"),
    ("merge", "/nowhere", "{scored}", "--out", "{here}/out"),
    ("score", "--from", "/nowhere"),
    ("score", "--from", "{scored}", "--layers", "9"),
    ("score", "--from", "{scored}", "--dtype", "float64"),
    ("score", "--from", "{scored}", "{task}", "more"),
    ("probe", "--from", "/nowhere"),
    ("probe", "--from", "{scored}", "--device", "cpu"),
    ("probe", "--from", "{scored}", "{task}", "more"),
    ("predict", "/nowhere", "{task}"),
    ("predict", "{scored}", "{task}"),
    ("predict", "{model}", "{task}", "--tokens-per-batch", "0"),
    ("predict", "{model}", "/nowhere.jsonl"),
    ("score", "{task}"),
    ("score", "{model}", "{model}"),
    ("score", "{model}", "{task}", "--adapter", "{model}"),
    ("score", "{model}", "{task}", "--at", "2:3"),
    ("score", "{model}", "{task}", "--keep-pooled"),
    ("words", "{scored}"),
    ("words", "{scored}", "--list", "A=ba", "--list", "A=be"),
    ("words", "{scored}", "--list", "A="),
    ("words", "{scored}", "--list", "=a"),
    ("words", "{scored}", "--list", "A=ba", "--layer", "9"),
    ("finetune", "{model}", "{task}", "--from-scratch"),
    ("finetune", "{model}", "{task}", "--recipe", "paper", "--patience", "3"),
    ("finetune", "{model}", "{task}", "--method", "full", "--rank", "3"),
    ("finetune", "{model}", "{task}", "--epsilons", "nan", "1"),
    ("finetune", "{model}", "{task}", "--compare", "/nowhere"),
    ("study", "/nowhere.yaml"),
    ("study", "{model}"),
    ("study", "demo", "--jobs", "0"),
    ("study", "demo", "--model", "~nobodyx/m", "--model", "~nobodyx/m", "--dry-run"),
    ("tasks", "more"),
    ("models", "more"),
    ("nope",),
)


def cases(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """Endless."""
    places = {name: str(getattr(inputs, name)) for name in ("model", "task", "scored", "study")}
    tables = {"score": OF_PASS, "probe": {**OF_PASS, **OF_PROBE}, "finetune": OF_FINETUNE, "doctor": OF_PASS}
    while True:
        for words in rng.sample(ALONE, len(ALONE)):
            arguments = [word.format(here="{here}", **places) if word != "{here}" else word for word in words]
            yield Case(" ".join(words)[:60], tuple(arguments))
            command = rng.choice(list(tables))
            option, values = rng.choice(list(tables[command].items()))
            value = rng.choice(values)
            if command == "doctor" and option in (
                "--layers",
                "--pooling",
                "--max-length",
                "--tokens-per-batch",
                "--seed",
                "--out",
            ):
                continue
            yield Case(
                f"{command} {option} {value[:20]!r}",
                (command, places["model"], places["task"], f"{option}={value}"),
                prepare=lambda here: (here / "file").write_text("mine"),
            )
