"""Datasets of the Hugging Face hub, without running any code of theirs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ntps.errors import InputError
from ntps.hub import causes, first_line, hub_refusal, unreachable
from ntps.tasks.sources.arrow import arrow_table
from ntps.tasks.sources.source import Source
from ntps.tasks.sources.table import Table

if TYPE_CHECKING:
    from datasets import DatasetDict

COMMIT = re.compile(r"[0-9a-f]{40}")


def hub_source(repo: str, revision: str | None = None, config: str | None = None) -> Source:
    """Downloads a dataset at one commit, or finds it in the cache.

    Args:
        repo: Hub id, ``owner/name``.
        revision: Commit, tag or branch; the default branch if None.
        config: Configuration; the only one or the default if None.

    Raises:
        InputError: The hub cannot be reached, or has no such dataset, revision, configuration or file.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        commit = HfApi().dataset_info(repo, revision=revision).sha
    except Exception as error:  # the HTTP library beneath, and so its errors, differ between releases
        answered = isinstance(error, HfHubHTTPError | HFValidationError)
        if answered or revision is None or (cached := _cached(repo, revision, config)) is None:
            raise _explained(error, repo, revision, None) from error
        return _source(repo, revision, config, cached)
    if commit is None:
        raise InputError(f"The hub names no commit for the dataset {repo}: give one as {repo}@COMMIT.")
    return _source(repo, commit, config, _download(repo, commit, config))


def _source(repo: str, commit: str, config: str | None, splits: DatasetDict) -> Source:
    label = f"{repo} {config}" if config else repo

    def read(split: str) -> Table:
        return arrow_table(f"{label}, split {split}", splits[split].data.table)

    return Source(f"hub: {label}", tuple(splits), read, revision=commit)


def _cached(repo: str, commit: str, config: str | None) -> DatasetDict | None:
    """The very commit from the cache of the datasets library, whose own search takes any commit that it finds."""
    from datasets.packaged_modules.cache.cache import Cache

    if not COMMIT.fullmatch(commit):
        return None
    builder = Cache(dataset_name=repo.split("/")[1], repo_id=repo, config_name=config or "default", hash=commit)
    try:
        builder.download_and_prepare()
    except ValueError:
        return None
    found: DatasetDict = builder.as_dataset()
    return found


def _download(repo: str, commit: str, config: str | None) -> DatasetDict:
    from datasets import load_dataset_builder

    try:
        with bars_on_a_terminal_only():
            builder = load_dataset_builder(repo, config, revision=commit)
            if builder.hash == commit:
                builder.download_and_prepare()
                found: DatasetDict = builder.as_dataset()
                return found
    except Exception as error:  # as above
        raise _explained(error, repo, commit, config) from error
    # Where the network fails, the datasets library takes whatever commit its cache holds.
    raise InputError(f"The hub failed half-way through the dataset {repo} at revision {commit}: try again later.")


@contextmanager
def bars_on_a_terminal_only() -> Iterator[None]:
    """Keeps the datasets library's bars out of logs, and restores the user's setting afterwards."""
    import datasets

    if sys.stderr.isatty() or datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


def _explained(error: Exception, repo: str, revision: str | None, config: str | None) -> InputError:
    """One sentence for anything that the hub's clients raise."""
    import pyarrow as pa
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
    from huggingface_hub.errors import EntryNotFoundError

    links = list(causes(error))
    what = f"The hub dataset {repo}" + (f" at revision {revision}" if revision else "")
    message = str(error)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in links)

    if refusal := hub_refusal(error, "dataset", repo, revision):
        return refusal
    if has(DatasetNotFoundError):
        return InputError(f"The hub has no dataset {repo} that you may read: check the id, or run `hf auth login`.")
    if "scripts are no longer supported" in message:
        return InputError(f"{what} is a loading script, which is not run: try {repo}@refs/convert/parquet.")
    if isinstance(error, ValueError) and "config" in message.lower():
        return InputError(f"{what} does not load with configuration {config!r} ({first_line(error)}): use `config`.")
    if has(FileNotFoundError, EntryNotFoundError):
        return InputError(
            f"{what} lacks the data files that it should have ({first_line(error)}): choose another revision, for "
            f"instance {repo}@refs/convert/parquet."
        )
    if has(pa.ArrowException, DatasetGenerationError):
        return InputError(f"{what} holds broken data ({first_line(links[-1])}): choose another revision with @.")
    return unreachable(error, "dataset", repo)
