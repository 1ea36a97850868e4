"""What goes wrong between us and the Hugging Face hub, in one sentence, for datasets and models alike."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ntps.errors import InputError

Kind = Literal["dataset", "model", "tokenizer"]


def holds_results_only(folder: Path) -> bool:
    """Whether a folder holds nothing to see, or a run: the name of ``--out`` may be that of something on the hub."""
    names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    return not names or not names.isdisjoint({"result.json", "progress"})


def hub_refusal(error: BaseException, kind: Kind, repo: str, revision: str | None = None) -> InputError | None:
    """The hub's answer, or its silence, as a sentence; None where the error has another cause.

    Args:
        error: What one of the hub's clients raised; they wrap each other's errors, so its causes are looked at too.
        kind: What was asked for.
        repo: Hub id.
        revision: Branch, tag or commit that was asked for.
    """
    from huggingface_hub import errors

    links = list(causes(error))
    what = f"The hub {kind} {repo}" + (f" at revision {revision}" if revision else "")

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in links)

    if has(errors.RevisionNotFoundError):
        return InputError(f"The hub {kind} {repo} has no revision '{revision or 'main'}': correct what follows the @.")
    if has(errors.GatedRepoError):
        return InputError(f"{what} is gated: accept its conditions on its page, then log in with `hf auth login`.")
    if has(errors.RepositoryNotFoundError):
        return InputError(f"The hub has no {kind} {repo} that you may read: check the id, or run `hf auth login`.")
    if has(errors.HFValidationError):
        return InputError(f"'{repo}' is not a valid hub id: write owner/name, or owner/name@revision.")
    statuses = [link.response.status_code for link in links if isinstance(link, errors.HfHubHTTPError)]
    match next((status for status in statuses if status != 404), None):
        case 401 | 403 as status:
            return InputError(
                f"The hub refuses the {kind} {repo} (error {status}): run `hf auth login` with an account that may "
                f"read it."
            )
        case int() as status:
            return InputError(f"The hub answered with error {status} for the {kind} {repo}: try again later.")
    if has(ConnectionError, TimeoutError, socket.gaierror):
        return unreachable(error, kind, repo)
    return None


def unreachable(error: BaseException, kind: Kind, repo: str) -> InputError:
    """The sentence for a hub that does not answer."""
    instead = "a local file or `data_dir`" if kind == "dataset" else "a local folder"
    return InputError(
        f"The hub cannot be reached for the {kind} {repo} ({first_line(error)}): check the network, or give {instead}."
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def first_line(error: BaseException) -> str:
    """The beginning of a foreign message, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."
