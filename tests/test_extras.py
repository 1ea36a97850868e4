"""What works without the packages of the extras, and what the others say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tiny import save_model, save_task

BLOCKED = ("sklearn", "peft", "accelerate", "ray")
CODE = f"""
import importlib.abc, importlib.metadata, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

import importlib.util
found, version = importlib.util.find_spec, importlib.metadata.version
importlib.util.find_spec = lambda name, package=None: None if name in {BLOCKED!r} else found(name, package)

def known(name):
    if name in {("scikit-learn", *BLOCKED)!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = known
sys.meta_path.insert(0, Blocker())
import ntps
from ntps import *
model, task = sys.argv[1:]
score(model, task)
print("score", probe(model, task).summary["criterion"], probe(model, task, AdamWProbe(epochs=1)).summary["layer"])
for attempt in (
    lambda: probe(model, task, "logistic"),
    lambda: score(model, task, rivals=True),
    lambda: finetune(model, task, LoRA(steps=1)),
    lambda: ntps.NTPSProbe,
):
    try:
        attempt()
    except InputError as error:
        print(error)
"""


def test_scores_and_most_probes_need_no_extra(tmp_path: Path) -> None:
    model, task = save_model(tmp_path / "model"), save_task(tmp_path / "task.jsonl")
    done = subprocess.run([sys.executable, "-c", CODE, model, task], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, rivals, third, fourth = done.stdout.splitlines()
    assert first == "score accuracy 3"
    assert second == "`kind` logistic needs the package scikit-learn: install it with `pip install '.[train]'`"
    assert rivals == "`rivals` needs the package scikit-learn: install it with `pip install '.[train]'`"
    assert third.startswith("fine-tuning needs the package ") and third.endswith("`pip install '.[train]'`")
    assert fourth == "NTPSProbe needs the package scikit-learn: install it with `pip install '.[train]'`"
