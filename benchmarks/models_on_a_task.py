"""What ``ntps score`` takes for models of several families and sizes on one task, phase by phase.

    python benchmarks/models_on_a_task.py [SHAPE...] [--public-list] [--texts 5952] [--device cuda] [--dtype float32]

The models have random weights and the shapes of known ones, their vocabularies too. With --public-list, they are those
of the 17 models of transformer-ranker's list "base": each shape is measured once, and counted as often as models have
it. The texts have 3 to 8 words, about as many tokens as TREC's questions, and are in six classes. Seconds are those
that `ntps score` reports: tokenization, forward passes with the check of batching, statistics, and the closed forms of
all layers; beside them stand those of all processor cores together. A score of the last layer alone warms up. On CUDA,
peak memory is that of all tensors, weights among them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
import typer
from transformers import (
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MPNetConfig,
    PreTrainedConfig,
    Qwen2Config,
    RobertaConfig,
)

from common import random_weights, show
from ntps import Task, load_task, score, task_from_lists
from ntps.models.load import DTYPES

CLASSES = 6


def qwen2(width: int, blocks: int, inner: int, heads: int) -> PreTrainedConfig:
    """The shape of a Qwen2 with two key-value heads."""
    return Qwen2Config(
        vocab_size=151_936,
        hidden_size=width,
        num_hidden_layers=blocks,
        intermediate_size=inner,
        num_attention_heads=heads,
        num_key_value_heads=2,
    )


def shapes() -> dict[str, PreTrainedConfig]:
    """Configurations by name."""
    return {
        "bert-base": BertConfig(),
        "qwen2-0.5b": qwen2(896, 24, 4864, 14),
        "pythia-410m": GPTNeoXConfig(
            vocab_size=50_304, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
        ),
        "llama-3.2-1b": LlamaConfig(
            vocab_size=128_256,
            hidden_size=2048,
            num_hidden_layers=16,
            num_attention_heads=32,
            num_key_value_heads=8,
            intermediate_size=8192,
            bos_token_id=None,
            eos_token_id=None,
        ),
        "qwen2-1.5b": qwen2(1536, 28, 8960, 12),
    }


def public_list() -> dict[str, tuple[PreTrainedConfig, int]]:
    """Configurations by name, with the number of models of the list that have this shape."""
    relative: dict[str, Any] = {"relative_attention": True, "position_buckets": 256, "pos_att_type": ["p2c", "c2p"]}
    relative |= {"norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False}
    small: dict[str, Any] = {"hidden_size": 256, "embedding_size": 128, "intermediate_size": 1024}
    return {
        "bert-base": (BertConfig(), 4),
        "twhin-bert-base": (BertConfig(vocab_size=250_002), 1),
        "distilbert-base": (DistilBertConfig(), 1),
        "distilroberta-base": (RobertaConfig(num_hidden_layers=6, max_position_embeddings=514), 1),
        "roberta-base": (RobertaConfig(max_position_embeddings=514), 1),
        "xlm-roberta-base": (RobertaConfig(vocab_size=250_002, max_position_embeddings=514), 1),
        "electra-small": (ElectraConfig(num_attention_heads=4, **small), 1),
        "electra-base": (
            ElectraConfig(hidden_size=768, embedding_size=768, intermediate_size=3072, num_attention_heads=12),
            2,
        ),
        "deberta-v3-base": (DebertaV2Config(hidden_size=768, vocab_size=128_100, **relative), 2),
        "mdeberta-v3-base": (DebertaV2Config(hidden_size=768, vocab_size=251_000, **relative), 1),
        "minilm-l12": (BertConfig(hidden_size=384, intermediate_size=1536), 1),
        "mpnet-base": (MPNetConfig(max_position_embeddings=514), 1),
    }


def short_texts(count: int) -> Task:
    """Texts of words of the embedded task, in six classes by chance."""
    random = np.random.default_rng(0)
    words = sorted({word for text in load_task().train.texts for word in text.split() if word.isalpha()})
    texts = [" ".join(random.choice(words, random.integers(3, 9))) for _ in range(count)]
    return task_from_lists(texts, random.integers(0, CLASSES, count).tolist(), name="short texts")


def seconds_of(config: PreTrainedConfig, task: Task, device: torch.device, dtype: str) -> Mapping[str, Any]:
    """Size, seconds by phase and peak memory of a score."""
    model = random_weights(config, device, DTYPES[dtype])
    score(model, task, layers="-1")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.process_time()
    result = score(model, task).to_dict()
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {
        "parameters": model.parameters,
        "width": model.hidden_size,
        "blocks": model.num_layers,
        "tokens": result["task"]["tokens"],
        "seconds": result["timing"],
        "processor_seconds": time.process_time() - start,
        "peak_bytes": peak,
        "warnings": len(result["warnings"]),
    }


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SHAPE]...")] = None,
    texts: int = 5952,
    device: str = "cpu",
    dtype: str = "float32",
    public: Annotated[bool, typer.Option("--public-list", help="The shapes of transformer-ranker's list.")] = False,
) -> None:
    """Score with every model."""
    place, task, listed = torch.device(device), short_texts(texts), public_list()
    known = {name: config for name, (config, _) in listed.items()} if public else shapes()
    found = {name: seconds_of(known[name], task, place, dtype) for name in names or known}
    whole: dict[str, Any] = {"texts": texts, "dtype": dtype, "models": found}
    if public:
        whole["counted"] = sum(listed[name][1] for name in found)
        totals = {name: (each["seconds"]["total"], each["processor_seconds"]) for name, each in found.items()}
        whole["seconds"] = sum(listed[name][1] * wall for name, (wall, _) in totals.items())
        whole["processor_seconds"] = sum(listed[name][1] * used for name, (_, used) in totals.items())
    show(whole, place)


if __name__ == "__main__":
    typer.run(main)
