"""The spec: a YAML file that says which samples a training job sees, in which proportion and in which order."""

from mixtera.spec.expression import parse_predicate
from mixtera.spec.model import (
    BadSamples,
    Component,
    ContentField,
    Grouped,
    Listed,
    Mixture,
    Natural,
    OnExhaust,
    Order,
    Parts,
    Place,
    Property,
    Source,
    Spec,
    Uniform,
    Values,
    Weights,
)
from mixtera.spec.parse import load
from mixtera.spec.typing import check_types, columns

__all__ = [
    "BadSamples",
    "Component",
    "ContentField",
    "Grouped",
    "Listed",
    "Mixture",
    "Natural",
    "OnExhaust",
    "Order",
    "Parts",
    "Place",
    "Property",
    "Source",
    "Spec",
    "Uniform",
    "Values",
    "Weights",
    "check_types",
    "columns",
    "load",
    "parse_predicate",
]
