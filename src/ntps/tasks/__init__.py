"""Labelled texts: files, folders, hub datasets, the paper's twelve tasks, and the embedded one."""

from typing import TYPE_CHECKING

from ntps.lazy import offer

if TYPE_CHECKING:
    from ntps.tasks.load import load_task
    from ntps.tasks.task import Task
else:
    __getattr__, __dir__ = offer(__name__, {"Task": "ntps.tasks.task", "load_task": "ntps.tasks.load"})

__all__ = ["Task", "load_task"]
