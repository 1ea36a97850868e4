"""The tangent probe: ridge on the last layer and on its derivatives by LoRA's weights, LoRA in its linear regime."""

from __future__ import annotations

import pandas as pd
import torch

from ntps.checkpoint.tangent_rows import TangentRows
from ntps.jobs.held_out_texts import CHOSEN, HeldOutTexts
from ntps.jobs.new_texts import validated_alone
from ntps.moments.kernels import resolution_of
from ntps.options.passes import CV_TEXTS
from ntps.training.metrics import figures_of_values
from ntps.training.probes.compared import ONLY, ComparedProbes, layer_row, require_texts, summarize
from ntps.training.probes.fitted import CURVES, ProbeFit
from ntps.validation.judged import judge_held_out
from ntps.validation.labels import Labels, seeded_sample
from ntps.validation.tangents import fit_tangents


def probe_tangents(features: TangentRows) -> ComparedProbes | None:
    """Runs the passes of a tangent probe, and fits it: to a seeded sample of the training texts where they are many.

    Args:
        features: What is known of model and task already.

    Returns:
        The probe in the first process, None in the others that share the passes.

    Raises:
        InputError: LoRA does not know the model's projections, or no text can be left out.
        NumericalError: A derivative is not finite.
        OutOfMemory: Not even one text fits.
    """
    ready = features.ready
    task, model, (layer,) = ready.task, ready.model, ready.layers
    sample = seeded_sample(len(task.train), CV_TEXTS)
    labels = Labels.of(task, task.train).take(sample)
    require_texts(labels.units)
    with ready.clock.phase("forward"):
        train, test, test_labels = features.collect("train", task.train, ready.tokens.take(sample)), None, None
        if ready.test is not None and ready.test_tokens is not None:
            test = features.collect("test", ready.test, ready.test_tokens)
            test_labels = Labels.of(task, ready.test)
    if train is None:
        return None
    with ready.clock.phase("training"):
        fit = fit_tangents(train.pooled[layer], train.tangents, labels, resolution_of(torch.float32))
        known = figures_of_values(fit.predict(train.pooled[layer], train.tangents), labels)
        unseen, judged, held_out = None, None, None
        if test is not None and test_labels is not None:
            predicted = fit.predict(test.pooled[layer], test.tangents)
            unseen = figures_of_values(predicted, test_labels, held_out=True)
            judged, held_out = judge_held_out(predicted, test_labels), HeldOutTexts.of({CHOSEN: predicted}, test_labels)
        found = validated_alone(layer, fit, labels, judged, test_labels)
    rows = (layer_row(layer, model.layer_names[layer], ProbeFit(known, unseen), found, test=True),)
    warnings = []
    if len(task.train) > len(labels):
        warnings.append(
            f"the tangent probe was fitted to a seeded sample of {len(labels):,} of {len(task.train):,} texts, which "
            "the figures of training texts are of"
        )
    summary = summarize(rows, found, labels, test_labels).model_copy(update={"rule": ONLY})
    curves = pd.DataFrame(columns=CURVES)
    return ComparedProbes(rows, None, summary, curves, tuple(warnings), None, tangents=fit, held_out=held_out)
