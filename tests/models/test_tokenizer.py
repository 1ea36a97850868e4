"""The tokenizer of a folder is the one of its ``tokenizer.json``, and whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from ntps.errors import InputError
from ntps.models.load import load_model
from ntps.models.tokenizing.tokenizer import tokenizer_fingerprint
from ntps.models.tokenizing.tokens import tokenize
from tiny import WORDS, random_texts, save_model, tokenizer_of

OTHERS: dict[str, dict[str, Any]] = {
    "vowels stand alone": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": "[aeiou]"},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        }
    },
    "accents stay in two pieces": {"normalizer": {"type": "NFD"}},
}
TEXTS = ["in 2023, it's 6508\n\n  I'LL go.", "cafe\u0301 café", *random_texts(20)]


def write(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("named", ["GPT2Tokenizer", "Qwen2Tokenizer", "TokenizersBackend"])
def test_texts_are_split_as_tokenizer_json_says(named: str, other: str, tmp_path: Path) -> None:
    """Transformers puts the pre-tokenizer and normalizer of the named class, or of the model's, in its place."""
    folder = save_model(tmp_path, "qwen2")
    write(folder / "tokenizer.json", **OTHERS[other])
    write(folder / "tokenizer_config.json", tokenizer_class=named)
    model = load_model(folder)
    tokens = tokenize(model, TEXTS)
    pipeline = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokens.ids.tolist() == [id for text in TEXTS for id in pipeline.encode(text).ids]
    usual = AutoTokenizer.from_pretrained(folder)
    if any(usual(text)["input_ids"] != pipeline.encode(text).ids for text in TEXTS):
        assert len(model.notes) == 1
        assert "tokenizer.json" in model.notes[0] and type(usual).__name__ in model.notes[0]
    else:
        assert not model.notes


def test_a_tokenizer_that_transformers_leaves_alone_needs_no_word(tmp_path: Path) -> None:
    for kind in ("llama", "gpt2", "bert"):
        assert load_model(save_model(tmp_path / kind, kind)).notes == ()


def test_added_tokens_alone_are_no_tokenizer(tmp_path: Path) -> None:
    """``tokenizer_config.json`` was copied, the vocabulary was not."""
    folder = save_model(tmp_path, "llama")
    (folder / "tokenizer.json").unlink()
    added = {str(30 + i): {"content": f"<tool{i}>", "special": False} for i in range(5)}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": added})
    )
    with pytest.raises(InputError, match="`tokenizer`"):
        load_model(folder)


def test_a_vocabulary_without_its_merges_is_named(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "qwen2")
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    write(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    with pytest.raises(InputError, match=r"merges\.txt"):
        load_model(folder)
    (folder / "merges.txt").write_text("\n".join(" ".join(pair) for pair in model["merges"]))
    assert tokenize(load_model(folder), [WORDS[3]]).ids.tolist() == [model["vocab"][WORDS[3]]]


@pytest.mark.parametrize("kind", ["qwen2", "bert"])
def test_a_fingerprint_is_of_what_a_tokenizer_does(kind: str, tmp_path: Path) -> None:
    """Not of its class, of its folder, or of what it was used for before."""
    one, folder = tokenizer_of(kind), save_model(tmp_path / "one", kind)
    known = tokenizer_fingerprint(one)
    one(["ba be", "bi " * 30], truncation=True, max_length=4)
    assert known == tokenizer_fingerprint(one) == tokenizer_fingerprint(load_model(folder).tokenizer)
    others = {known}
    lower = json.loads((folder / "tokenizer.json").read_text())["normalizer"]
    assert lower is None or lower["type"] == "NFC"
    for changes in ({"normalizer": {"type": "Lowercase"}}, {"pre_tokenizer": None}):
        write(folder / "tokenizer.json", **changes)
        others.add(tokenizer_fingerprint(load_model(folder).tokenizer))
    one.truncation_side = "left"
    others.add(tokenizer_fingerprint(one))
    one.add_tokens(["a new one"])
    others.add(tokenizer_fingerprint(one))
    assert len(others) == 5
