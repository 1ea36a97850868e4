"""A model in another dtype."""

from __future__ import annotations

from typing import Any

import torch

from ntps.errors import InputError
from ntps.models.quiet import quiet_transformers


def in_dtype(base: Any, dtype: torch.dtype, device: torch.device | None) -> Any:
    """A float32 model in the dtype and place of a run, as transformers would have loaded it from a file.

    ``base.to(dtype)`` would round what a model keeps in float32, rotary frequencies above all: at long distances the
    angles are then wrong.

    Args:
        base: The model, in float32 and on the CPU.
        dtype: The dtype.
        device: Where it goes; None for as many devices as it takes.

    Raises:
        InputError: The architecture does not find its own weights again.
    """
    if dtype == torch.float32 and device:
        return base.to(device)
    options: dict[str, Any] = {} if device else {"device_map": "auto"}
    options |= {"config": base.config, "state_dict": base.state_dict(), "dtype": dtype, "output_loading_info": True}
    with quiet_transformers():
        loaded, report = type(base).from_pretrained(None, **options)
    lost = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    if lost:
        raise InputError(f"{type(base).__name__} loses {lost[0]} on its way to {dtype}: use `dtype` float32")
    return (loaded.to(device) if device else loaded).eval()
