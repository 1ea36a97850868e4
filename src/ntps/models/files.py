"""Where a model's files are: in a folder, or on the hub at one commit and from there in the hub's cache."""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ntps.errors import InputError
from ntps.files import existing
from ntps.hub import Kind, causes, first_line, holds_results_only, hub_refusal
from ntps.models.embedded import embedded_model_folder
from ntps.models.registry import EMBEDDED, known_model

# All that is not weights: configurations, vocabularies, chat templates, code.
_DESCRIBING = (".json", ".txt", ".model", ".tiktoken", ".bpe", ".vocab", ".jinja", ".py")
GGUF = ".gguf"
"""Ending of files that hold a model whole, with configuration and tokenizer."""
# In the order in which transformers looks for them.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_ALWAYS_THERE = ("config.json", "tokenizer_config.json", "tokenizer.json", "tokenizer.model")


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model or tokenizer on this machine.

    Attributes:
        name: What the user calls it.
        kind: Whether it is needed as a model or as a tokenizer.
        folder: Where the files lie.
        names: Names of the files that there are, here or on the hub.
        repo: Hub id; None for a folder of the user's.
        commit: Commit of the repository.
        notes: What a reader must know.
        gguf: Name of the GGUF file that holds the model whole, if it is one.
    """

    name: str
    kind: Kind
    folder: Path
    names: Set[str]
    repo: str | None = None
    commit: str | None = None
    notes: tuple[str, ...] = ()
    gguf: str | None = None

    def options(self, trust_remote_code: bool) -> dict[str, Any]:
        """How transformers loads them: off the network, but for code that a hub model takes from another repository."""
        whole = {"gguf_file": self.gguf} if self.gguf else {}
        at_home = self.repo is None or not trust_remote_code
        return {"trust_remote_code": trust_remote_code, "local_files_only": at_home, **whole}

    def weights(self) -> Set[str]:
        """Names of the files that hold the weights.

        Raises:
            InputError: A list of them cannot be read.
        """
        return {self.gguf} if self.gguf else _weight_files(self.folder, self.names)

    def with_weights(self) -> ModelFiles:
        """Downloads the weights if they are on the hub.

        Raises:
            InputError: There are none, some are missing, or the hub fails.
        """
        weights = self.weights()
        missing = sorted(weights - self.names)
        if missing or not weights:
            lack = f"lacks {missing[0]}" if missing else "has no weights (model.safetensors or pytorch_model.bin)"
            raise InputError(f"{self.name} {lack}: complete the model, or name another one or another revision")
        if self.repo and self.commit:
            _download(self.repo, self.commit, weights, self.kind)
        return self


def find_files(name: str, kind: Kind = "model") -> ModelFiles:
    """Finds a model or tokenizer by folder, short name or hub id; of the hub's, all but the weights is downloaded.

    Args:
        name: Folder, hub id or ``id@revision``, or the short name of a model of the paper. An existing folder wins
            over a name, and then no network is touched; only ``demo`` is always the embedded model (``./demo`` is not).
        kind: What is looked for.

    Raises:
        InputError: There is no such folder or repository, or the hub cannot be used.
    """
    path = embedded_model_folder() if name == EMBEDDED else existing(name)
    by_name = not name.startswith((".", "/", "~"))
    if path and path.is_dir() and not (by_name and name.count("/") < 2 and holds_results_only(path)):
        return _in_folder(name, kind, path)
    if path and path.suffix == GGUF and path.is_file():
        return _gguf(name, kind, path)
    if path and path.is_file():
        texts = "; if it holds texts, give it as the task" if kind == "model" else ""
        raise InputError(f"{name} is a file, not a {kind}: give the folder that holds it and what belongs to it{texts}")
    repo, _, revision = name.partition("@")
    if name.startswith((".", "/", "~")) or repo.count("/") > 1:
        raise InputError(f"there is no folder {name}: check the path of the {kind}")
    known = known_model(repo)
    if known is None and "/" not in repo:
        raise InputError(
            f"{name} is neither a folder of a {kind}, nor a known model (see `ntps models`), nor a hub id with its "
            f"owner: write owner/name, such as openai-community/gpt2"
        )
    try:
        return _on_the_hub(name, kind, known.hub_id if known else repo, revision or None)
    except InputError as error:
        if path and path.is_dir():
            raise InputError(f"the folder {name} holds no {kind}, so the name was looked up: {error}") from error
        raise


def _in_folder(name: str, kind: Kind, folder: Path) -> ModelFiles:
    names = _listed(folder)
    whole = sorted(file for file in names if file.endswith(GGUF))
    if not whole or "config.json" in names:
        return ModelFiles(name, kind, folder, names)
    if len(whole) > 1:
        raise InputError(f"{name} holds {len(whole)} GGUF files: name one of them, such as {folder / whole[0]}")
    return _gguf(name, kind, folder / whole[0])


def _gguf(name: str, kind: Kind, file: Path) -> ModelFiles:
    for package in ("gguf", "accelerate"):
        if find_spec(package) is None:
            raise InputError(
                f"{file} is a GGUF file, which needs the package {package}: install it with `pip install '.[gguf]'`"
            )
    return ModelFiles(name, kind, file.parent, {file.name}, gguf=file.name)


def is_cached(repo: str) -> bool:
    """Whether the hub's cache holds a repository's default branch, weights included."""
    # The hub's own look into its cache takes longer to import than a table of models may take.
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    try:
        folder = folder / "snapshots" / (folder / "refs" / "main").read_text()
        names = _listed(folder)
        weights = _weight_files(folder, names)
    except (OSError, InputError):
        return False
    return bool(weights) and weights <= names


def _on_the_hub(name: str, kind: Kind, repo: str, revision: str | None) -> ModelFiles:
    """Resolves the revision once: whatever is downloaded later is of the same commit."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repo, revision=revision)
    except Exception as error:  # the HTTP library beneath, and so its errors, differ between releases
        cached = None if _refused(error) else _cached(repo, revision)
        if cached is None:
            raise _explained(error, repo, revision, kind) from error
        note = f"the hub could not be reached, so {name} is commit {cached.name} of the cache"
        notes = () if revision == cached.name else (note,)
        return ModelFiles(name, kind, cached, _listed(cached), repo, cached.name, notes)
    if info.sha is None:
        raise InputError(f"the hub names no commit for the {kind} {repo}: give one as {repo}@COMMIT")
    names = {file.rfilename for file in info.siblings or () if "/" not in file.rfilename}
    describing = [name for name in sorted(names) if name.endswith(_DESCRIBING)]
    if not describing:
        raise InputError(f"the hub repository {repo} holds no {kind}: check the id, or name another revision")
    if revision != info.sha:
        # Leaves a note in the cache of what the name stands for, which is all that is known without a network.
        _download(repo, revision, describing[:1], kind)
    return ModelFiles(name, kind, _download(repo, info.sha, describing, kind), names, repo, info.sha)


def _download(repo: str, revision: str | None, names: Iterable[str], kind: Kind) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return [Path(hf_hub_download(repo, name, revision=revision)) for name in names][-1].parent
    except Exception as error:  # as above
        raise _explained(error, repo, revision, kind) from error


def _refused(error: Exception) -> bool:
    """Whether the hub did answer, with an error that is not its own failure."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code < 500
    return isinstance(error, HFValidationError)


def _cached(repo: str, revision: str | None) -> Path | None:
    """The folder of a revision in the hub's cache, if anything of it is there."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repo, name, revision=revision) for name in _ALWAYS_THERE)
    return next((Path(path).parent for path in found if isinstance(path, str)), None)


def _explained(error: Exception, repo: str, revision: str | None, kind: Kind) -> InputError:
    return hub_refusal(error, kind, repo, revision) or InputError(
        f"the {kind} {repo} cannot be downloaded ({first_line(list(causes(error))[-1])}): check the network, the free "
        f"space of the disk and the rights of the hub's cache, or give a local folder"
    )


def _weight_files(folder: Path, names: Set[str]) -> Set[str]:
    """The files that transformers will ask for."""
    for whole in _WEIGHTS:
        if whole in names:
            return {whole}
        index = folder / f"{whole}.index.json"
        if index.is_file():
            try:
                return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
                raise InputError(f"{index} is no list of weight files ({first_line(error)}): write it again") from error
    return set()


def _listed(folder: Path) -> Set[str]:
    try:
        return {file.name for file in folder.iterdir()}
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}): check its rights") from error
