"""Every step's texts are decided by the seed alone, and grouping them changes nothing but the padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntps import load_model
from ntps.models.tokenizing.tokens import tokenize
from ntps.options.finetuning import FinetuneSettings
from ntps.training.finetuning.batches import Collator, text_order
from ntps.training.finetuning.classifier import new_classifier
from tiny import WIDTH, random_task, save_model


@given(st.integers(1, 30), st.integers(1, 100), st.integers(0, 5))
def test_the_order_is_a_sequence_of_permutations(texts: int, draws: int, seed: int) -> None:
    order = text_order(texts, draws, seed)
    assert len(order) == draws
    for start in range(0, draws, texts):
        part = order[start : start + texts]
        assert len(set(part)) == len(part)
        assert set(part) <= set(range(texts))
    assert text_order(texts, draws + 7, seed)[:draws] == order


@pytest.mark.parametrize("kind", ["qwen2", "bert"])
@pytest.mark.parametrize("budget", [1, 20, 10_000])
def test_logits_are_the_head_of_the_mean_token_however_texts_are_grouped(
    kind: str, budget: int, tmp_path: Path
) -> None:
    model, task = load_model(save_model(tmp_path, kind)), random_task(12)
    tokens = tokenize(model, task.train.texts)
    chosen = [3, 1, 4, 11, 5, 9]
    inputs = Collator(task, task.train, tokens, model.pad_id, budget)(chosen)
    assert all(ids.numel() <= budget or len(ids) == 1 for ids in inputs["ids"])
    classifier = new_classifier(model, task, FinetuneSettings(method="full"), masked=kind == "bert").eval()
    with torch.no_grad():
        logits = classifier(inputs["ids"], inputs["lengths"])
        by_length = sorted(chosen, key=lambda text: -tokens.lengths[text])
        assert inputs["labels"].tolist() == [task.train.labels[text] for text in by_length]
        for row, text in zip(logits, by_length, strict=True):
            ids = torch.as_tensor(tokens.padded(np.array([text]), 0))
            states = model.base(input_ids=ids, use_cache=False).last_hidden_state[0]
            assert states.shape[1] == WIDTH
            torch.testing.assert_close(row, classifier.head(states.mean(dim=0)), rtol=1e-5, atol=1e-5)
