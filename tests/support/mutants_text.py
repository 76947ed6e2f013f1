"""Tables, lists and JSON, damaged: for fuzzing. Same random numbers, same bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

Rng = np.random.Generator
CELLS: tuple[bytes, ...] = (
    b"", b" ", b"\0", b"a\0b", b"-1", b"0", b"1.5", b"9" * 5_000, b"1e400", b"nan", b"NA", b"None", "٣٤".encode(),
    "²".encode(), b"fold 1", b"fold " + b"9" * 5_000, b"train", b"dev", b"../../../etc/passwd", b"/etc/passwd", b"..",
    b"C:\\x.wav", b"a/" * 3_000 + b"x.wav", b"x" * 200_000, b'"', b'""', b'a"b', b"'", b",", b";", b"\t", b"\r",
    b"a\nb",
    b"=1+1", b"<script>alert(1)</script>", b"\x1b[2J\x1b[31m", "\u202eevil".encode(), b"\xed\xa0\x80", b"\xff\xfe",
    "ü 音 🐕".encode(), b"%s%n{0}", b"$(reboot)", b"'; DROP TABLE clip; --", b"-0", b"+5", b"0x10", b"1_000", b"9e99",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**9, 2**31, 2**63, 10**30, 1.5, -0.0, 1e308, "", "x", "../x", "\0", "9" * 5_000,
    [], {},
    [[]], [1, "a", None], {"a": {"b": []}}, ["x"] * 3_000,
)  # fmt: skip
WORDS = (
    "", " ", ",", "all", "auto", "0", "1", "-1", "1.5", "nan", "inf", "-inf", "1e999", "9" * 400, "9" * 5_000, "٣",
    "²", "0x1",
    "aape", "lape,aape", "top:0.01", "top:9", "pairs:", "file:", "file:/nowhere", "file:/", "mean,keep", "0,",
    "quantile:x",
    "any-above:2", "cuda:0", "cuda:-1", "cuda:" + "9" * 5_000, "cpu:", "mps", "bfloat16", "task", "unit",
    "extract,score",
    "score,scroe", "nano-ssl", "nano", "m2d", "m2d:", "m2d:/nowhere", "hf:", "hf:/nowhere", "hf:no/such/thing/at/all",
    "hf:~x",
    "torchaudio:", "torchaudio:NONE", "python:", "python:os", "python:/nowhere.py", "python:..", "~nobody/x", "/",
    "..", ".",
    "/dev/null", "x" * 5_000, "a/" * 2_000, "a\nb", "\x1b[31m", "\udcff", "🐕", "ü=ö", "=", "A=B,C", "-", "--", "%s",
    "*", "$HOME",
    "sqlite://", "sqlite:///", "postgresql://u:secret@h:port/x", "mysql://u:p@h/x", "://", "no://x", "16x16",
    "80x608p16x16p16k",
    ":memory:", "train",
)  # fmt: skip
"""Values that options are given, rightly and wrongly."""
SQL_WORDS = [
    "*", "1", "'a'", "NULL", "-1", "9223372036854775808", "x'00'", "FROM", "runs", "run", "neuron", "clip_labels",
    "sqlite_master",
    "class_specific_neurons", "WHERE", "1 = 1", "ORDER BY", "GROUP BY", "1", "LIMIT", "0", ",", "(", ")", "((",
    "JOIN", "UNION ALL",
    "SELECT", ";", "--", "/*", "*/", "'", '"', "`", "[", "DELETE FROM run", "; DROP TABLE run", "ATTACH 'x.db' AS y",
    "VACUUM INTO 'y.db'",
    "load_extension('x')", "readfile('/etc/passwd')", "writefile('x','y')", "randomblob(999999999)",
    "zeroblob(2000000000)",
    "printf('%.*c', 1000000000, 'x')", "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM t) SELECT x FROM t",
    "table_info(run)", "journal_mode=DELETE", "writable_schema=1", "\\", "\t", "\n", "é", "🐕", "\ud800", "\0",
    "a" * 3_000, "(" * 300,
    "CAST(x'ff' AS TEXT)", "json_each('[1]')", "json('{')", "LIKE '%a%'", "GLOB '*'", "AS", "CASE", "END",
    "0x7fffffffffffffff",
]  # fmt: skip


def damaged_table(content: bytes, rng: Rng) -> bytes:
    """A table or list with some of what users and the wicked write."""
    for _ in range(int(rng.integers(1, 4))):
        content = _ONCE[int(rng.integers(len(_ONCE)))](content, rng)
    return content


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True) or [b"\n"]


def _cell(content: bytes, rng: Rng) -> bytes:
    lines = _lines(content)
    row = int(rng.integers(len(lines)))
    delimiter = b"\t" if b"\t" in lines[row] else b" " if b"," not in lines[row] and b" " in lines[row] else b","
    cells = lines[row].rstrip(b"\r\n").split(delimiter)
    cells[int(rng.integers(len(cells)))] = CELLS[int(rng.integers(len(CELLS)))]
    lines[row] = delimiter.join(cells) + b"\n"
    return b"".join(lines)


def _column(content: bytes, rng: Rng) -> bytes:
    """One left out, said twice, renamed, or with a hundred thousand more."""
    rows = [line.rstrip(b"\r\n").split(b",") for line in _lines(content)]
    place, how = int(rng.integers(len(rows[0]))), int(rng.integers(5))
    if how == 3:
        rows[0][place] = CELLS[int(rng.integers(len(CELLS)))]
    elif how == 4:
        rows = [row + [b"c%d" % i for i in range(100_000)] for row in rows[:2]]
    else:
        rows = [row[:place] + (row[place : place + 1] * (2 * how)) + row[place + 1 :] for row in rows]
    return b"\n".join(b",".join(row) for row in rows)


def _row(content: bytes, rng: Rng) -> bytes:
    lines = _lines(content)
    place, n = int(rng.integers(len(lines))), int(rng.choice([0, 0, 2, 300]))
    return b"".join(lines[:place] + lines[place : place + 1] * n + lines[place + 1 :])


def _coding(content: bytes, rng: Rng) -> bytes:
    text = content.decode("utf-8-sig", "replace")
    coding = str(rng.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"]))
    return text.encode(coding, "replace")


def _ends(content: bytes, rng: Rng) -> bytes:
    end = [b"\r\n", b"\r", b"\n\n", b"", b"\0\n", "\u2028".encode()][int(rng.integers(6))]
    return content.replace(b"\n", end)


def _separators(content: bytes, rng: Rng) -> bytes:
    return content.replace(b",", [b";", b"\t", b"|", b", ", b",,", b" "][int(rng.integers(6))])


def _bits(content: bytes, rng: Rng) -> bytes:
    damaged = bytearray(content or b"x")
    for place in rng.integers(len(damaged), size=int(rng.integers(1, 12))):
        damaged[place] = int(rng.integers(256))
    return bytes(damaged)


def _cut(content: bytes, rng: Rng) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _quote(content: bytes, rng: Rng) -> bytes:
    place = int(rng.integers(len(content) + 1))
    return content[:place] + b'"' + content[place:]


_ONCE = (_cell, _cell, _cell, _column, _row, _coding, _ends, _separators, _bits, _cut, _quote)


def damaged_json(content: bytes, rng: Rng) -> bytes:
    """JSON in which some values are of another kind or size, or that is no JSON any more."""
    how = float(rng.random())
    if how < 0.2:
        return damaged_table(content, rng)
    if how < 0.25:
        return [b"[" * 100_000, b'{"a":' * 50_000, b"null", b"[]", b"1" * 5_000, b'"\\ud800"'][int(rng.integers(6))]
    try:
        found = json.loads(content)
    except ValueError:
        return damaged_table(content, rng)
    for _ in range(int(rng.integers(1, 4))):
        found = _changed(found, rng)
    text = json.dumps(found)
    return (text if how < 0.9 else text.replace('"a', '"\\ud800').replace("/", "\\u0000")).encode()


def _changed(value: Any, rng: Rng) -> Any:
    """With one value anywhere in it another, or a key lost or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = list(value)[int(rng.integers(len(value)))]
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if rng.random() < 0.1:
            return {("" if k == key else k): v for k, v in value.items()}
        return {k: _changed(v, rng) if k == key else v for k, v in value.items()}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = int(rng.integers(len(value)))
        return [_changed(v, rng) if i == place else v for i, v in enumerate(value)]
    return VALUES[int(rng.integers(len(VALUES)))]
