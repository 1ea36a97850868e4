"""Every row that is not used is said, with the reason."""

from __future__ import annotations

from ntps.jobs.blocks import SplitBlock, TaskBlock
from ntps.jobs.unused_rows import unused_rows


def block(texts: int, dropped: dict[str, int], split: str = "train", test: SplitBlock | None = None) -> TaskBlock:
    return TaskBlock.model_construct(split=split, texts=texts, dropped=dropped, test=test)


def test_rows_of_both_splits_are_counted_by_reason() -> None:
    test = block(50, {"beyond the limit": 1950}, "test")
    task = block(100, {"empty text": 100, "missing label": 100}, test=test)
    train = "200 of 300 rows of the split 'train' are not used (empty text: 100, missing label: 100)"
    assert unused_rows(task) == [
        train,
        "1,950 of 2,000 rows of the split 'test' are not used (beyond the limit: 1,950)",
    ]
    # What somebody chose is no reason to warn.
    assert unused_rows(task, unusable=True) == [train]
    assert unused_rows(block(7, {})) == []
