"""``--device auto``: layers on several devices, as far as one processor can show it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ntps import InputError, NumericalError, score
from ntps.forward import stream
from ntps.forward.nonfinite import NonFiniteMonitor
from ntps.models.load import load_model
from ntps.models.model import LanguageModel
from ntps.models.tokenizing.tokens import tokenize
from ntps.scoring import reductions
from tiny import random_task, save_model

TASK = random_task(60)
DEVICES = (torch.device("cpu"), torch.device("meta"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"), "llama")


def test_spreading_over_one_device_changes_nothing(folder: Path) -> None:
    spread, plain = (score(load_model(folder, device=device), TASK).to_dict() for device in ("auto", "cpu"))
    assert spread["layers"] == plain["layers"]


def test_layers_that_lie_elsewhere_give_the_same_score(folder: Path, tmp_path: Path) -> None:
    """Accelerate fetches the weights of some blocks when their turn comes, also after a pass that ended early."""
    from accelerate import dispatch_model

    plain, spread = (load_model(folder, device="cpu") for _ in range(2))
    places = dict.fromkeys(("embed_tokens", "layers.0", "norm", "rotary_emb"), "cpu")
    dispatch_model(spread.base, {**places, "layers.1": "disk", "layers.2": "disk"}, offload_dir=tmp_path)
    assert {parameter.device.type for parameter in spread.base.parameters()} == {"cpu", "meta"}
    for layers in ("0:2", None, "0"):
        found, expected = (score(model, TASK, layers=layers).to_dict() for model in (spread, plain))
        assert found["layers"] == expected["layers"]


def test_without_accelerate_the_remedy_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ntps.models.devices.find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"`device` auto needs the package accelerate.*pip install accelerate"):
        load_model(folder, device="auto")
    assert load_model(folder, device="cpu").device.type == "cpu"


def test_statistics_stay_on_the_device_of_their_layer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second layer comes from another device, and nothing of it is asked for elsewhere."""
    model = load_model(folder, device="cpu")
    seen: list[tuple[torch.device, ...]] = []

    class Recorder:
        def __init__(self, _width: int, _outputs: int, *, device: torch.device, **_options: Any) -> None:
            self.device = device

        def add(self, rows: Any, targets: Tensor) -> None:
            tensors = [value for value in vars(rows).values() if isinstance(value, Tensor)]
            assert tensors
            seen.append((self.device, targets.device, *(tensor.device for tensor in tensors)))

    visit = LanguageModel.visit_layers

    def scattered(
        self: LanguageModel, ids: Tensor, mask: Tensor | None, layers: Collection[int], sink: Callable[..., None]
    ) -> None:
        visit(self, ids, mask, layers, lambda layer, hidden: sink(layer, hidden.to(DEVICES[layer % 2])))

    monkeypatch.setattr(LanguageModel, "visit_layers", scattered)
    monkeypatch.setattr(reductions, "Moments", Recorder)
    monkeypatch.setattr(
        "ntps.forward.nonfinite.require_finite", lambda _finite, _dtype: None
    )  # meta tensors have no values
    work = stream.Pass(
        model=model,
        tokens=tokenize(model, TASK.train.texts),
        targets=lambda batch: TASK.targets(TASK.train.labels[np.asarray(batch)]),
        layers=(0, 1, 2),
        pooling="mean",
        masked=False,
        tokens_per_batch=10_000,
        progress=lambda _tokens: None,
    )
    moments, _seconds = reductions.collect_moments(work, TASK.outputs)
    assert [set(devices) for devices in seen] == [{DEVICES[layer % 2]} for layer in (0, 1, 2)]
    recorders: dict[int, Any] = {**moments}
    assert [recorders[layer].device for layer in (0, 1, 2)] == [DEVICES[layer % 2] for layer in (0, 1, 2)]


class Elsewhere(torch.Tensor):
    """A tensor whose values may be asked for, but which says that it is not on the processor."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda")


def test_a_gpu_is_asked_one_batch_late_and_before_sums_are_saved() -> None:
    bad, good = (torch.tensor([True, value]).as_subclass(Elsewhere) for value in (False, True))
    texts = np.array([7, 9])
    watch = NonFiniteMonitor(("embed", "block.1"))
    watch.record(1, texts, bad, torch.float16)
    watch.advance()
    watch.record(1, texts, good, torch.float16)
    with pytest.raises(NumericalError, match=r"layer 1 \(block\.1\) are not finite for text 9 in torch\.float16"):
        watch.advance()
    watch = NonFiniteMonitor(("embed", "block.1"))
    watch.record(1, texts, bad, torch.float16)
    with pytest.raises(NumericalError, match="text 9"):
        watch.flush()
    with pytest.raises(NumericalError, match="text 9"):
        watch.record(1, texts, torch.tensor([True, False]), torch.float16)
