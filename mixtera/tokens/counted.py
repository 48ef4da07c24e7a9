"""What a spec asks the catalog to count: the tokens of every sample, as a property that no spec names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mixtera.artifact.model import TokenParameters
from mixtera.spec.delivery import is_text, text_columns
from mixtera.spec.model import ComputedProperty, Property, Source, Spec
from mixtera.tokens.columns import count_column, is_tokenized
from mixtera.tokens.opened import directory_of
from mixtera.tokens.parameters import token_parameters

FUNCTION = "mixtera.tokens.counting:count"
IN_FILE = "tokens"
"""Path of the number of tokens in formats of tokens."""


def counted(spec: Spec) -> Spec:
    """A spec whose sources have counts beside their properties; as it is, where it packs no tokens.

    Raises:
        SpecError: The tokenizer cannot be opened, or has no token that is asked for.
    """
    if spec.tokens is None or not spec.tokens.packs:
        return spec
    parameters = token_parameters(spec.tokens)
    text = text_columns(spec.tokens)
    sources = (
        _counted(source, parameters, text) if is_text(source, spec.tokens) else source for source in spec.sources
    )
    return replace(spec, sources=tuple(sources))


def _counted(source: Source, parameters: TokenParameters, text: Sequence[str]) -> Source:
    name = count_column(source, parameters)
    if is_tokenized(source.format):
        own = Property(name, IN_FILE, "int64", source.place)
        return replace(source, properties=(*source.properties, own))
    wanted = ComputedProperty(
        name=name,
        function=FUNCTION,
        columns=tuple(field.name for field in source.content if not text or field.name in text),
        type="int64",
        options={
            "tokenizer": parameters.tokenizer,
            "directory": str(directory_of(parameters.base)),
            "template": parameters.template,
            "fingerprint": parameters.fingerprint,
            **({} if parameters.encoder is None else {"encoder": parameters.encoder}),
        },
        version=parameters.fingerprint,
    )
    return replace(source, computed=(*source.computed, wanted))
