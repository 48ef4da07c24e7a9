import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixtera.errors import SpecError
from mixtera.spec import columns, parse_predicate
from mixtera.spec.predicate import And, Compare, Has, In, Not, Or, Predicate

COLUMNS = ("dataset", "language", "license", "year", "quality", "topics", "spam")


def bare(node: Predicate) -> Any:
    """A predicate without its spans."""
    match node:
        case And(terms) | Or(terms):
            return (type(node).__name__, *map(bare, terms))
        case Not(term):
            return ("Not", bare(term))
        case _:
            return (type(node).__name__, *(getattr(node, name) for name in node.__slots__ if name != "span"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('language == "en"', ("Compare", "language", "==", "en")),
        ("'en' == language", ("Compare", "language", "==", "en")),
        ("2000 < year", ("Compare", "year", ">", 2000)),
        ("-1 >= quality", ("Compare", "quality", "<=", -1)),
        ("2000 <= year < 2010", ("And", ("Compare", "year", ">=", 2000), ("Compare", "year", "<", 2010))),
        ('language in ("en", "de")', ("In", "language", ("en", "de"), False)),
        ('language not in ["en"]', ("In", "language", ("en",), True)),
        ("year in {1, 2}", ("In", "year", (1, 2), False)),
        ('"law" in topics', ("Has", "topics", "law", False)),
        ('"law" not in topics', ("Has", "topics", "law", True)),
        ("year is None", ("IsNone", "year", False)),
        ("year is not None", ("IsNone", "year", True)),
        ('license.startswith("mit")', ("TextTest", "license", "startswith", "mit")),
        ('not license.endswith("x")', ("Not", ("TextTest", "license", "endswith", "x"))),
        ('license.contains("")', ("TextTest", "license", "contains", "")),
        ("spam", ("Flag", "spam")),
        ("not spam", ("Not", ("Flag", "spam"))),
        ("spam == False", ("Compare", "spam", "==", False)),
        ("quality > -0.5", ("Compare", "quality", ">", -0.5)),
        ("year == -9223372036854775808", ("Compare", "year", "==", -(2**63))),
        (
            "spam or year > 1 and (quality < 1 or quality > 2)",
            (
                "Or",
                ("Flag", "spam"),
                (
                    "And",
                    ("Compare", "year", ">", 1),
                    ("Or", ("Compare", "quality", "<", 1), ("Compare", "quality", ">", 2)),
                ),
            ),
        ),
        (
            "spam and (year > 1 and year < 3)",
            ("And", ("Flag", "spam"), ("Compare", "year", ">", 1), ("Compare", "year", "<", 3)),
        ),
        ("  spam\n  or\n  not spam  ", ("Or", ("Flag", "spam"), ("Not", ("Flag", "spam")))),
        ('language == "a#b, é\\n"', ("Compare", "language", "==", "a#b, é\n")),
    ],
)
def test_what_a_predicate_means(text: str, expected: object) -> None:
    assert bare(parse_predicate(text, COLUMNS)) == expected


def test_spans_name_line_column_and_text() -> None:
    predicate = parse_predicate('language == "ö" and\n  (year > 2000 or "x" in topics)', COLUMNS, "where")
    assert isinstance(predicate, And)
    first, second = predicate.terms
    assert isinstance(first, Compare)
    assert (first.span.file, first.span.line, first.span.column, first.span.text) == ("where", 1, 1, 'language == "ö"')
    assert isinstance(second, Or)
    spans = [(t.span.line, t.span.column, t.span.text) for t in second.terms if isinstance(t, Compare | Has)]
    assert spans == [(2, 4, "year > 2000"), (2, 19, '"x" in topics')]


def test_columns_are_told_once_in_order() -> None:
    predicate = parse_predicate('spam and not (year > 1 or "x" in topics) and year is None and license.contains("x")')
    assert columns(predicate) == ("spam", "year", "topics", "license")


def test_every_wrong_term_is_reported() -> None:
    with pytest.raises(SpecError) as caught:
        parse_predicate("yeer > 1 and (langage == 'en' or len(topics) > 1) and not spma", COLUMNS)
    assert [(issue.line, issue.column) for issue in caught.value.issues] == [(1, 1), (1, 15), (1, 34), (1, 59)]


HOSTILE = [
    '__import__("os").system("true")',
    "language.__class__.__mro__",
    'language == (lambda: "en")()',
    "[x for x in topics]",
    "(year := 5) > 3",
    "year if spam else quality",
    "spam and open",
    "year > 1) or (spam",
    "year > 1; import os",
    "spam\\\n",
    "language == f'{year}'",
    "language == b'en'",
    "language == 'a' 'b'",
    "language == '\\ud800'",
    "language == '\\0'",
    "language == '\\d'",
    "year == 1e999",
    "year == 9223372036854775808",
    "year == -9223372036854775809",
    "year == " + "9" * 10_000,
    "year == 1j",
    "year == ...",
    "year is 5",
    "year == --5",
    "year == +5",
    "year == -True",
    "year in ()",
    "year in (1, (2, 3))",
    "year in (1, *topics)",
    "year in [None]",
    "year == None",
    "None is year",
    "1 == 1",
    "1 in (1, 2)",
    "year == quality",
    "language in topics",
    "year & spam",
    "~spam",
    "True",
    "'text'",
    "license.startswith('a', 1)",
    "license.startswith(('a', 'b'))",
    "license.startswith(prefix='a')",
    "license.upper() == 'MIT'",
    "license.startswith",
    "startswith(license, 'a')",
    "license.x.startswith('a')",
    "ſpam",  # normalises to spam in Python; a name must be written as it is
    "yield",
    "await spam",
    "spam # a comment",
    "#",
    "\x00",
    "not " * 5_000 + "spam",
    "(" * 5_000 + "spam" + ")" * 5_000,
    " or ".join(["spam"] * 5_000),
    "x" * 30_000,
    "year <> 5",
    "year === 5",
    "",
    "   ",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_hostile_predicates_are_refused(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_predicate(text, COLUMNS)
    assert all(len(issue.message) < 300 for issue in caught.value.issues)


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from([*COLUMNS, "==", "in", "(", ")", "not", "1", "'a'", ",", ".", "and"])).map(" ".join)
)
def test_any_text_is_a_predicate_or_a_spec_error(text: str) -> None:
    try:
        predicate = parse_predicate(text, COLUMNS)
    except SpecError as error:
        found = error.issues
    else:
        found = columns(predicate)
        assert set(found) <= set(COLUMNS)
    assert found


NAMES = st.sampled_from(COLUMNS)
LITERALS = (
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
LEAVES = st.one_of(
    st.tuples(NAMES, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), LITERALS).map(lambda t: ("Compare", *t)),
    st.tuples(NAMES, st.lists(LITERALS, min_size=1, max_size=4).map(tuple), st.booleans()).map(lambda t: ("In", *t)),
    st.tuples(NAMES, LITERALS, st.booleans()).map(lambda t: ("Has", *t)),
    st.tuples(NAMES, st.booleans()).map(lambda t: ("IsNone", *t)),
    st.tuples(NAMES, st.sampled_from(["startswith", "endswith", "contains"]), st.text("abc\n'", max_size=5)).map(
        lambda t: ("TextTest", *t)
    ),
    NAMES.map(lambda name: ("Flag", name)),
)
TREES = st.recursive(
    LEAVES,
    lambda trees: st.one_of(
        trees.map(lambda tree: ("Not", tree)),
        st.tuples(st.sampled_from(["And", "Or"]), st.lists(trees, min_size=2, max_size=4)).map(lambda t: (t[0], *t[1])),
    ),
    max_leaves=12,
)


def written(tree: Any) -> str:
    match tree:
        case ("Compare", name, op, value):
            return f"{name} {op} {value!r}"
        case ("In", name, values, negated):
            return f"{name} {'not in' if negated else 'in'} {values!r}"
        case ("Has", name, value, negated):
            return f"{value!r} {'not in' if negated else 'in'} {name}"
        case ("IsNone", name, negated):
            return f"{name} is {'not ' if negated else ''}None"
        case ("TextTest", name, test, value):
            return f"{name}.{test}({value!r})"
        case ("Flag", name):
            return str(name)
        case ("Not", term):
            return f"(not {written(term)})"
        case (kind, *terms):
            return "(" + f" {kind.lower()} ".join(written(term) for term in terms) + ")"
    raise AssertionError(tree)


def flattened(tree: Any) -> Any:
    match tree:
        case ("Not", term):
            return ("Not", flattened(term))
        case ("And" | "Or" as kind, *terms):
            parts = [flattened(term) for term in terms]
            return (kind, *(p for part in parts for p in (part[1:] if part[0] == kind else (part,))))
    return tree


@given(TREES)
def test_what_is_written_is_what_is_read(tree: Any) -> None:
    text = written(tree)
    ast.parse(text, mode="eval")
    assert bare(parse_predicate(text, COLUMNS)) == flattened(tree)


def test_literals_keep_their_type() -> None:
    predicate = parse_predicate("year in (1, 1.0, True)", COLUMNS)
    assert isinstance(predicate, In)
    assert [type(value) for value in predicate.values] == [int, float, bool]
