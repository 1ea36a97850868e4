"""Tiny random states, models, tokenizers and tasks, made on the spot: everything real but the knowledge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Whitespace
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import (
    AutoModel,
    BertConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    T5Config,
)

from ntps import Moments
from ntps.options.passes import Pooling
from ntps.tasks.from_lists import task_from_lists
from ntps.tasks.task import Task

WORDS = tuple(consonant + vowel for consonant in "bdfgklmn" for vowel in "aeiou")
SPECIAL = ("[UNK]", "[CLS]", "[SEP]")
END = "<|endoftext|>"
DEPTH, WIDTH, CONTEXT = 3, 16, 32

Array = NDArray[np.float64]
Side = Literal["left", "right"]


def config_of(kind: str) -> PreTrainedConfig:
    """Configuration of a tiny ``qwen2``, ``llama`` (grouped heads), ``gpt2``, ``gpt_neox``, ``bert`` or ``t5``."""
    common: dict[str, Any] = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))
    common["vocab_size"] = len(tokenizer_of(kind))
    blocks: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 24,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
    }
    match kind:
        case "qwen2":
            return Qwen2Config(**common, **blocks, num_key_value_heads=2)
        case "llama":
            return LlamaConfig(**common, **blocks, num_key_value_heads=1)
        case "gpt2":
            return GPT2Config(**common, n_embd=WIDTH, n_layer=DEPTH, n_head=4, n_positions=CONTEXT)
        case "gpt_neox":
            return GPTNeoXConfig(**common, **blocks)
        case "bert":
            return BertConfig(**{**common, "pad_token_id": 0}, **blocks)
        case "t5":
            common |= {"pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
            return T5Config(**common, d_model=WIDTH, d_ff=24, num_layers=2, num_heads=2, d_kv=8)
    raise ValueError(kind)


def tokenizer_of(kind: str = "qwen2", *, pad: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer of one token a word; BERT's adds ``[CLS]`` and ``[SEP]``; without a pad token unless asked for."""
    extra = {"pad_token": END if kind == "qwen2" else "[UNK]"} if pad else {}
    if kind == "qwen2":
        # As the tokenizers of Qwen2 are: of others, transformers makes byte-level BPEs.
        model = Tokenizer(BPE())
        model.normalizer = NFC()
        model.pre_tokenizer = ByteLevel(add_prefix_space=False)
        trainer = BpeTrainer(special_tokens=[END], initial_alphabet=ByteLevel.alphabet(), show_progress=False)
        model.train_from_iterator([*WORDS, *(f" {word}" for word in WORDS)], trainer)
        return PreTrainedTokenizerFast(tokenizer_object=model, eos_token=END, **extra)
    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    model = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    model.pre_tokenizer = Whitespace()
    if kind == "bert":
        pairs = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
        model.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=pairs)
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", **extra)


def save_model(folder: Path, kind: str = "qwen2", *, tokenizer: bool = True, seed: int = 0, **config: Any) -> Path:
    """Writes a random model with its tokenizer; norms have random gains, so that no state is trivially normalized."""
    chosen = config_of(kind)
    for name, value in config.items():
        setattr(chosen, name, value)
    torch.manual_seed(seed)
    model = AutoModel.from_config(chosen)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(1 + 0.2 * noise if "norm" in name.lower() and name.endswith("weight") else 0.3 * noise)
    model.save_pretrained(folder)
    if tokenizer:
        tokenizer_of(kind).save_pretrained(folder)
    return folder


def random_texts(count: int, seed: int = 0, longest: int = 12) -> list[str]:
    """Texts of 1 to ``longest`` words."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, longest + 1))) for _ in range(count)]


def random_task(count: int = 60, classes: int = 3, seed: int = 0, test: int = 0, longest: int = 12) -> Task:
    """A task whose label is the first word's number modulo the number of classes."""
    splits = [random_texts(size, seed + index, longest) for index, size in enumerate((count, test))]
    labels = [[WORDS.index(text.split()[0]) % classes for text in texts] for texts in splits]
    names = [f"class {i}" for i in range(classes)]
    test_texts, test_labels = (splits[1], labels[1]) if test else (None, None)
    return task_from_lists(splits[0], labels[0], test_texts=test_texts, test_labels=test_labels, label_names=names)


def save_rows(path: Path, texts: Sequence[str], labels: Sequence[object]) -> Path:
    """Writes a task as JSON lines."""
    rows = (json.dumps({"text": text, "label": label}) for text, label in zip(texts, labels, strict=True))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def save_task(path: Path, count: int = 60, classes: int = 3, seed: int = 0) -> Path:
    """Writes :func:`random_task` as JSON lines."""
    task = random_task(count, classes, seed)
    return save_rows(path, task.train.texts, task.train.labels.tolist())


def padded(
    texts: Sequence[Array], side: Side = "right", fill: float = 0.0, extra: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of some texts as one padded batch, and its mask."""
    width = max(map(len, texts)) + extra
    hidden = torch.full((len(texts), width, texts[0].shape[1]), fill, dtype=torch.float64)
    mask = torch.zeros((len(texts), width), dtype=torch.bool)
    for row, text in enumerate(texts):
        place = slice(0, len(text)) if side == "right" else slice(width - len(text), width)
        hidden[row, place], mask[row, place] = torch.as_tensor(text), True
    return hidden, mask


def moments_of(
    texts: Sequence[Array], targets: Array, *, pooling: Pooling = "mean", side: Side = "right", fill: float = 0.0
) -> Moments:
    """Moments of some texts, updated once."""
    moments = Moments(texts[0].shape[1], targets.shape[1], pooling=pooling)
    moments.update(*padded(texts, side, fill), targets)
    return moments
