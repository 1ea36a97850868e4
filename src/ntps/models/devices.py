"""Devices by name."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from ntps.errors import InputError
from ntps.hub import first_line

SPREAD = "auto"
"""Device that means: layers on as many devices as it takes."""


def check_device_name(name: str | None) -> None:
    """Refuses what no machine calls a device.

    Raises:
        InputError: It is no name of a device.
    """
    if name is None or name == SPREAD:
        return
    try:
        kind = torch.device(name).type
    except RuntimeError:
        kind = "meta"
    # Tensors on `meta` have shapes and no numbers.
    if kind == "meta":
        raise InputError(f"`device` {name} is no device: write cpu, cuda, cuda:1 and the like, or {SPREAD}")


def find_device(name: str | None) -> torch.device | None:
    """The one device, or None for as many as it takes.

    Raises:
        InputError: It cannot be used on this machine.
    """
    check_device_name(name)
    if name == SPREAD:
        if find_spec("accelerate") is None:
            raise InputError(
                f"`device` {SPREAD} needs the package accelerate, which is not installed: run `pip install "
                "accelerate`, or name one device"
            )
        return None
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"`device` {name} cannot be used here ({first_line(error).partition('. ')[0]}): give {_there()}"
        ) from error
    return device


def _there() -> str:
    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    found += ["mps"] if torch.backends.mps.is_available() else []
    return " or ".join(["cpu", *found])
