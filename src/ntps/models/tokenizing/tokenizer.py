"""The tokenizer of a folder: the pipeline of its ``tokenizer.json``, whatever class its configuration names."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from ntps.errors import InputError
from ntps.models.explained import explained
from ntps.models.files import ModelFiles
from ntps.models.quiet import quiet_transformers
from ntps.models.registry import LLAMA2_TOKENIZER

PIPELINE = "tokenizer.json"

# Where pipelines differ: digits, contractions, capitals, runs of spaces and lines, accents in two forms, scripts.
SAMPLES = (
    "In 2023, it's 650841823\n\n  and  I'LL  go.",
    "Ünïcödé: café, cafe\u0301, \u2126 and \ufb01",
    " leading\ttab\r\n新しい 한국어 ",
    "<b>HTML</b> don't ... --- @user #tag_1 \N{GRINNING FACE}",
)


def load_tokenizer(files: ModelFiles, model_type: str, trust_remote_code: bool) -> tuple[Any, tuple[str, ...]]:
    """Loads a tokenizer.

    Transformers builds the tokenizers of many classes anew from the vocabulary alone, with the class's own way to
    normalize and split texts. A model was trained on what its ``tokenizer.json`` says.

    Args:
        files: The files of the tokenizer.
        model_type: Type of the model.
        trust_remote_code: Whether code that comes with it may run.

    Returns:
        The tokenizer, and what a reader must know.

    Raises:
        InputError: There is none, or it cannot be loaded.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    hint = f", such as {LLAMA2_TOKENIZER} (gated on the hub)" if model_type == "openelm" else ""
    missing = InputError(f"{files.name} comes without a tokenizer: name a folder or hub id with `tokenizer`{hint}")
    named = any("token" in name or name.startswith("vocab") or name.endswith(".model") for name in files.names)
    if not named and not files.gguf:
        raise missing
    options = files.options(trust_remote_code)
    with explained(files, "tokenizer"), quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(files.folder, **options)
        notes: tuple[str, ...] = ()
        if PIPELINE in files.names and _rebuilt(tokenizer):
            usual, tokenizer = tokenizer, PreTrainedTokenizerFast.from_pretrained(files.folder, **options)
            notes = _difference(usual, tokenizer)
    # Some tokenizers load without their vocabulary, and then have no words for any text.
    if not set(tokenizer.get_vocab()) - set(tokenizer.get_added_vocab()) - set(tokenizer.all_special_tokens):
        raise missing
    return tokenizer, notes


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """SHA-256 over what a tokenizer does, in hexadecimal: its vocabulary, the ids of some texts, and the side it cuts.

    Which class or file it is, and of which version, does not matter.
    """
    vocabulary = sorted(tokenizer.get_vocab().items())
    own = " ".join(token for token, _ in vocabulary[:: max(1, len(vocabulary) // 500)])
    ids = tokenizer([*SAMPLES, own, own.upper()], verbose=False)["input_ids"]
    does = [vocabulary, ids, tokenizer.truncation_side]
    return sha256(json.dumps(does, ensure_ascii=False).encode(errors="surrogatepass")).hexdigest()


def _rebuilt(tokenizer: Any) -> bool:
    """Whether transformers may have built it from the vocabulary alone."""
    from transformers import PreTrainedTokenizerFast

    kind = type(tokenizer)
    return tokenizer.is_fast and kind is not PreTrainedTokenizerFast and kind.__module__.startswith("transformers.")


def _difference(usual: Any, own: Any) -> tuple[str, ...]:
    different = [text for text in SAMPLES if usual(text)["input_ids"] != own(text)["input_ids"]]
    if not different:
        return ()
    return (
        f"texts are split as the {PIPELINE} of the tokenizer says: the {type(usual).__name__} that AutoTokenizer makes "
        f"of it gives other ids, as for {different[0]!r}",
    )
