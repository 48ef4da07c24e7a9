"""What is found while a foreign file is read: what is wrong with it, and what a spec cannot say of it."""

from __future__ import annotations

from typing import Final

from mixtera.importers.model import Untranslated
from mixtera.importers.scalars import printable, urls_with_secrets, without_secrets
from mixtera.spec.document import Entry, Mapping, Node, Scalar, Sequence, describe, shorten
from mixtera.spec.fields import number_of, text_of
from mixtera.spec.issues import Issues
from mixtera.spec.model import Place

_SHOWN: Final = 100


class Findings:
    """Collects both, each once."""

    def __init__(self) -> None:
        self.issues = Issues()
        self._untranslated: dict[Untranslated, None] = {}

    def wrong(self, place: Place, message: str) -> None:
        """Report a mistake in the input; there will be no spec."""
        self.issues.add(place, message)

    def untranslated(self, place: Place, message: str) -> None:
        """List what the spec does not say. The message never repeats credentials."""
        found = Untranslated(place.file, place.line, printable(without_secrets(message)))
        self._untranslated[found] = None

    @property
    def listed(self) -> tuple[Untranslated, ...]:
        """All that was listed, by file in the order of their first, then by line."""
        files = {item.file: number for number, item in reversed(list(enumerate(self._untranslated)))}
        return tuple(sorted(self._untranslated, key=lambda item: (files[item.file], item.line)))


class Keys:
    """The keys of one mapping of the input. What nobody has asked for is listed by `rest`, so nothing gets lost."""

    def __init__(self, node: Mapping, what: str, findings: Findings) -> None:
        self.place = node.place
        self.what = what
        self.findings = findings
        self._entries = {entry.key.text: entry for entry in node.entries}
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def entry(self, name: str) -> Entry | None:
        """A key with its value; None where it is missing or has no value."""
        self._asked.add(name)
        entry = self._entries.get(name)
        empty = entry is not None and isinstance(entry.value, Scalar) and entry.value.value is None
        return None if empty else entry

    def needs_values(self, *names: str) -> None:
        """Report those of some keys that are there without a value."""
        for name in names:
            if name in self._entries and self.entry(name) is None:
                self.findings.wrong(self.key_place(name), f"{name!r} has no value; give one or remove the key")

    def node(self, name: str) -> Node | None:
        """The value of a key."""
        entry = self.entry(name)
        return None if entry is None else entry.value

    def key_place(self, name: str) -> Place:
        """The place of a key, or of the mapping."""
        return self._entries[name].key.place if name in self._entries else self.place

    def scalar(self, name: str) -> Scalar | None:
        """A text that is not empty."""
        node = self.node(name)
        found = None if node is None else text_of(node, name, self.findings.issues)
        return node if found is not None and isinstance(node, Scalar) else None

    def text(self, name: str) -> str | None:
        """A text that is not empty."""
        found = self.scalar(name)
        return None if found is None else found.text

    def texts(self, name: str) -> tuple[Scalar, ...]:
        """A text or a list of them."""
        node = self.node(name)
        items = () if node is None else node.items if isinstance(node, Sequence) else (node,)
        good = (item for item in items if text_of(item, name, self.findings.issues) is not None)
        return tuple(item for item in good if isinstance(item, Scalar))

    def number(self, name: str, *, zero: bool = True) -> float | None:
        """A finite number that is not negative."""
        node = self.node(name)
        return None if node is None else number_of(node, name, self.findings.issues, zero=zero)

    def mapping(self, name: str) -> Mapping | None:
        """A mapping."""
        node = self.node(name)
        if node is None or isinstance(node, Mapping):
            return node
        self.findings.wrong(node.place, f"{name}: expected a mapping, found {describe(node)}")
        return None

    def items(self, name: str) -> tuple[Node, ...]:
        """The values of a list; a single value is a list of one."""
        node = self.node(name)
        return () if node is None else node.items if isinstance(node, Sequence) else (node,)

    def refuse(self, name: str, message: str) -> None:
        """List a key as not translated, with its value and a reason."""
        entry = self.entry(name)
        if entry is not None:
            self.findings.untranslated(entry.key.place, f"{self.what}: `{name}: {shown(entry.value)}`: {message}")

    def names_left(self) -> tuple[str, ...]:
        """The keys that nobody has asked for."""
        return tuple(name for name in self._entries if name not in self._asked)

    def rest(self, message: str = "import does not know this key") -> None:
        """List the keys that nobody has asked for."""
        for name in self.names_left():
            self.refuse(name, message)


def shown(node: Node) -> str:
    """A value in one short line, for a remark."""
    return shorten(_flat(node, 0), _SHOWN)


def _flat(node: Node, depth: int) -> str:
    match node:
        case Scalar():
            return shorten(without_secrets(node.text), _SHOWN)
        case _ if depth > 3:
            return "…"
        case Sequence():
            return "[" + ", ".join(_flat(item, depth + 1) for item in node.items[:20]) + "]"
        case Mapping():
            pairs = (f"{entry.key.text}: {_flat(entry.value, depth + 1)}" for entry in node.entries[:20])
            return "{" + ", ".join(pairs) + "}"


def refuse_secrets(node: Node, findings: Findings) -> None:
    """Report every value that is a URL with a password or a signature in it: nothing of it may get into a spec."""
    match node:
        case Scalar():
            if not any(c.isspace() for c in node.text) and any(urls_with_secrets(node.text)):
                message = "a URL here holds credentials: specs hold no secrets; take them out, and give them to the"
                findings.wrong(node.place, f"{message} storage's own configuration")
        case Sequence():
            for item in node.items:
                refuse_secrets(item, findings)
        case Mapping():
            for entry in node.entries:
                refuse_secrets(entry.key, findings)
                refuse_secrets(entry.value, findings)
