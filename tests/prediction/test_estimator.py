"""A ridge probe as a classifier of scikit-learn: its own checks pass, and so do pipelines and searches."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from ntps import InputError, LanguageModel, NTPSProbe, Task, load_probe, probe
from tiny import DEPTH, WORDS


def labels_of(task: Task) -> Any:
    return np.array(task.label_names)[task.train.labels]


class OfNumbers(NTPSProbe):
    """The same for rows of numbers, each of which becomes a word: what scikit-learn checks has no texts."""

    def _texts(self, X: Any, *, fitted: bool) -> list[str]:
        rows = np.asarray(validate_data(self, X, reset=not fitted), dtype=np.float64)
        levels = np.round(3 * rows).astype(int) % 20 + 20 * (np.arange(rows.shape[1]) % 2)
        return [" ".join(WORDS[level] for level in row) for row in levels]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn_pass(folder: Path) -> None:
    """But for that of the array API, which is not switched on. In float64, in which batches change nothing."""
    found = check_estimator(OfNumbers(str(folder), all_layers=True, dtype="float64"), on_fail=None, on_skip=None)
    others = {each["check_name"]: each["exception"] for each in found if each["status"] != "passed"}
    assert {*others} <= {"check_array_api_input"} and len(found) > 50, others


def test_it_is_the_probe_that_ntps_probe_fits(model: LanguageModel, task: Task, tmp_path: Path) -> None:
    assert task.test is not None
    probe(model, task, out=tmp_path)
    for all_layers in (False, True):
        fitted = NTPSProbe(model, all_layers=all_layers).fit(task.train.texts, labels_of(task))
        loaded = load_probe(tmp_path, model, all_layers=all_layers)
        assert fitted.classes_.tolist() == list(task.label_names)
        made = fitted.predict_proba(task.test.texts)
        np.testing.assert_array_equal(made, loaded.predict_proba(task.test.texts))
        predicted = fitted.predict(np.array(task.test.texts))
        assert (predicted == loaded.predict(task.test.texts)).all()
        truth = np.array(task.label_names)[task.test.labels]
        assert fitted.score(pd.Series(task.test.texts), truth) == np.mean(predicted == truth)
    assert fitted.record_.result.summary.layer in range(DEPTH + 1)


def test_classes_are_what_they_were(model: LanguageModel, task: Task) -> None:
    fitted = NTPSProbe(model, layers=[0]).fit(task.train.texts, task.train.labels - 5)
    assert {*fitted.predict(task.train.texts).tolist()} <= {-5, -4, -3} and fitted.classes_.dtype == np.int64


def test_clones_share_the_model_and_pickles_take_it_along(model: LanguageModel, task: Task) -> None:
    fitted = NTPSProbe(model, layers="-1", pooling="last").fit(task.train.texts, labels_of(task))
    copy = clone(fitted)
    assert copy.model is model and copy.get_params() == fitted.get_params() and not hasattr(copy, "classes_")
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(task.train.texts), fitted.predict_proba(task.train.texts))


def test_pipelines_folds_and_searches(model: LanguageModel, task: Task) -> None:
    texts, labels = list(task.train.texts), labels_of(task)
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    assert cross_val_score(make_pipeline(lower, NTPSProbe(model)), texts, labels, cv=2).shape == (2,)
    search = GridSearchCV(NTPSProbe(model), {"pooling": ["mean", "last"]}, cv=2).fit(texts, labels)
    assert search.best_params_["pooling"] in ("mean", "last") and search.predict(texts).shape == (120,)
    column = ColumnTransformer([("text", FunctionTransformer(lambda rows: np.reshape(rows, (-1, 1))), "text")])
    table = pd.DataFrame({"text": texts, "other": 1})
    flat = FunctionTransformer(np.ravel)
    whole = Pipeline([("column", column), ("flat", flat), ("probe", NTPSProbe(model, layers="-1"))])
    assert whole.fit(table, labels).predict(table).shape == (120,)


@pytest.mark.parametrize(
    ("texts", "labels", "kind", "sentence"),
    [
        (["ba", "be"], ["a", "b", "c"], ValueError, "inconsistent numbers of samples"),
        (["ba", "be"], ["a", "a"], ValueError, "y has one class"),
        (["ba", "be"], [0.5, 1.5], ValueError, "Unknown label type"),
        (["ba", ""], ["a", "b"], InputError, "text 1 is ''"),
        (["ba", 3], ["a", "b"], InputError, "text 1 is 3"),
        ([["ba"], ["be"]], ["a", "b"], InputError, "must be one list of texts: name a single column"),
        ("ba", ["a", "b"], InputError, "must be one list of texts"),
    ],
)
def test_what_cannot_be_fitted(
    texts: Any, labels: Any, kind: type[Exception], sentence: str, model: LanguageModel
) -> None:
    with pytest.raises(kind, match=sentence):
        NTPSProbe(model).fit(texts, labels)


def test_options_that_come_too_late(model: LanguageModel) -> None:
    with pytest.raises(InputError, match="`dtype` has no effect on a model that is loaded already"):
        NTPSProbe(model, dtype="float64").fit(["ba", "be", "bi"], [0, 1, 0])
