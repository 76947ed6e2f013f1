"""A terminal's screen, as far as the live table needs one."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)", re.DOTALL)


class Screen:
    """What stands in a terminal of so many columns after some output.

    Attributes
    ----------
    lines : list of str
        Everything, scrolled out or not.
    cursor_shown : bool
    """

    def __init__(self, output: str, width: int) -> None:
        self._cells: list[list[str]] = [[]]
        self._row = self._column = 0
        self._width, self.cursor_shown = width, True
        for numbers, command, moved, text in _TOKEN.findall(output):
            if command:
                self._control(numbers, command)
            elif moved == "\r":
                self._column = 0
            elif moved == "\n":
                self._down()
            for character in text:
                self._put(character)

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self._cells]

    def _control(self, numbers: str, command: str) -> None:
        n = int(numbers) if numbers.isdecimal() else 1
        if command == "A":
            self._row = max(0, self._row - n)
        elif command == "K":
            assert numbers == "2", numbers
            self._cells[self._row] = []
        elif numbers == "?25":
            self.cursor_shown = command == "h"
        else:
            assert command == "m", command  # colours

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._cells):
            self._cells.append([])

    def _put(self, character: str) -> None:
        if self._column == self._width:
            self._column = 0
            self._down()
        row = self._cells[self._row]
        row.extend(" " * (self._column + 1 - len(row)))
        row[self._column] = character
        self._column += 1
