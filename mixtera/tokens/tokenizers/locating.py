"""Where a tokenizer.json lies: the path itself, a directory, the cache of the hub, and only then the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mixtera.contracts.tokenizer import TokenizerRequest
from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers.nearest import file_beside, tokenizer_like

FILE: Final = "tokenizer.json"
SETTINGS: Final = ("tokenizer_config.json", "special_tokens_map.json")
"""Files beside it that name the special tokens."""
_HUB_NAME: Final = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@[\w./-]+)?")
_FILE_LIKE: Final = (".json", ".model", ".tiktoken", ".txt", ".bin")
_PROBE_SECONDS: Final = 10.0


def located(request: TokenizerRequest) -> Path:
    """The tokenizer.json of a request.

    Raises:
        TokenizerError: Nothing is there; the message says where it was looked for.
    """
    value = request.value
    path = request.directory / Path(value).expanduser()
    if not value:
        raise TokenizerError(f"tokenizer {request.name!r}: write huggingface:PATH, or a name on the hub")
    if path.is_dir():
        return _in_directory(request.name, path)
    if path.exists():
        return _file(request.name, path)
    if value.lower().endswith(_FILE_LIKE) or not _HUB_NAME.fullmatch(value):
        raise TokenizerError(f"tokenizer {request.name!r}: there is no {path}{file_beside(path)}")
    return _from_hub(request)


def _file(name: str, path: Path) -> Path:
    if path.suffix == ".model":
        raise TokenizerError(
            f"tokenizer {name!r}: {path} is a SentencePiece model; save it as tokenizer.json "
            "(transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)) and name that"
        )
    return path


def _in_directory(name: str, directory: Path) -> Path:
    path = directory / FILE
    if not path.exists():
        raise TokenizerError(f"tokenizer {name!r}: the directory {directory} has no {FILE}{file_beside(path)}")
    return path


def _from_hub(request: TokenizerRequest) -> Path:
    repository, _, revision = request.value.partition("@")
    try:
        import huggingface_hub as hub
    except ImportError as error:
        raise TokenizerError(_absent(request, "the package huggingface_hub is not installed")) from error
    try:
        return Path(hub.hf_hub_download(repository, FILE, revision=revision or None, local_files_only=True))
    except hub.errors.LocalEntryNotFoundError:
        return _downloaded(request, repository, revision or None)
    except hub.errors.HFValidationError as error:
        raise TokenizerError(f"tokenizer {request.name!r} is no path and no name of the hub: {error}") from error


def _downloaded(request: TokenizerRequest, repository: str, revision: str | None) -> Path:
    import huggingface_hub as hub

    try:
        # A download tries for half a minute where there is no network; one question is enough to know.
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, FILE, revision=revision), timeout=_PROBE_SECONDS)
        path = Path(hub.hf_hub_download(repository, FILE, revision=revision))
        for name in SETTINGS:
            if hub.file_exists(repository, name, revision=revision):
                hub.hf_hub_download(repository, name, revision=revision)
    except Exception as error:  # those of the HTTP client below, whichever it is, and the hub's own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TokenizerError(_absent(request, f"the hub: {reason}")) from error
    return path


def _absent(request: TokenizerRequest, reason: str) -> str:
    path = request.directory / request.value
    hint = tokenizer_like(request.value) or file_beside(path)
    return (
        f"tokenizer {request.name!r}: there is no {path}, nothing of that name in the local cache of the hub, and none "
        f"could be fetched ({reason}); name a tokenizer.json, or fetch it where there is a network{hint}"
    )
