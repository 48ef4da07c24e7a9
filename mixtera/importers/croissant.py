"""Croissant metadata (JSON-LD of MLCommons): record sets over files, versions 0.8 and 1.0.

What is read: `distribution` (FileObject, FileSet), `recordSet` with its fields' `source`. Source of the meaning: the
Croissant format specification and examples of mlcommons/croissant (Apache-2.0). Metadata state no proportions, so
every sample comes once.
"""

from __future__ import annotations

from pathlib import Path

from mixtera.importers.columns import choose
from mixtera.importers.croissant_fields import Field, fields_of
from mixtera.importers.croissant_files import Files
from mixtera.importers.croissant_nodes import identity, kind_of, localised
from mixtera.importers.findings import Findings, Keys
from mixtera.importers.model import Draft, DraftMixture
from mixtera.importers.naming import component_name, words_of
from mixtera.importers.options import Options
from mixtera.importers.sources import Sources
from mixtera.spec.document import Mapping, Node, Sequence, describe


def read_croissant(root: Mapping, file: str, options: Options, findings: Findings) -> Draft | None:
    """The draft of Croissant metadata; None where an issue says why there is none."""
    keys = Keys(localised(root), "the metadata", findings)
    for name in ("@context", "@type", "conformsTo"):
        keys.entry(name)
    title = keys.text("name")
    files = Files(keys.items("distribution"), findings)
    record_sets = keys.items("recordSet")
    if not record_sets:
        findings.wrong(root.place, "the metadata have no `recordSet`, which says what a sample is")
    if others := keys.names_left():
        findings.untranslated(root.place, f"{words_of(others)}: they say nothing about a mixture")
    sources = Sources(options, findings)
    for node in record_sets:
        _add(node, files, sources, options, findings)
    if not sources.all and not findings.issues.found:
        findings.wrong(keys.key_place("recordSet"), "no record set reads files that could be a source")
    if findings.issues.found:
        return None
    comment = "Croissant states no proportions: every sample comes once. To mix, list `components:` with weights."
    head = f"Imported by `mixtera import` from {Path(file).name}: Croissant metadata, split {options.split}."
    name = component_name(title or Path(file).stem)
    return Draft(name, head, sources.finished(), DraftMixture((), "stop", (comment,)))


def _add(node: Node, files: Files, sources: Sources, options: Options, findings: Findings) -> None:
    """Add the source of a record set."""
    if not isinstance(node, Mapping):
        findings.wrong(node.place, f"expected a record set, found {describe(node)}")
        return
    keys = Keys(node, "a record set", findings)
    name = identity(node) or "records"
    kinds, data = kind_of(keys.node("dataType")), keys.node("data")
    fields = [field for item in keys.items("field") for field in fields_of(item, findings)]
    for known in ("@type", "@id", "name", "description", "key", "examples", "isEnumeration"):
        keys.entry(known)
    keys.rest()
    if data is not None:
        if "Split" not in kinds:
            count = len(data.items) if isinstance(data, Sequence) else 1
            findings.untranslated(node.place, f"the record set {name!r} holds its {count} records itself, in no file")
        return
    homes = list(dict.fromkeys(field.home for field in fields if field.home is not None))
    if not homes:
        findings.untranslated(node.place, f"the record set {name!r} has no field that is read from a file")
        return
    home = max(homes, key=lambda one: sum(field.home == one for field in fields))
    for field in fields:
        if field.home not in (None, home):
            message = f"{name}: the field {field.name!r} comes from {field.home!r}: samples of several files are not"
            findings.untranslated(field.place, f"{message} joined")
    _add_files(name, [field for field in fields if field.home == home], home, files, sources, options, findings)


def _add_files(
    name: str,
    fields: list[Field],
    home: str,
    files: Files,
    sources: Sources,
    options: Options,
    findings: Findings,
) -> None:
    place = fields[0].place
    pattern = next((field.split_pattern for field in fields if field.split_pattern), None)
    found = files.of(home, options.split, pattern, place)
    if found is None:
        return
    placed = [new for scalar, path in found.paths if (new := sources.placed(scalar, path)) is not None]
    if not placed or len(placed) < len(found.paths):
        return
    chosen = choose([field.column for field in fields if field.column is not None], options.content)
    if chosen is None:
        findings.untranslated(place, f"{name}: no field holds text")
    elif not chosen.certain:
        others = ", ".join(path for path in chosen.texts if path != chosen.content)
        message = f"{name}: training may read {others} instead of {chosen.content}, which `content:` is a guess of"
        findings.untranslated(place, message)
    sources.add(
        name,
        placed,
        found.format,
        place,
        content=[("text", chosen.content)] if chosen is not None else (),
        properties=chosen.properties if chosen is not None else (),
    )
