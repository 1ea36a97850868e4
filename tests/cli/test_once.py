"""An option that takes one value is not given two."""

from __future__ import annotations

import pytest

from ntps.cli import app
from ntps.errors import InputError


@pytest.mark.parametrize("command", ["score", "probe", "finetune"])
@pytest.mark.parametrize("option", ["--label-column", "--limit"])
def test_an_option_of_one_value_is_refused_twice(command: str, option: str) -> None:
    with pytest.raises(InputError, match=f"{option} is given 2 times"):
        app([command, option, "1", option, "2"], standalone_mode=False)
