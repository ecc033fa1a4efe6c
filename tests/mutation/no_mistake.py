"""Changes of an engine that change nothing anyone could observe: no mistake, so there is nothing to notice."""

from __future__ import annotations

import ast
import re

Place = tuple[int, int]
# An operator of Cosmic Ray ends with what it replaces and by what.
SAME_FOR_A_CONSTANT = {("Eq", "Is"), ("Is", "Eq"), ("NotEq", "IsNot"), ("IsNot", "NotEq")}
SAME_FOR_MOMENTS = {("Lt", "LtE"), ("LtE", "Lt"), ("Gt", "GtE"), ("GtE", "Gt")}
SAME_FROM_ZERO_ON = {("Eq", "LtE"), ("LtE", "Eq"), ("NotEq", "Gt"), ("Gt", "NotEq")}
# Flags are bits of their own, so that the sum of two is the same as both.
SAME_FOR_FLAGS = ("BitOr_Add", "BitOr_BitXor")
FLAG = re.compile(r"\b(os\.O_|stat\.S_I|re\.|fcntl\.LOCK_|select\.EPOLL|select\.POLL)[A-Z]+\b")
NEVER_NEGATIVE = re.compile(r"len\(.*\)|.*(uid|gid|st_nlink|st_size)(\(\))?")
CACHES = ("functools.cache", "functools.lru_cache")
CLOCK = re.compile(r"(.*\.)?now|time\.(time|monotonic)\(\)")
CUT = 60  # characters of what is shown, or entries: one more or less is not seen
RANDOM = re.compile(r"secrets\.token_(hex|urlsafe|bytes)")
# And how much is read at a time, or cached; but not the constants of what is waited out.
PATIENCE = re.compile(
    r".*(?i:timeout|patience).*|_?(?!PAUSE|LEAVE|RELOAD|TIMER)([A-Z]+_)*SECONDS$|_(CHUNK|BLOCK|BUFFER|PIECE)$|"
    r"(maxsize|indent)$"
)


def span(node: ast.AST) -> tuple[Place, Place]:
    assert isinstance(node, (ast.expr, ast.stmt, ast.keyword))
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def behind_the_sign(decorator: ast.expr) -> tuple[Place, Place]:
    (line, column), end = span(decorator)
    return (line, column - 1), end


def is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or NEVER_NEGATIVE.fullmatch(ast.unparse(node)) is not None


class NoMistake:
    """Whether a change by this operator at this place is none."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self.lines = [line.encode() for line in source.splitlines()]
        self.nothing = [span(node) for node in ast.walk(tree) for node in self._text_alone(node)]
        self.nothing += [behind_the_sign(node) for node in ast.walk(tree) for node in self._caches(node)]
        self.patience = [span(node) for node in ast.walk(tree) for node in self._patience(node)]
        self.flags = [
            span(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.BinOp) and all(FLAG.fullmatch(each) for each in ast.unparse(node).split(" | "))
        ]
        self.comparisons = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]

    @staticmethod
    def _text_alone(node: ast.AST) -> list[ast.AST]:
        """What only the type checker reads, and what only another Python runs."""
        parts = [getattr(node, name, None) for name in ("annotation", "returns")]
        if isinstance(node, (ast.If, ast.IfExp)) and re.search(
            r"\bTYPE_CHECKING\b|\bversion_info\b", ast.unparse(node.test)
        ):
            parts.append(node.test)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("cast", "typing.cast", "t.cast"):
            parts.append(node.args[0])
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("dataclass"):
            parts += [each for each in node.keywords if each.arg == "frozen"]
        return [part for part in parts if part is not None]

    @staticmethod
    def _caches(node: ast.AST) -> list[ast.expr]:
        """What only saves time."""
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
        return [each for each in decorators if ast.unparse(each).partition("(")[0] in CACHES]

    @staticmethod
    def _patience(node: ast.AST) -> list[ast.AST]:
        """What one more or less of is not seen: seconds to wait at most, between attempts, and since 1970; how long a
        random text is, and how much is read at a time; and where a message is cut."""
        if isinstance(node, ast.keyword) and PATIENCE.match(node.arg or ""):
            return [node.value]
        if isinstance(node, ast.Assign) and PATIENCE.match(ast.unparse(node.targets[0])):
            return [node.value]
        if isinstance(node, ast.arguments):
            named = [*node.posonlyargs, *node.args][len(node.posonlyargs) + len(node.args) - len(node.defaults) :]
            pairs = [*zip(named, node.defaults), *zip(node.kwonlyargs, node.kw_defaults)]
            return [default for name, default in pairs if default is not None and PATIENCE.match(name.arg)]
        if isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), node.args
            if name.endswith("run") and len(given) == 2:
                return given[1:] if isinstance(given[0], ast.List) else []
            if name.endswith(".read"):
                return [each for each in given if isinstance(each, ast.BinOp) and isinstance(each.op, ast.LShift)]
            if name == "time.sleep":
                return [each for each in given if isinstance(each, ast.Constant) and each.value < 1]
            return list(given) if RANDOM.fullmatch(name) else []
        if isinstance(node, ast.BinOp) and CLOCK.fullmatch(ast.unparse(node.left)):  # of what never was: early in 1970
            return [each for each in ast.walk(node.right) if isinstance(each, ast.Constant) and each.value == 0]
        if isinstance(node, ast.Slice):
            bounds = [each for each in ast.walk(node) if isinstance(each, ast.Constant)]
            return [each for each in bounds if isinstance(each.value, int) and each.value >= CUT]
        if isinstance(node, ast.Raise):
            return [each for each in ast.walk(node) if isinstance(each, ast.Slice)]
        return []

    def __call__(self, operator: str, line: int, column: int) -> bool:
        at = line, len(self.lines[line - 1].decode()[:column].encode())
        spans = [*self.nothing, *(self.patience if operator == "NumberReplacer" else ())]
        if operator.endswith(SAME_FOR_FLAGS):
            spans += self.flags
        if any(start <= at < end for start, end in spans):
            return True
        if not operator.startswith("ReplaceComparisonOperator"):
            return False
        change = tuple(operator.split("_")[1:])
        for node in self.comparisons:
            for left, right in zip([node.left, *node.comparators], node.comparators):
                if span(left)[1] <= at < span(right)[0]:
                    if change in SAME_FOR_A_CONSTANT and (is_constant(left) or is_constant(right)):
                        return True
                    if change in SAME_FOR_MOMENTS and CLOCK.fullmatch(ast.unparse(left)):
                        return True
                    if change in SAME_FROM_ZERO_ON and "0" in (ast.unparse(left), ast.unparse(right)):
                        return NEVER_NEGATIVE.fullmatch(ast.unparse(left)) is not None
        return False
