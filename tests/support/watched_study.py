"""The command line with a log of what each rank passes, slow enough to be killed in the middle; torchrun runs it.

    torchrun --nproc-per-node 2 tests/support/watched_study.py LOG SECONDS [options of run_analysis.py]

``LOG.RANK`` has the rank's process number and a line for each batch: ``extract N`` clips, or ``ask N`` pairs of a
condition and a clip; each batch takes at least so many seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import run_analysis
from core.ablation.answers import Answers
from core.recording import extract


def watch(path: str, seconds: float) -> None:
    write, answer = extract._write, Answers.write

    def log(line: object) -> None:
        with open(path, "a") as file:
            print(line, file=file)

    def slow_write(*asked: Any) -> int:
        time.sleep(seconds)
        if n := write(*asked):
            log(f"extract {n}")
        return n

    def slow_answer(self: Answers, conditions: Any, clips: Any, values: Any) -> None:
        time.sleep(seconds)
        answer(self, conditions, clips, values)
        log(f"ask {len(conditions) * len(clips)}")

    extract._write, Answers.write = slow_write, slow_answer  # type: ignore[method-assign]
    log(os.getpid())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a torchrun that forks hands its own on
    log, seconds, *arguments = sys.argv[1:]
    watch(f"{log}.{os.environ['RANK']}", float(seconds))
    sys.exit(run_analysis.main(arguments))
