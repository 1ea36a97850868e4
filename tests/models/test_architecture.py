"""What a model's blocks hand on is one state a token, or the model is refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from ntps.errors import InputError
from ntps.forward.causality import check_batching
from ntps.models.load import load_model
from ntps.models.tokenizing.tokens import tokenize
from tiny import WIDTH, random_texts, save_model, tokenizer_of

SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 66,
}


def save(folder: Path, kind: str, **sizes: Any) -> Path:
    words = tokenizer_of("bert")
    config = AutoConfig.for_model(kind, **SIZES, vocab_size=len(words), pad_token_id=0, **sizes)
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_what_a_model_pads_inside_is_cut(tmp_path: Path) -> None:
    """Longformer's blocks return rows as long as whole windows: against transformers, one text at a time."""
    model = load_model(save(tmp_path, "longformer", attention_window=16))
    texts = random_texts(6, longest=25)
    tokens = tokenize(model, texts)
    assert check_batching(model, tokens, (0, 1, 2), 2048).passes
    for text in texts:
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            expected = model.base(input_ids=ids, output_hidden_states=True).hidden_states

        def compare(layer: int, hidden: torch.Tensor, expected: tuple[torch.Tensor, ...] = expected) -> None:
            torch.testing.assert_close(hidden, expected[layer], rtol=0, atol=1e-6)

        model.visit_layers(ids, torch.ones_like(ids), (0, 1, 2), compare)


def test_a_model_that_a_short_text_changes_is_refused(tmp_path: Path) -> None:
    sparse = {"block_size": 4, "num_random_blocks": 1}
    with pytest.raises(InputError, match='"attention_type" to "original_full"'):
        load_model(save(tmp_path / "sparse", "big_bird", attention_type="block_sparse", **sparse))
    load_model(save(tmp_path / "full", "big_bird", attention_type="original_full", **sparse))


def test_embeddings_of_a_kind_of_its_own(tmp_path: Path) -> None:
    """I-BERT's are no ``nn.Embedding``: positions begin behind the padding index, as RoBERTa counts them."""
    model = load_model(save(tmp_path, "ibert"))
    assert model.context == SIZES["max_position_embeddings"] - 1
    assert model.vocabulary == len(model.tokenizer)


def test_blocks_that_do_not_run_as_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 were seen at work"):
        load_model(save(tmp_path, "squeezebert", embedding_size=WIDTH))


def test_a_model_that_needs_more_than_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not run on token ids alone.*language"):
        load_model(save(tmp_path, "xmod", languages=["a", "b"]))


def test_a_model_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    words = tokenizer_of("bert")
    AutoModel.from_config(AutoConfig.for_model("vit", image_size=8, patch_size=4, **SIZES)).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no vocabulary"):
        load_model(tmp_path)


@pytest.mark.parametrize("streams", ["before", "behind"])
def test_blocks_of_several_streams_are_refused(streams: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Residual streams in a dimension of their own, as of ``(batch, tokens, streams, width)``."""
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    plain = LlamaDecoderLayer.forward

    def forward(self: Any, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        place = 0 if streams == "before" else 2
        inside = hidden_states if hidden_states.dim() == 3 else hidden_states.select(place, 0)
        return torch.stack([plain(self, inside, *args, **kwargs)] * 4, place)

    folder = save_model(tmp_path, "llama")
    monkeypatch.setattr(LlamaDecoderLayer, "forward", forward)
    with pytest.raises(InputError, match="several streams"):
        load_model(folder)
