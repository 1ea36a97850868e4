"""ntps against Algorithm 1 taken literally: what its pseudo-code says, line by line, in float32.

    python benchmarks/literal_procedure.py TASK [--limit 300] [--batch-size 32] [--rounds 3] [--no-closed-forms]
        [--device cuda]

The literal procedure runs the full causal model, head included, on batches of texts in arrival order, padded and
masked; stacks the hidden states of all layers; builds the triangular matrices L1 and L2 of every text; and takes one
pseudo-inverse for each of nineteen k. Its sums are updated in place, which favours it: ``sum += a @ b`` is slower.
The model is Qwen2-0.5B-shaped with random weights and, since the head is part of the cost, with Qwen2's vocabulary;
logits of long texts take gigabytes, and ``--vocabulary`` makes them smaller.

Both procedures see the same token ids. The moments that they end with must agree to float32 accuracy, or the command
fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor
from transformers import Qwen2ForCausalLM

from common import Array, batch_budget, interleaved, medians, random_model, ratio, show, whole_pass
from ntps import LayerScore, Moments, load_task, score_moments
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import TokenizedTexts, tokenize

QWEN2_VOCABULARY = 151_936
FRACTIONS = [step / 20 for step in range(1, 20)]
ABSOLUTE_CUTOFF = 1e-8
TOLERANCE = 1e-4
"""Largest relative difference of moments (Frobenius norm) that float32 sums explain."""


@dataclass(frozen=True)
class LiteralMeans:
    """Algorithm 1's averages over texts, float32, layers stacked first.

    Attributes:
        prefix_gram: ``(L+1, d, d)`` E[X L1 L1ᵀ Xᵀ].
        prefix_next: ``(L+1, d, d)`` E[X L1 L2ᵀ Xᵀ].
        pooled_gram: ``(L+1, d, d)`` E[x̄ x̄ᵀ].
        pooled_target: ``(L+1, d, c)`` E[x̄ yᵀ].
    """

    prefix_gram: Tensor
    prefix_next: Tensor
    pooled_gram: Tensor
    pooled_target: Tensor


def causal_model(model: LanguageModel) -> Any:
    """The causal model with a tied head around the same base, so that both procedures share their weights."""
    base: Any = model.base
    with torch.device("meta"):
        causal: Any = Qwen2ForCausalLM(base.config)
    causal.model = base
    causal.lm_head.weight = base.embed_tokens.weight
    return causal.train(False)


def triangular_matrices(tokens: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """L1 and L2, each ``(T, T-1)``: column t of ``X L1`` is ``x_1 + … + x_t``, column t of ``X L2`` is ``x_{t+1}``."""
    return torch.triu(torch.ones(tokens, tokens - 1, device=device)), torch.eye(tokens, device=device)[:, 1:]


@torch.no_grad()
def literal_means(causal: Any, tokens: TokenizedTexts, targets: Array, batch_size: int, pad_id: int) -> LiteralMeans:
    """One pass in arrival order, then text by text."""
    texts = [ids.tolist() for ids in np.split(tokens.ids, tokens.offsets[1:-1])]
    device = causal.lm_head.weight.device
    labels = torch.as_tensor(targets, dtype=torch.float32, device=device)
    layers, width = causal.config.num_hidden_layers + 1, causal.config.hidden_size
    prefix_gram, prefix_next, pooled_gram = (torch.zeros(layers, width, width, device=device) for _ in range(3))
    pooled_target = torch.zeros(layers, width, labels.shape[1], device=device)
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        longest = max(map(len, batch))
        ids = torch.tensor([text + [pad_id] * (longest - len(text)) for text in batch], device=device)
        mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in batch], device=device)
        output = causal(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        states = torch.stack(output.hidden_states)
        for row, text in enumerate(batch):
            x = states[:, row, : len(text)].mT
            first, second = triangular_matrices(len(text), device)
            prefixes = x @ first
            prefix_gram.baddbmm_(prefixes, prefixes.mT)
            prefix_next.baddbmm_(prefixes, (x @ second).mT)
            pooled = x.mean(dim=2, keepdim=True)
            pooled_gram.baddbmm_(pooled, pooled.mT)
            pooled_target += pooled * labels[start + row]
    count = len(texts)
    return LiteralMeans(prefix_gram / count, prefix_next / count, pooled_gram / count, pooled_target / count)


def literal_scores(means: LiteralMeans) -> list[list[float]]:
    """NTPS of every layer at nineteen fractions of its columns: one pseudo-inverse each."""
    scores = []
    for layer in range(len(means.prefix_gram)):
        autoregressive = _eigenvectors(means.prefix_gram[layer], means.prefix_next[layer])
        perception = _eigenvectors(means.pooled_gram[layer], means.pooled_target[layer])
        classes = means.pooled_target.shape[2]
        curve = []
        for fraction in FRACTIONS:
            k = max(1, int(fraction * autoregressive.shape[1]))
            v, u = autoregressive[:, :k], perception[:, : min(k, classes)]
            projected = v @ (torch.linalg.pinv(v) @ u)
            curve.append(float(projected.square().sum() / u.square().sum()))
        scores.append(curve)
    return scores


def _eigenvectors(gram: Tensor, cross: Tensor) -> Tensor:
    """Solutions of ``B Bᵀ w = λ A w``, largest λ first, where A's eigenvalues exceed the absolute cut-off."""
    values, vectors = torch.linalg.eigh(gram)
    kept = values > ABSOLUTE_CUTOFF
    whitener = vectors[:, kept] / values[kept].sqrt()
    whitened = whitener.mT @ cross
    solved: Tensor = whitener @ torch.linalg.eigh(whitened @ whitened.mT).eigenvectors
    return solved.flip(1)


def deviation(moments: dict[int, Moments], literal: LiteralMeans) -> float:
    """Largest relative difference between the two, over layers and moments."""
    worst = 0.0
    for layer, layer_moments in moments.items():
        means = layer_moments.means()
        for name, stacked in vars(literal).items():
            exact = torch.from_numpy(getattr(means, name))
            worst = max(worst, float((stacked[layer].cpu() - exact).norm() / exact.norm()))
    return worst


def closed_forms(moments: dict[int, Moments]) -> list[LayerScore]:
    """Every curve of every layer."""
    return [score_moments(layer_moments) for layer_moments in moments.values()]


def main(
    task_name: Annotated[str, typer.Argument(metavar="TASK")],
    limit: int = 300,
    batch_size: int = 32,
    rounds: int = 3,
    tokens_per_batch: int | None = None,
    with_closed_forms: Annotated[bool, typer.Option("--closed-forms/--no-closed-forms")] = True,
    width: int = 896,
    blocks: int = 24,
    vocabulary: int = QWEN2_VOCABULARY,
    device: str = "cpu",
) -> None:
    """Time both in turn, and check that their moments agree."""
    place = torch.device(device)
    model = random_model(width, blocks, vocabulary, place)
    causal, task = causal_model(model), load_task(task_name, limit=limit)
    tokens, targets = tokenize(model, task.train.texts), task.targets(task.train.labels)
    passes, results = interleaved(
        {
            "literal": lambda: literal_means(causal, tokens, targets, batch_size, model.pad_id),
            "ntps": lambda: whole_pass(model, tokens, targets, tokens_per_batch or batch_budget(place))[0],
        },
        rounds,
        place,
    )
    worst = deviation(results["ntps"], results["literal"])
    figures: dict[str, Any] = {
        "task": task_name,
        "texts": len(tokens),
        "tokens": int(tokens.lengths.sum()),
        "vocabulary": vocabulary,
        "batch_size": batch_size,
        "pass_seconds": medians(passes),
        "literal_over_ntps": ratio(passes["literal"], passes["ntps"]),
        "moments_deviation": worst,
        "agree": worst <= TOLERANCE,
    }
    if with_closed_forms:
        forms, _ = interleaved(
            {
                "literal": lambda: literal_scores(results["literal"]),
                "ntps": lambda: closed_forms(results["ntps"]),
            },
            rounds,
            place,
        )
        whole = {name: [a + b for a, b in zip(passes[name], forms[name], strict=True)] for name in passes}
        figures["closed_forms_seconds"] = medians(forms)
        figures["literal_over_ntps_with_closed_forms"] = ratio(whole["literal"], whole["ntps"])
    show(figures, place)
    if not figures["agree"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
