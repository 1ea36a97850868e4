"""``ntps.NTPSProbe``: a ridge probe as a classifier of scikit-learn, which must be installed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from ntps.errors import InputError
from ntps.models.adapters.adapter import require_package
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.options.layers import Layers
from ntps.options.passes import Pooling
from ntps.options.predicting import PredictorOptions
from ntps.options.probing import ProbeSettings
from ntps.options.shared import Dtype
from ntps.prediction.loading import predictor_of
from ntps.prediction.origin import Origin
from ntps.prediction.predictions import Predictions
from ntps.prediction.predictor import require_texts
from ntps.tasks.task import Split, Task
from ntps.training.probes.probe_run import run_probe

require_package("scikit-learn", "NTPSProbe")

from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d  # noqa: E402

Array = NDArray[np.float64]


class NTPSProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A ridge probe of a frozen language model, as a classifier of scikit-learn whose features are texts.

    The layer and the penalty are chosen on texts left out while it is fitted, so that nothing has to be searched for.
    Each fit and each prediction is a forward pass. A model that is loaded already is shared by all clones; one that is
    named is loaded anew by each fit. It is not among ``from ntps import *``, because it needs scikit-learn.

    Args:
        model: Folder, hub id, ``id@revision`` or a loaded model; the embedded model by default.
        layers: Layers such as ``0,3,-1`` or ``[0, 3]``, of which the best is chosen; all by default.
        all_layers: Whether one probe of all these layers together predicts.
        pooling: How a text becomes one vector: ``mean``, ``sum`` or ``last``.
        max_length: Token limit below the model's context.
        tokens_per_batch: Padded tokens per batch; by device unless given.
        dtype: Dtype of the forward pass.
        device: ``cpu``, ``cuda``, ``cuda:1`` …; CUDA if there is one by default.
        tokenizer: Tokenizer to use instead of the model's own.
        trust_remote_code: Whether code from the hub may run.

    Attributes:
        classes_: The classes, in sorted order.
        predictor_: What predicts, as :func:`ntps.load_probe` loads it.
        record_: What :func:`ntps.probe` would have written: figures of every layer on texts left out.

    Examples:
        >>> texts = ["a good day", "so bad", "good, very good", "bad, bad news", "what a good one", "a bad idea"]
        >>> probe = ntps.NTPSProbe(layers="0:2").fit(texts, ["yes", "no", "yes", "no", "yes", "no"])
        >>> probe.predict_proba(["a good idea"]).shape
        (1, 2)
    """

    def __init__(
        self,
        model: str | Path | LanguageModel | None = None,
        *,
        layers: Layers = None,
        all_layers: bool = False,
        pooling: Pooling = "mean",
        max_length: int | None = None,
        tokens_per_batch: int | None = None,
        dtype: Dtype = "float32",
        device: str | None = None,
        tokenizer: str | Path | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        self.model = model
        self.layers = layers
        self.all_layers = all_layers
        self.pooling = pooling
        self.max_length = max_length
        self.tokens_per_batch = tokens_per_batch
        self.dtype = dtype
        self.device = device
        self.tokenizer = tokenizer
        self.trust_remote_code = trust_remote_code

    def fit(self, X: Sequence[str] | ArrayLike, y: ArrayLike) -> Self:
        """Fits the probe of every layer, and chooses one.

        Args:
            X: The texts.
            y: The class of each.

        Raises:
            InputError: A text is empty or no text, or an option or the model cannot be used.
            ValueError: Labels are no classes, or are not as many as the texts.
        """
        texts = self._texts(X, fitted=False)
        labels = column_or_1d(y, warn=True)
        check_consistent_length(texts, labels)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}: a probe needs two at least")
        names = tuple(map(str, self.classes_))
        task = Task("memory", "memory", None, "classes", names, Split("train", texts, codes.astype(np.int64)))
        settings = ProbeSettings(
            layers=self.layers,
            pooling=self.pooling,
            max_length=self.max_length,
            tokens_per_batch=self.tokens_per_batch,
            test=False,
        )
        model = self._loaded()
        self.record_ = run_probe(model, task, settings)
        for sentence in self.record_.result.warnings:
            warnings.warn(sentence, stacklevel=2)
        saved = self.record_.weights
        assert saved is not None, "a ridge probe has weights"
        options = PredictorOptions(all_layers=self.all_layers, tokens_per_batch=self.tokens_per_batch)
        self.predictor_ = predictor_of(saved, Origin.model_validate(dict(saved.about)), model, options)
        return self

    def predict(self, X: Sequence[str] | ArrayLike) -> NDArray[Any]:
        """The most probable class of each text.

        Args:
            X: The texts.

        Raises:
            InputError: A text is empty or no text.
        """
        found = self._predictions(X).outputs.argmax(axis=1)
        return np.asarray(self.classes_[found])

    def predict_proba(self, X: Sequence[str] | ArrayLike) -> Float64[Array, "texts outputs"]:
        """Probabilities in the order of ``classes_``, calibrated on training texts left out.

        Args:
            X: The texts.

        Raises:
            InputError: A text is empty or no text.
        """
        return self._predictions(X).probabilities

    def _predictions(self, X: Any) -> Predictions:
        check_is_fitted(self)
        return self.predictor_.predictions(self._texts(X, fitted=True))

    def _texts(self, X: Any, *, fitted: bool) -> list[str]:
        """The texts, of a list, an array or a column of a table."""
        if isinstance(X, str) or np.ndim(X) != 1:
            raise InputError("the features must be one list of texts: name a single column of a table, as in X['text']")
        texts = list(X)
        require_texts(texts)
        if not texts:
            raise InputError("there are no texts: give some")
        return [str(text) for text in texts]

    def _loaded(self) -> LanguageModel:
        loading = {
            "dtype": self.dtype,
            "device": self.device,
            "tokenizer": self.tokenizer,
            "trust_remote_code": self.trust_remote_code,
        }
        if not isinstance(self.model, LanguageModel):
            return load_model(self.model, **loading)  # type: ignore[arg-type]
        usual = {"dtype": "float32", "device": None, "tokenizer": None, "trust_remote_code": False}
        if late := [name for name, value in loading.items() if value != usual[name]]:
            raise InputError(f"`{late[0]}` has no effect on a model that is loaded already: give it to load_model")
        return self.model

    def __sklearn_clone__(self) -> Self:
        """A copy that is not fitted; the model stays as it is, and copying its weights would help nobody."""
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn knows of it."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags
