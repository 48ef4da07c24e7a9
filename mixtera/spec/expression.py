"""Reads a predicate: Python's grammar, walked by a whitelist. Nothing is ever evaluated or looked up.

Two limits keep hostile input harmless: the length of the text, and the depth of its tree.
"""

from __future__ import annotations

import ast
import io
import keyword
import math
import re
import tokenize
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from mixtera.errors import Issue, SpecError
from mixtera.spec.document import shorten
from mixtera.spec.issues import Issues, TooManyIssues, suggestion
from mixtera.spec.model import Place
from mixtera.spec.predicate import (
    And,
    Compare,
    Flag,
    Has,
    In,
    IsNone,
    Literal_,
    Not,
    Or,
    Predicate,
    Span,
    TextTest,
)

MAX_CHARACTERS: Final = 20_000
MAX_DEPTH: Final = 60
MAX_INTEGER: Final = 2**63

Locate: TypeAlias = Callable[[int], Place]
Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]

_OPERATORS: Final[dict[type[ast.cmpop], Operator]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_FLIPPED: Final[dict[Operator, Operator]] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ALLOWED: Final = (
    "allowed: == != < <= > >=, in, not in, is None, is not None, .startswith() .endswith() .contains(), "
    "and or not, parentheses"
)
_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_SYNTAX_HINTS: Final = (
    (re.compile(r"(?<![=!<>])=(?![=])"), "equality is written =="),
    (re.compile(r"&&|&"), "write `and`"),
    (re.compile(r"\|\|?"), "write `or`"),
    (re.compile(r"!(?!=)"), "write `not`"),
    (re.compile(r"<>"), "inequality is written !="),
    (re.compile(r"\b(?:AND|OR|NOT|IN|IS)\b"), "write and, or, not, in, is in small letters"),
    (re.compile(r"\bis\s+(?:not\s+)?null\b", re.IGNORECASE), "write `is None` or `is not None`"),
)


def parse_predicate(text: str, columns: Collection[str] | None = None, file: str = "predicate") -> Predicate:
    """Read a predicate.

    Args:
        text: The expression, such as `language == "en" and year >= 2015`.
        columns: Names that it may use; None allows all.
        file: What messages call its place.

    Returns:
        The predicate, its literals not yet checked against types (see `check_types`).

    Raises:
        SpecError: It cannot be read; carries all of its issues.
    """

    def locate(offset: int) -> Place:
        line = text.count("\n", 0, offset)
        return Place(file, line + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)

    predicate, issues = read_predicate(text, columns, locate)
    if predicate is None or issues:
        raise SpecError(issues)
    return predicate


def read_predicate(
    text: str, columns: Collection[str] | None, locate: Locate
) -> tuple[Predicate | None, tuple[Issue, ...]]:
    """Read a predicate and collect all of its issues; the predicate is None where there are any."""
    issues = Issues()
    with suppress(TooManyIssues):
        return _read(text, columns, locate, issues), issues.found
    return None, issues.found


def _read(text: str, columns: Collection[str] | None, locate: Locate, issues: Issues) -> Predicate | None:
    start = len(text) - len(text.lstrip())
    flat = re.sub(r"[\n\r\f\v]", " ", text).strip()

    def locate_flat(offset: int) -> Place:
        return locate(offset + start)

    body = _parse(flat, locate_flat, issues)
    if body is None or not _is_flat(body, locate_flat, issues):
        return None
    predicates = _Walker(flat, columns, locate_flat, issues).walk(body)
    return None if issues.found else predicates[0]


def _parse(flat: str, locate: Locate, issues: Issues) -> ast.expr | None:
    if len(flat) > MAX_CHARACTERS:
        issues.add(locate(0), f"the predicate has {len(flat):,} characters; at most {MAX_CHARACTERS:,} are allowed")
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            body = ast.parse(flat, mode="eval").body
            tokens = list(tokenize.generate_tokens(io.StringIO(flat).readline))
    except SyntaxError as error:
        offset = max(min((error.offset or 1) - 1, len(flat)), 0)
        issues.add(*_syntax_issue(flat, offset, locate))
    except (RecursionError, MemoryError):
        issues.add(locate(0), "the predicate is nested too deeply")
    except (ValueError, tokenize.TokenError, Warning):
        issues.add(locate(0), f"the predicate cannot be read; {_ALLOWED}")
    else:
        return body if _are_plain(tokens, locate, issues) else None
    return None


def _syntax_issue(flat: str, offset: int, locate: Locate) -> tuple[Place, str]:
    bare = _STRING.sub(lambda match: " " * len(match[0]), flat)
    for pattern, hint in _SYNTAX_HINTS:
        if found := pattern.search(bare):
            return locate(found.start()), f"syntax error in the predicate at {found[0]!r}: {hint}"
    rest = flat[offset:].strip()
    if not flat:
        return locate(0), "the predicate is empty"
    if any(bare.count(left) != bare.count(right) for left, right in ("()", "[]")):
        return locate(offset), "syntax error in the predicate: a bracket is missing, ( ) and [ ] come in pairs"
    if not rest or _is_cut_short(flat):
        return locate(len(flat)), f"syntax error in the predicate: it ends too early, after {flat[-20:]!r}"
    return locate(offset), f"syntax error in the predicate at {rest[:20]!r}; {_ALLOWED}"


def _is_cut_short(flat: str) -> bool:
    last = re.split(r"[\s(]+", flat)[-1] if flat else ""
    return flat.endswith(("=", "<", ">", ",", "(", ".")) or (
        keyword.iskeyword(last) and last not in ("None", "True", "False")
    )


def _are_plain(tokens: list[tokenize.TokenInfo], locate: Locate, issues: Issues) -> bool:
    """Refuse comments, which would cut the text, and texts side by side, which Python joins."""
    found = len(issues.found)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == tokenize.COMMENT:
            issues.add(locate(token.start[1]), "a predicate holds no comments; write them beside it")
        elif before is not None and before.type == token.type == tokenize.STRING:
            issues.add(locate(token.start[1]), f"a comma is missing between {before.string} and {token.string}")
    return len(issues.found) == found


def _is_flat(body: ast.expr, locate: Locate, issues: Issues) -> bool:
    level: list[ast.AST] = [body]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    issues.add(locate(0), f"the predicate is nested more than {MAX_DEPTH} levels deep; compute a property instead")
    return False


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, node: ast.expr, message: str) -> None:
        self.node = node
        self.message = message
        super().__init__(message)


class _Walker:
    """Turns an expression into a predicate. What it returns is of no use once there are issues."""

    def __init__(self, flat: str, columns: Collection[str] | None, locate: Locate, issues: Issues) -> None:
        self._bytes = flat.encode()
        self._columns = columns
        self._locate = locate
        self._issues = issues

    def walk(self, node: ast.expr) -> tuple[Predicate, ...]:
        """The condition, or nothing where it is refused; terms of `and` and `or` are refused one by one."""
        try:
            return (self._condition(node),)
        except _Refused as refused:
            self._issues.add(self._locate(self._offset(refused.node.col_offset)), refused.message)
            return ()

    def _condition(self, node: ast.expr) -> Predicate:
        match node:
            case ast.BoolOp():
                kind = And if isinstance(node.op, ast.And) else Or
                return _joined(kind, [term for value in node.values for term in self.walk(value)])
            case ast.UnaryOp(op=ast.Not()):
                return Not(self._condition(node.operand))
            case ast.Compare():
                return self._chain(node)
            case ast.Call():
                return self._text_test(node)
            case ast.Name():
                return Flag(self._column(node), self._span(node))
        raise _Refused(node, f"a condition is expected, found {self._shown(node)}{_hint(node) or '; ' + _ALLOWED}")

    def _chain(self, node: ast.Compare) -> Predicate:
        operands = [node.left, *node.comparators]
        pairs = zip(operands, node.ops, operands[1:], strict=False)
        terms = [self._comparison(left, operator, right) for left, operator, right in pairs]
        return terms[0] if len(terms) == 1 else _joined(And, terms)

    def _comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Predicate:
        if isinstance(operator, ast.In | ast.NotIn):
            return self._membership(left, right, negated=isinstance(operator, ast.NotIn))
        span = self._span(left, right)
        if isinstance(operator, ast.Is | ast.IsNot):
            if not _is_none(right):
                raise _Refused(right, "`is` is followed by None or not None; equality is written ==")
            return IsNone(self._column(left), isinstance(operator, ast.IsNot), span)
        symbol = _OPERATORS[type(operator)]
        if _is_literal(left) and not _is_literal(right):
            left, right, symbol = right, left, _FLIPPED[symbol]
        return Compare(self._column(left), symbol, self._literal(right), span)

    def _membership(self, left: ast.expr, right: ast.expr, *, negated: bool) -> Predicate:
        span = self._span(left, right)
        if _is_literal(left) and isinstance(right, ast.Name):
            return Has(self._column(right), self._literal(left), negated, span)
        return In(self._column(left), self._literals(right), negated, span)

    def _text_test(self, node: ast.Call) -> Predicate:
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name() as name, attr="startswith" | "endswith" | "contains" as test),
                args=[ast.Constant(value=str()) as argument],
                keywords=[],
            ):
                return TextTest(self._column(name), test, str(self._literal(argument)), self._span(node))
            case ast.Call(func=ast.Attribute(value=ast.Name(), attr="startswith" | "endswith" | "contains" as test)):
                raise _Refused(node, f'.{test}() takes one text, such as .{test}("a")')
        raise _Refused(
            node,
            f"{self._shown(node)} is not allowed: a predicate calls nothing but "
            ".startswith() .endswith() .contains() on a property",
        )

    def _column(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            raise _Refused(node, f"the name of a property is expected, found {self._shown(node)}{_hint(node)}")
        written = self._source(node)  # Python reads compatible letters as one name; engines do not
        if written != node.id or (self._columns is not None and node.id not in self._columns):
            near = suggestion(written, self._columns or (), "known")
            raise _Refused(node, f"unknown column {written!r}{near}")
        return node.id

    def _literals(self, node: ast.expr) -> tuple[Literal_, ...]:
        if not isinstance(node, ast.Tuple | ast.List | ast.Set):
            wanted = 'a list of values is written ("a", "b"), one value ("a",)'
            raise _Refused(node, f"`in` needs a list of values, found {self._shown(node)}: {wanted}")
        if not node.elts:
            raise _Refused(node, "`in ()` matches nothing: give at least one value")
        return tuple(self._literal(element) for element in node.elts)

    def _literal(self, node: ast.expr) -> Literal_:
        value: object = None
        match node:
            case ast.Constant():
                value = node.value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                value = None if isinstance(number, bool) else -number
        problem = _literal_problem(value)
        if _is_none(node):
            problem = "None is not a value here; write `is None` or `is not None`"
        if problem:
            raise _Refused(node, problem)
        if isinstance(value, str | int | float):
            return value
        found = f"{self._shown(node)}{_hint(node)}"
        raise _Refused(node, f"a literal (text, number, True, False) is expected, found {found}")

    def _source(self, node: ast.expr) -> str:
        return self._bytes[node.col_offset : node.end_col_offset].decode(errors="ignore")

    def _shown(self, node: ast.expr) -> str:
        return shorten(self._source(node), 40)

    def _offset(self, byte_offset: int) -> int:
        return len(self._bytes[:byte_offset].decode(errors="ignore"))

    def _span(self, first: ast.expr, last: ast.expr | None = None) -> Span:
        ends = [node for node in (first, last) if node is not None]
        start = min(node.col_offset for node in ends)
        stop = max(node.end_col_offset or 0 for node in ends)
        place = self._locate(self._offset(start))
        return Span(place.file, place.line, place.column, self._bytes[start:stop].decode(errors="ignore"))


def _joined(kind: type[And] | type[Or], terms: Sequence[Predicate]) -> Predicate:
    return kind(tuple(part for term in terms for part in (term.terms if isinstance(term, kind) else (term,))))


def _literal_problem(value: object) -> str | None:
    match value:
        case int() if not -MAX_INTEGER <= value < MAX_INTEGER:
            return "a number that does not fit into 64 bits"
        case float() if not math.isfinite(value):
            return "a number that is out of range"
        case str() if re.search("[\0\ud800-\udfff]", value):
            return "a text with a character that no file can hold"
    return None


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _hint(node: ast.expr) -> str:
    match node:
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(op=ast.Invert()):
            return "; write and, or, not instead of & | ~"
        case ast.BinOp():
            return "; predicates have no arithmetic: compute a property"
        case ast.Subscript():
            return "; predicates have no indexing: name the field as a property"
        case ast.Attribute():
            return "; name the field as a property of the source"
        case ast.Call():
            return "; predicates call no functions: compute a property"
        case ast.Name():
            return "; texts need quotes, and two properties cannot be compared"
    return ""
