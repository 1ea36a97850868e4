"""What LoRA changed: nothing by nothing, and otherwise the difference of two scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ntps import InputError, ScoreResult, load_model, score
from ntps.display.tables import change_table
from ntps.models.adapters.files import CONFIG, WEIGHTS
from ntps.models.adapters.lora import adapter_tensors, add_lora
from ntps.scoring.adapter_change import parse_place
from tiny import DEPTH, WIDTH, random_task, save_model

TASK = random_task(120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


def adapter(place: Path, folder: Path, scale: float) -> Path:
    model = load_model(folder)
    peft_model: Any = add_lora(model, rank=4, alpha=4, dropout=0.0, start_layer=1)
    torch.manual_seed(2)
    with torch.no_grad():
        for name, weight in peft_model.named_parameters():
            if ".lora_B." in name:
                weight.normal_().mul_(scale)
    tensors, config = adapter_tensors(peft_model)
    place.mkdir()
    save_file(tensors, place / WEIGHTS)
    (place / CONFIG).write_text(json.dumps(config))
    return place


def test_an_adapter_of_zeros_changes_nothing(folder: Path, tmp_path: Path) -> None:
    plain = score(folder, TASK).to_dict()
    record = score(folder, TASK, adapter=adapter(tmp_path / "adapter", folder, 0.0)).to_dict()
    assert record["settings_hash"] == plain["settings_hash"]
    assert record["layers"] == plain["layers"]
    for row in record["change"]["layers"]:
        assert row["ntps_change_percent"] == 0
        assert (row["area_before"], row["r2_before"]) == (row["area_after"], row["r2_after"])


def test_the_change_is_that_of_two_scores(folder: Path, tmp_path: Path) -> None:
    place = adapter(tmp_path / "adapter", folder, 0.5)
    before, after = score(folder, TASK), score(load_model(folder, adapter=place), TASK)
    both = score(folder, TASK, adapter=place, at="-1:5", out=tmp_path / "out")
    assert both.to_dict()["layers"] == after.to_dict()["layers"]
    assert both.to_dict()["settings_hash"] != before.to_dict()["settings_hash"]
    block = both.to_dict()["change"]
    assert block["baseline"]["summary"] == before.summary
    curves = {name: each.to_frame().set_index(["layer", "k"])["ntps"] for name, each in (("b", before), ("a", after))}
    rows = [*block["layers"], block["at"]]
    assert (block["at"]["layer"], block["at"]["k"], block["at"]["name"]) == (DEPTH, 5, "final_norm")
    for row, old in zip(block["layers"], before.to_dict()["layers"], strict=True):
        assert row["k"] == old["k_share95"]
        new = after.to_dict()["layers"][row["layer"]]
        assert (row["area_after"], row["r2_after"]) == (new["area"], new["r2"])
        assert (row["area_before"], row["r2_before"]) == (old["area"], old["r2"])
    for row in rows:
        old_ntps, new_ntps = (curves[name][row["layer"], row["k"]] for name in "ba")
        assert (row["ntps_before"], row["ntps_after"]) == (old_ntps, new_ntps)
        assert row["ntps_change_percent"] == pytest.approx(100 * (new_ntps - old_ntps) / old_ntps)
    # Blocks below the first with LoRA are the same.
    assert [row["ntps_change_percent"] for row in block["layers"][:2]] == [0, 0]
    assert block["layers"][-1]["ntps_change_percent"] != 0
    assert ScoreResult.load(tmp_path / "out").to_dict() == both.to_dict()
    change = both.record.result.change
    assert change is not None and change_table(change).row_count == DEPTH + 2
    assert both.to_dict()["model"]["adapter"]["rank"] == 4


@pytest.mark.parametrize("at", ["3", "a:b", "9:1", "0:0", f"0:{WIDTH + 1}", f"-{DEPTH + 2}:1"])
def test_places_that_do_not_exist(at: str) -> None:
    with pytest.raises(InputError, match=f"`at` '?{at}"):
        parse_place(at, DEPTH, WIDTH)


def test_nothing_to_compare(folder: Path) -> None:
    with pytest.raises(InputError, match="give `adapter` with it"):
        score(folder, TASK, at="1:1")
    with pytest.raises(InputError, match="`adapter` has no effect on a model that is loaded already"):
        score(load_model(folder), TASK, adapter="somewhere")
