"""Products by either library, in one thread or in several, and which of them is taken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ntps import load_model, score
from ntps.moments import products
from ntps.moments.products import Library, add_gram, add_product, products_library
from tiny import random_task, save_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("library", ["torch", "numpy"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("rows", "width", "outputs"), [(1, 1, 1), (0, 5, 2), (7, 63, 4), (50, 300, 300)])
def test_products_are_those_of_the_definition(
    library: Library, threads: int, rows: int, width: int, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Integers, so that no library rounds: whatever the bands and threads, every entry is exact and added once."""
    monkeypatch.setattr(products, "_fastest", lambda: library)
    monkeypatch.setattr(products, "LARGE", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    random = np.random.default_rng(rows + width)
    left, right = random.integers(-9, 9, (rows, width)), random.integers(-9, 9, (rows, outputs))
    total, gram = torch.ones(width, outputs, dtype=torch.float64), torch.ones(width, width, dtype=torch.float64)
    for _ in range(2):
        add_product(total, torch.from_numpy(left).double(), torch.from_numpy(right).double())
        add_gram(gram, torch.from_numpy(left).double())
    assert np.array_equal(total.numpy(), 1 + 2 * left.T @ right)
    assert np.array_equal(np.triu(gram.numpy()), np.triu(1 + 2 * left.T @ left))


@pytest.mark.parametrize(
    ("processor", "expected"),
    [("vendor_id : AuthenticAMD", "numpy"), ("vendor_id : GenuineIntel", "torch"), ("", "torch")],
)
def test_the_processor_decides(processor: str, expected: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_processor", lambda: processor)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    products._fastest.cache_clear()
    try:
        assert products_library(CPU) == (expected if products._blas().lib_controllers else "torch")
        assert products_library(torch.device("cuda")) == "torch"
    finally:
        products._fastest.cache_clear()


def test_a_run_says_whose_products_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that goes on with another library says that its last bits may differ."""
    model, task, out = load_model(save_model(tmp_path / "model")), random_task(20), tmp_path / "run"
    monkeypatch.setattr(products, "_fastest", lambda: "torch")
    with monkeypatch.context() as patch:
        patch.setattr(
            "ntps.scoring.score_run._ScoreRun.closed_forms", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            score(model, task, out=out)
    assert json.loads(json.loads((out / "progress" / "ledger.json").read_text())["ledger"])["conditions"]["products"]
    monkeypatch.setattr(products, "_fastest", lambda: "numpy")
    result = score(model, task, out=out).to_dict()
    assert result["settings"]["products"] == "numpy"
    assert any("products torch and continued with" in warning for warning in result["warnings"])
