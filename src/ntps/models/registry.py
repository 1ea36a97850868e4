"""The paper's eight models, as data."""

from __future__ import annotations

from dataclasses import dataclass

EMBEDDED = "demo"
"""Name of the model that comes with the package."""
LLAMA2_TOKENIZER = "meta-llama/Llama-2-7b-hf"


@dataclass(frozen=True)
class KnownModel:
    """A model that can be named without its owner.

    Attributes:
        hub_id: Repository on the hub.
        parameters: Parameters of the base transformer, in millions.
        num_layers: Number L of blocks.
        hidden_size: Width d.
        gated: Whether the hub asks for a licence to be accepted first.
        tokenizer: Repository of its tokenizer where it has none of its own; it must be named with ``--tokenizer``.
    """

    hub_id: str
    parameters: int
    num_layers: int
    hidden_size: int
    gated: bool = False
    tokenizer: str | None = None

    @property
    def name(self) -> str:
        """The short name: the hub id without its owner."""
        return self.hub_id.partition("/")[2]

    def weight_gigabytes(self, bytes_per_parameter: int) -> float:
        """Memory for the weights, in units of 10⁹ bytes."""
        return self.parameters * bytes_per_parameter / 1000


PAPER_MODELS: tuple[KnownModel, ...] = (
    KnownModel("Qwen/Qwen2-0.5B", 494, 24, 896),
    KnownModel("Qwen/Qwen2-1.5B", 1544, 28, 1536),
    KnownModel("Qwen/Qwen2-7B", 7071, 28, 3584),
    KnownModel("apple/OpenELM-270M", 272, 16, 1280, tokenizer=LLAMA2_TOKENIZER),
    KnownModel("apple/OpenELM-450M", 457, 20, 1536, tokenizer=LLAMA2_TOKENIZER),
    KnownModel("apple/OpenELM-1_1B", 1080, 28, 2048, tokenizer=LLAMA2_TOKENIZER),
    KnownModel("apple/OpenELM-3B", 3037, 36, 3072, tokenizer=LLAMA2_TOKENIZER),
    KnownModel("meta-llama/Meta-Llama-3-8B", 7505, 32, 4096, gated=True),
)


def known_model(name: str) -> KnownModel | None:
    """The model of the paper with this hub id or short name, in any case; None if there is none."""
    for model in PAPER_MODELS:
        if name.casefold() in {model.hub_id.casefold(), model.name.casefold()}:
            return model
    return None
