import datetime

import pytest

from mixtera.contracts.properties import PROPERTY_TYPES, PropertyType
from mixtera.spec import check_types, parse_predicate
from mixtera.spec.predicate import And, Compare, Has, In, Matches, Span

TYPES: dict[str, PropertyType] = {
    "dataset": "string",
    "license": "string",
    "year": "int64",
    "quality": "float64",
    "crawled": "date",
    "seen": "timestamp",
    "spam": "bool",
    "topics": "list<string>",
    "scores": "list<float64>",
    "ids": "list<int64>",
}


def value_of(text: str) -> object:
    predicate, issues = check_types(parse_predicate(text), TYPES)
    assert issues == []
    assert isinstance(predicate, Compare | Has | In)
    return predicate.values if isinstance(predicate, In) else predicate.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("year == 5.0", 5),
        ("quality == 5", 5.0),
        ("quality in (1, 0.5)", (1.0, 0.5)),
        ("5 in ids", 5),
        ("5 in scores", 5.0),
        ('crawled >= "2024-02-29"', datetime.date(2024, 2, 29)),
        ('seen < "2024-02-29"', datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC)),
        ('seen < "2024-02-29T10:00:00+02:00"', datetime.datetime(2024, 2, 29, 8, tzinfo=datetime.UTC)),
        ('seen == "2024-02-29 10:00:00.000001"', datetime.datetime(2024, 2, 29, 10, 0, 0, 1, tzinfo=datetime.UTC)),
        ("spam == True", True),
        ('license in ("mit",)', ("mit",)),
    ],
)
def test_literals_become_values_of_the_column(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, tuple):
        assert [type(item) for item in found] == [type(item) for item in value]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        'license < "mit"',
        "spam > False",
        'topics == "law"',
        'topics in ("law",)',
        "topics is None",
        "topics",
        "year",
        '"mit" in license',
        "5 in year",
        "5 in topics",
        "0.5 in ids",
        'year == "2010"',
        "year == 2010.5",
        "year == 1e30",
        "year == True",
        "quality == False",
        "quality == 9007199254740993",
        "spam == 1",
        'spam == "True"',
        "license == 5",
        "license in ('mit', 5)",
        "crawled == 2024",
        'crawled == "2024-02-30"',
        'crawled == "2024-02-29T10:00:00"',
        'seen == "yesterday"',
        'seen == "0001-01-01T00:00:00+10:00"',
        'year.startswith("20")',
        'topics.contains("law")',
    ],
)
def test_what_does_not_fit_the_column_is_one_issue_with_its_place(text: str) -> None:
    predicate = parse_predicate(f"quality > 0.5 and not ({text})")
    _, issues = check_types(predicate, TYPES)
    assert len(issues) == 1
    assert issues[0].column == len("quality > 0.5 and not (") + 1
    assert any(kind in issues[0].message for kind in PROPERTY_TYPES)


def test_columns_without_a_type_are_left_alone() -> None:
    predicate = parse_predicate('later < "x" and other and "y" in third and later is None')
    assert check_types(predicate, TYPES) == (predicate, [])


def test_mappings_match_scalars_and_lists() -> None:
    span = Span("f", 3, 4, "topics: law")
    predicate, issues = check_types(
        And((Matches("topics", ("law",), span), Matches("year", (1, None, 2.0), span))), TYPES
    )
    assert issues == []
    assert isinstance(predicate, And)
    assert [term.values for term in predicate.terms if isinstance(term, Matches)] == [("law",), (1, None, 2)]
    _, issues = check_types(Matches("topics", (None, 5), span), TYPES)
    assert [(issue.line, issue.column) for issue in issues] == [(3, 4), (3, 4)]
