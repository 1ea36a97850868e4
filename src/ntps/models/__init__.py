"""Models: a hub id or a folder → tokenizer, base transformer and the hidden states of its layers."""

from ntps.models.adapter import check_adapter
from ntps.models.embedded import embedded_model_folder
from ntps.models.files import EMBEDDED
from ntps.models.load import DTYPES, find_model, load_model
from ntps.models.model import LanguageModel, LayerSink
from ntps.models.registry import LLAMA2_TOKENIZER, PAPER_MODELS, KnownModel, known_model
from ntps.models.tokens import TokenizedTexts, tokenize

__all__ = [
    "DTYPES",
    "EMBEDDED",
    "LLAMA2_TOKENIZER",
    "PAPER_MODELS",
    "KnownModel",
    "LanguageModel",
    "LayerSink",
    "TokenizedTexts",
    "check_adapter",
    "embedded_model_folder",
    "find_model",
    "known_model",
    "load_model",
    "tokenize",
]
