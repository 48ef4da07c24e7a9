"""Which special tokens the files of a tokenizer name: its settings first, then its post-processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers.locating import FILE, SETTINGS
from mixtera.tokens.tokenizers.special import ROLES, Role

_BERT_LIKE: Final = frozenset({"BertProcessing", "RobertaProcessing"})


def declared_tokens(path: Path, parsed: Mapping[str, Any]) -> dict[Role, str]:
    """Role → text of the token.

    Args:
        path: The tokenizer.json; where it has another name, the files beside it belong to something else.
        parsed: Its content.

    Raises:
        TokenizerError: A file beside it is no JSON object.
    """
    settings = [_settings(path.with_name(name)) for name in SETTINGS] if path.name == FILE else []
    found: dict[Role, str] = {}
    for source in (*map(_named, settings), dict(_processed(parsed.get("post_processor")))):
        found = {**source, **found}
    return found


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        parsed = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read: {error}; mend it, or take it away") from error
    if not isinstance(parsed, dict):
        raise TokenizerError(f"{path} is no JSON object; mend it, or take it away")
    return parsed


def _named(settings: Mapping[str, Any]) -> dict[Role, str]:
    texts = {role: _text(settings.get(f"{role}_token")) for role in ROLES}
    return {role: text for role, text in texts.items() if text is not None}


def _text(value: object) -> str | None:
    if isinstance(value, dict):  # an AddedToken, written down
        value = value.get("content")
    return value if isinstance(value, str) else None


def _processed(processor: object) -> Iterator[tuple[Role, str]]:
    """What a post-processor puts before and after one text."""
    if not isinstance(processor, dict):
        return
    kind = processor.get("type")
    if kind == "Sequence":
        for one in processor.get("processors", ()):
            yield from _processed(one)
    elif kind in _BERT_LIKE:
        yield from (("bos", processor["cls"][0]), ("eos", processor["sep"][0]))
    elif kind == "TemplateProcessing":
        single = processor.get("single", ())
        text = next((place for place, piece in enumerate(single) if "Sequence" in piece), len(single))
        before = [piece["SpecialToken"]["id"] for piece in single[:text] if "SpecialToken" in piece]
        after = [piece["SpecialToken"]["id"] for piece in single[text:] if "SpecialToken" in piece]
        yield from (("bos", token) for token in before[:1])
        yield from (("eos", token) for token in after[-1:])
