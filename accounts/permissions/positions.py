"""Where in a typed policy its statements and actions stand, so that findings can name lines."""

import re
from typing import Final

TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def statement_spans(text: str) -> list[tuple[int, int]]:
    """Offsets at which each statement begins and ends, in a text that is valid JSON."""
    spans: list[tuple[int, int]] = []
    opened: list[tuple[str, int]] = []
    inside = False
    for token in TOKEN.finditer(text):
        sign = token[0]
        if sign in "[{":
            opened.append((sign, token.start()))
        elif sign in "]}":
            bracket, start = opened.pop() if opened else ("", 0)
            depth = len(opened) - sum(one == "[" for one, _ in opened)
            if inside and bracket == "{" and depth == 1 and len(opened) <= 2:
                spans.append((start, token.end()))
        elif len(opened) == 1 and text[token.end() :].lstrip()[:1] == ":":
            inside = sign == '"Statement"'
    return spans


def line_of(text: str, statement: int, action: str) -> int | None:
    """The line, from 1, of an action in a statement; of the statement where it is not found."""
    spans = statement_spans(text)
    if not 0 < statement <= len(spans):
        return None
    start, end = spans[statement - 1]
    found = text.find(f'"{action}"', start, end) if action else -1
    return text.count("\n", 0, found if found >= 0 else start) + 1
