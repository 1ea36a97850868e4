"""A fine-tuning run beside other runs: what each reaches on the same test texts, and what it gains, how certainly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ntps.display.finetune import NAMES
from ntps.display.sentences import percent, with_ends
from ntps.errors import InputError
from ntps.files import HELD_OUT
from ntps.jobs.blocks import SplitBlock
from ntps.jobs.held_out_texts import ALL_LAYERS, CHOSEN, HeldOutTexts
from ntps.scoring.record import ScoreFile
from ntps.study.analysis.reader import read_result
from ntps.training.records import FinetuneFile, ProbeFile
from ntps.validation.judged import Estimate


@dataclass(frozen=True)
class Compared:
    """A run that is compared with others.

    Attributes:
        folder: Where it is.
        result: What it says.
        texts: How right it is about each test text, if it left that.
    """

    folder: Path
    result: ScoreFile | ProbeFile | FinetuneFile
    texts: HeldOutTexts | None

    @property
    def name(self) -> str:
        """What it is called."""
        return NAMES["ridge" if isinstance(self.result, ScoreFile) else self.result.measurement]

    @property
    def predictors(self) -> dict[str, str]:
        """Its predictors, with what each is called in a sentence."""
        if isinstance(self.result, FinetuneFile):
            return {CHOSEN: {"from scratch": "training from scratch"}.get(self.name, self.name)}
        chosen = {CHOSEN: f"the {self.name} of {self.result.summary.name}"}
        several = len(self.result.layers) > 1 and self.result.all_layers is not None
        return chosen | ({ALL_LAYERS: "one probe of all layers"} if several else {})

    def figure(self, predictor: str, split: str) -> Estimate:
        """What a predictor reaches on a split: accuracy, of label sets as a whole, or R²; empty where not known."""
        kind = "r2" if self.result.task.target_kind == "regression" else "accuracy"
        block: object
        if isinstance(self.result, ScoreFile) or predictor == ALL_LAYERS:
            block = self.result.summary if predictor == CHOSEN else getattr(self.result, "all_layers", None)
            kind = f"{kind}_{split}"
        else:
            block = self.result.summary.figures.get(split)
        low, high = getattr(block, f"{kind}_interval", None) or (None, None)
        return Estimate(getattr(block, kind, None), low, high)

    def split(self, name: str) -> SplitBlock | None:
        """The texts of a split."""
        return self.result.task if name == "train" else self.result.task.test


def read_compared(folders: Sequence[Path]) -> list[Compared]:
    """Results of scores, probes and fine-tuning runs to compare with.

    Raises:
        InputError: A folder holds no such result.
    """
    found = []
    for folder in folders:
        result = read_result(folder)
        if not isinstance(result, ScoreFile | ProbeFile | FinetuneFile):
            raise InputError(
                f"{folder} holds no score, no probe and no fine-tuning run: give such folders with `compare`"
            )
        found.append(Compared(folder, result, HeldOutTexts.read(folder / HELD_OUT)))
    return found


def comparison(result: FinetuneFile, texts: HeldOutTexts | None, others: Sequence[Compared]) -> list[str]:
    """What all reach on the same texts, in a line; then what the run gains over each other one.

    Args:
        result: The fine-tuning run.
        texts: How right it is about each test text.
        others: What to compare it with.
    """
    run, split = Compared(Path(), result, texts), result.summary.main
    majority = result.summary.majority_accuracy[split]
    parts = [] if majority is None else [f"most frequent class {percent(majority)}"]
    names = [*NAMES.values()]
    for each in sorted((*others, run), key=lambda each: names.index(each.name)):
        if _same(run, each, split):
            reached = {each.name: CHOSEN, "one probe of all layers": ALL_LAYERS}
            found = {name: each.figure(key, split).value for name, key in reached.items() if key in each.predictors}
            parts += [f"{name} {percent(value)}" for name, value in found.items() if value is not None]
    kind = "R²" if result.task.target_kind == "regression" else "Accuracy"
    lines = [f"{kind}: {', '.join(dict.fromkeys(parts))}."]
    for other in others:
        why = _not_comparable(run, other, split)
        lines += [f"{other.folder} is not compared: {why}."] if why else _compared(run, other, split)
    return lines


def _compared(run: Compared, other: Compared, split: str) -> Iterator[str]:
    """What the run gains over the predictors of another one, and in what the two differ."""
    by_kind: dict[str, list[str]] = {}
    for predictor, name in other.predictors.items():
        found, kind = _gain(run, other, predictor, split)
        if found.value is not None:
            gain = with_ends(found.value, None if found.low is None else (found.low, found.high), "+")
            by_kind.setdefault(kind, []).append(f"over {name} {gain}")
    for kind, gains in by_kind.items():
        yield f"Gain of {run.predictors[CHOSEN]} {', '.join(gains)} points ({kind})."
    differences = list(_differences(run, other))
    if differences:
        yield f"{other.folder} is of something else than this run: {'; '.join(differences)}."


def _gain(run: Compared, other: Compared, predictor: str, split: str) -> tuple[Estimate, str]:
    """The gain over one predictor, and what its interval is made of."""
    same = _same(run, other, split)
    if split == "test" and same and run.texts and other.texts and predictor in other.texts.shares:
        return run.texts.gain(CHOSEN, other.texts, predictor), f"95 %, text by text on the {_many(run, split)}"
    mine, theirs = run.figure(CHOSEN, split), other.figure(predictor, split)
    if mine.value is None or theirs.value is None:
        return Estimate(None), ""
    gain = mine.value - theirs.value
    if mine.low is None or mine.high is None or theirs.low is None or theirs.high is None:
        return Estimate(gain), f"no interval, on the {_many(run, split)}"
    # What takes each figure away from the other, or towards it, adds up as independent errors do.
    low = gain - math.hypot(mine.value - mine.low, theirs.high - theirs.value)
    high = gain + math.hypot(mine.high - mine.value, theirs.value - theirs.low)
    apart = f"one of which did not keep how right it is about each of the {_many(run, split)}"
    return Estimate(gain, low, high), f"95 %, from the errors of both, {apart if same else 'on different test texts'}"


def _not_comparable(run: Compared, other: Compared, split: str) -> str | None:
    """Why nothing can be said."""
    mine, theirs = run.result.task, other.result.task
    if (mine.target_kind, mine.label_names) != (theirs.target_kind, theirs.label_names):
        return f"it is of {theirs.id} with {_labels(other)}, and this run of {mine.id} with {_labels(run)}"
    if split == "train" and not _same(run, other, split):
        return f"this run has no test texts, and {_texts(mine, theirs, split)}"
    if all(_gain(run, other, predictor, split)[0].value is None for predictor in other.predictors):
        return f"it has no figure of {'test' if split == 'test' else 'training'} texts that this run has"
    return None


def _differences(run: Compared, other: Compared) -> Iterator[str]:
    """In what another run differs: the model of a probe, training texts, test texts."""
    mine, theirs = run.result, other.result
    if not isinstance(theirs, FinetuneFile) and mine.model.weights != theirs.model.weights:
        yield f"its model is {theirs.model.id}, here {mine.model.id}"
    for split in ("train", "test"):
        here, there = run.split(split), other.split(split)
        if here is not None and there is not None and here.fingerprint != there.fingerprint:
            yield _texts(here, there, split)


def _texts(here: SplitBlock, there: SplitBlock, split: str) -> str:
    words = (
        f"{each.texts:,}{'' if each.split is None else f' of split {each.split}'} (SHA-256 {each.fingerprint[:8]}…)"
        for each in (there, here)
    )
    return f"its {'training' if split == 'train' else 'test'} texts are {', here '.join(words)}"


def _labels(each: Compared) -> str:
    names, kind = each.result.task.label_names, each.result.task.target_kind
    if kind == "regression":
        return "numbers"
    shown = ", ".join((*names[:4], *("…" for _ in names[4:5])))
    return f"{len(names)} {'classes' if kind == 'classes' else 'labels'} ({shown})"


def _same(run: Compared, other: Compared, split: str) -> bool:
    here, there = run.split(split), other.split(split)
    return here is not None and there is not None and here.fingerprint == there.fingerprint


def _many(run: Compared, split: str) -> str:
    block = run.split(split)
    return f"{0 if block is None else block.texts:,} {'test' if split == 'test' else 'training'} texts"
