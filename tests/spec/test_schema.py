import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mixtera.spec import keys
from mixtera.spec.schema import json_schema
from tests.spec.samples import NATURAL, SOURCES

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "specs" / "examples").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())
WRONG_SHAPE = [
    "unknown-key",
    "unknown-section",
    "unknown-key-in-source",
    "missing-keys",
    "missing-weight",
    "no-content",
    "version-2",
    "no-parts",
    "components-and-by",
    "weights-without-by",
    "negative-weight",
    "component-names",
    "max-epochs",
    "on-exhaust",
    "order",
    "numbers",
    "tokens-shape",
    "schedule-empty",
    "schedule-entries",
    "schedule-names",
    "schedule-positions",
    "schedule-ramps",
    "schedule-with-by",
    "budget-both",
    "budget-empty",
    "budget-incomplete",
    "temperature",
    "weights-of-two-kinds",
    "floor-and-ceiling",
    "unimax-inside-a-schedule",
    "dynamic",
    "dynamic-shape",
    "bad-samples",
    "property-types",
    "path-of-wrong-type",
    "empty-predicates",
    "not-a-mapping",
]


def test_the_schema_is_a_schema_and_json() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits(path: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "tail",
    [
        NATURAL,
        "filter: {language: [en, null]}\nmixture: {by: [dataset, year], weights: {values: {'web,1': 1, rest: 2}}}\n",
        "mixture:\n  components:\n    - {name: a, weight: 0.5, by: language, weights: uniform, max_epochs: 1.5}\n",
        "mixture: {by: dataset, budget: {steps: 10, batch: 4}, weights: {unimax: {max_epochs: 1.5}}}\n",
        "mixture:\n  components:\n    - {name: a, by: year, weights: {temperature: 2}}\n  schedule:\n"
        "    - {at: 0, weights: {a: 1}}\n    - {at: 5%, weights: {a: 2}, ramp: cosine, until: 7.5%}\n"
        "    - {step: 8, batch: 2, weights: {a: 2}, ramp: linear, until_step: 9}\n",
        "mixture:\n  components:\n    - {name: a, where: {dataset: web}, weight: 1, floor: 0.1, ceiling: 1}\n"
        "    - {name: b, weight: 1, by: language, weights: {temperature: 2, floor: 0, ceiling: 0.9}}\n",
        "mixture: {by: dataset, weights: {floor: 0.1}}\n",
        "mixture: {by: dataset, on_exhaust: error}\norder: {seed: 1, shuffle: none, chunk_size: 8, granule: 4}\n",
    ],
)
def test_other_good_specs_fit(tail: str) -> None:
    VALIDATOR.validate(yaml.safe_load(SOURCES + tail))


@pytest.mark.parametrize("name", WRONG_SHAPE)
def test_wrong_shapes_do_not_fit(name: str) -> None:
    text = (ROOT / "specs" / "invalid" / f"{name}.yaml").read_text()
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_every_key_is_in_the_reference_page() -> None:
    page = (ROOT / "docs" / "reference" / "spec.md").read_text()
    sections = [value for value in vars(keys).values() if isinstance(value, keys.Section)]
    missing = {key.name for section in sections for key in section.keys if f"`{key.name}`" not in page}
    assert missing == set()
