"""What a saved probe or classifier says of itself: the model, the labels and the settings that it belongs to."""

from __future__ import annotations

from pathlib import Path

from ntps.errors import InputError
from ntps.json_files import Block, Items
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokenizer import tokenizer_fingerprint
from ntps.options.passes import Pooling
from ntps.options.shared import ModelOptions
from ntps.tasks.task import TargetKind


class OfModel(Block):
    """The model; older files do not say what its tokenizer does, and an older classifier does not name it."""

    id: str
    revision: str | None
    weights: str
    tokenizer: str | None = None
    tokenizer_fingerprint: str | None = None


class OfTask(Block):
    """The labels; older files do not name the columns of the texts."""

    target_kind: TargetKind
    label_names: Items[str]
    text_columns: Items[str] = ()


class OfSettings(Block):
    """How texts became vectors."""

    pooling: Pooling
    max_length: int | None
    dtype: str
    attention_mask: str | None

    @property
    def masked(self) -> bool:
        """Whether the model gets a mask: a pass whose parts differed in that may have needed one."""
        return self.attention_mask != "omitted"


class Origin(Block):
    """All of it."""

    model: OfModel
    task: OfTask
    settings: OfSettings

    def load(self, model: str | Path | LanguageModel | None, options: ModelOptions) -> LanguageModel:
        """The model as it was used, whose weights are not looked at yet.

        Args:
            model: Where it is now, or the model itself; by default where it was.
            options: How it is loaded.

        Raises:
            InputError: It cannot be loaded, or is there in another dtype.
        """
        dtype, own, known = self.settings.dtype, self.model.id, self.model.tokenizer
        if isinstance(model, LanguageModel):
            given = str(model.dtype).removeprefix("torch.")
            if given != dtype:
                raise InputError(f"`model` was loaded in {given}, but what predicts was made in {dtype}: load it so")
            return model
        try:
            return load_model(
                model or (f"{own}@{self.model.revision}" if self.model.revision else own),
                dtype=dtype,
                device=options.device,
                # A model's own tokenizer is where the model is.
                tokenizer=options.tokenizer or (None if known == own else known),
                trust_remote_code=options.trust_remote_code,
            )
        except InputError as error:
            if model is not None:
                raise
            raise InputError(
                f"the model that this was made of cannot be loaded ({error}): if it lies elsewhere now, name it with "
                "`model`"
            ) from error

    def require_weights(self, model: LanguageModel, path: Path) -> None:
        """Makes sure that a model is the one that was probed, wherever it lies.

        Raises:
            InputError: Its weights are others.
        """
        if model.weights() != self.model.weights:
            raise InputError(
                f"{path} belongs to another model than {model.id}: it was made of {self.model.id}, whose weights "
                "differ; name that one with `model`"
            )

    def warnings(self, model: LanguageModel) -> tuple[str, ...]:
        """That texts become other tokens than they did, where that is known."""
        known = self.model.tokenizer_fingerprint
        if known is None or known == tokenizer_fingerprint(model.tokenizer):
            return ()
        return (
            f"the tokenizer in {model.tokenizer_id} is not the one that this was made with: texts become other tokens, "
            "of which predictions may be wrong; name that one with `tokenizer`",
        )


class OfTrained(OfModel):
    """The model that a classifier was made of, in the dtype that it was trained in."""

    dtype: str


class ClassifierFile(OfTask):
    """What lies beside the weights of a fine-tuned classifier."""

    model: OfTrained
    pooling: Pooling
    max_length: int | None
    attention_mask: str

    @property
    def origin(self) -> Origin:
        """The same in the order of a probe."""
        return Origin(
            model=self.model,
            task=self,
            settings=OfSettings(
                pooling=self.pooling,
                max_length=self.max_length,
                dtype=self.model.dtype,
                attention_mask=self.attention_mask,
            ),
        )
