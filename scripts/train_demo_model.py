"""Train the embedded language model on the docstrings that the embedded task leaves out.

The same machine, versions, seed and thread count give the same bytes. Run as ``make train-demo-model``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from collect_docstrings import corpus_libraries, heldout_texts, training_texts
from ntps.models.embedded import embedded_model_folder


@dataclass(frozen=True)
class Settings:
    """Everything that decides the trained weights, besides the texts and the versions."""

    seed: int = 0
    threads: int = 1
    steps: int = 3000
    batch: int = 8
    context: int = 256
    vocabulary: int = 4096
    width: int = 128
    layers: int = 5
    heads: int = 4
    key_value_heads: int = 2
    intermediate: int = 352
    peak_rate: float = 3e-3
    final_rate: float = 2e-4
    warmup: int = 150
    weight_decay: float = 0.1
    clip: float = 1.0


def train_tokenizer(texts: Sequence[str], settings: Settings) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE tokenizer on some texts, with the pre-tokenization that goes with the architecture.

    ``AutoTokenizer`` gives every Qwen2 model that pre-tokenization, so another one would be lost on loading.
    """
    untrained = Qwen2Tokenizer(pad_token="<|pad|>", model_max_length=settings.context)
    trained: PreTrainedTokenizerBase = untrained.train_new_from_iterator(
        texts, settings.vocabulary, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False
    )
    return trained


def pack(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, context: int) -> Tensor:
    """Join texts, an end-of-text token after each, and cut them into rows of context + 1 tokens that overlap by one."""
    encoded = tokenizer(list(texts), verbose=False)["input_ids"]
    stream = torch.tensor([token for text in encoded for token in (*text, tokenizer.eos_token_id)])
    return stream.unfold(0, context + 1, context)


def new_model(settings: Settings, end: int, pad: int) -> Qwen2ForCausalLM:
    """Make an untrained model."""
    torch.manual_seed(settings.seed)
    config = Qwen2Config(
        vocab_size=settings.vocabulary,
        hidden_size=settings.width,
        intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    return Qwen2ForCausalLM(config)


def batches(rows: int, settings: Settings) -> Iterator[Tensor]:
    """Yield row numbers of one batch after another, every epoch in a new order."""
    generator = torch.Generator().manual_seed(settings.seed)
    while True:
        yield from torch.split(torch.randperm(rows, generator=generator), settings.batch)


def learning_rate(step: int, settings: Settings) -> float:
    """Linear warm-up, then a cosine from the peak to the final rate."""
    if step < settings.warmup:
        return settings.peak_rate * (step + 1) / settings.warmup
    progress = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.final_rate + (settings.peak_rate - settings.final_rate) * (1 + math.cos(math.pi * progress)) / 2


def next_token_losses(model: Qwen2ForCausalLM, rows: Tensor) -> Tensor:
    """Cross-entropy in nats of every next token of some packed rows."""
    logits = model(input_ids=rows[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none")


def train(model: Qwen2ForCausalLM, rows: Tensor, settings: Settings) -> None:
    """Fit the model to packed rows, in place."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95))
    started, running = time.monotonic(), math.nan
    model.train()
    for step, batch in zip(range(settings.steps), batches(len(rows), settings), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        loss = next_token_losses(model, rows[batch]).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 100 == 0:
            minutes = (time.monotonic() - started) / 60
            print(f"step {step + 1}/{settings.steps}  loss {running:.3f}  {minutes:.1f} min", flush=True)


@torch.no_grad()
def heldout_loss(model: Qwen2ForCausalLM, rows: Tensor) -> float:
    """Mean loss of the model in nats per token."""
    model.train(False)
    return float(torch.cat([next_token_losses(model, part) for part in torch.split(rows, 16)]).double().mean())


def unigram_loss(rows: Tensor, heldout: Tensor, vocabulary: int) -> float:
    """Mean loss in nats per held-out token of a unigram model, with one added to every training count."""
    counts = torch.bincount(rows[:, 1:].flatten(), minlength=vocabulary).double() + 1
    return float((counts.sum().log() - counts.log())[heldout[:, 1:]].mean())


def save(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the model, in float16 weights that load as float32, and its tokenizer."""
    torch.nn.Module.half(model).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # safetensors lets its owner alone read it
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", config | {"dtype": "float32"})
    tokenizer.save_pretrained(folder)


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write a JSON file for people to read."""
    path.write_text(json.dumps(content, indent=2) + "\n")


def fingerprint(texts: Sequence[str]) -> str:
    """SHA-256 over ordered texts, in hexadecimal."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def main(folder: Path, settings: Settings) -> None:
    """Train, measure and save the model."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    started = time.monotonic()
    texts, others = training_texts(), heldout_texts()
    tokenizer = train_tokenizer(texts, settings)
    rows, heldout = (pack(part, tokenizer, settings.context) for part in (texts, others))
    print(f"{len(texts)} texts, {rows[:, 1:].numel()} tokens, {time.monotonic() - started:.0f} s", flush=True)

    model = new_model(settings, tokenizer.eos_token_id, tokenizer.pad_token_id)
    parameters = model.num_parameters()
    train(model, rows, settings)
    for weight in model.parameters():
        weight.data = weight.data.half().float()  # measure the weights as they are stored
    report = {
        "heldout_loss": heldout_loss(model, heldout),
        "heldout_loss_unigram": unigram_loss(rows, heldout, settings.vocabulary),
        "loss_unit": "nats per token",
        "parameters": parameters,
        "settings": asdict(settings),
        "training_texts": len(texts),
        "training_tokens": rows[:, 1:].numel(),
        "training_fingerprint": fingerprint(texts),
        "tokens_seen": settings.steps * settings.batch * settings.context,
        "heldout_texts": len(others),
        "heldout_tokens": heldout[:, 1:].numel(),
        "heldout_fingerprint": fingerprint(others),
        "corpus": corpus_libraries(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "numpy": np.__version__,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, folder)
    write_json(folder / "training.json", report)
    print(f"held-out loss {report['heldout_loss']:.4f}, unigram {report['heldout_loss_unigram']:.4f} nats per token")
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=embedded_model_folder(), help="folder of the model")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--threads", type=int, default=Settings.threads)
    arguments = parser.parse_args()
    main(arguments.out, Settings(steps=arguments.steps, seed=arguments.seed, threads=arguments.threads))
