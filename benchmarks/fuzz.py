"""Damaged input, counted: how much was tried, taken, refused in one line, and what crashed, hung or filled the memory.

    python -m benchmarks.fuzz --files 10000

Sound files are made by soundfile and then damaged (``tests/support/mutants_sound.py``); the other kinds are those of
``tests/support/fuzz_targets.py``. Each kind runs in worker processes of its own under a watchdog, so that a library
that dies or never returns is counted and the next input follows. The same seed and number make the same input:
``--kind flac --only 17`` runs one again, here.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fuzz_outcome import TAKEN
from tests.support.fuzz_targets import SOUNDS, TARGETS

ROOT = Path(__file__).resolve().parents[1]
HANGS = 5.0
"""Seconds after which an input counts as one that hangs."""
GIVEN_UP = 60.0
"""Seconds after which it is ended: on a busy machine an input can be slow and no hang."""
STARTS = 240.0
A_BATCH = 500
OTHERS = {
    "clips on the page": 1_000, "uploads": 200, "manifests": 2_000, "metadata of datasets": 2_000,
    "labels in time": 2_000, "checkpoints": 1_000,
    "Hugging Face folders": 500, "command lines": 1_000, "SQL statements": 300,
}  # fmt: skip


@dataclass
class Found:
    """What became of the inputs of one kind; seconds are of the processor, so that other work does not count."""

    tried: int = 0
    taken: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    worst: float = 0.0
    most_memory: int = 0


def work(kind: str, seed: int, first: int, last: int) -> None:
    """In a worker: one line of JSON before each input and one after it."""
    real = os.fdopen(os.dup(1), "w")
    # Decoders print remarks of their own to both.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATLAS_CACHE"] = str(Path(folder) / "cache")
        (Path(folder) / "work").mkdir()
        once = TARGETS[kind](Path(folder) / "work", seed)
        for number in range(first, last):
            print(json.dumps({"number": number}), file=real, flush=True)
            before, started = _memory("VmRSS"), _seconds()
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            try:
                told, fault = once(number), ""
            except Exception as error:
                told, fault = "", f"{type(error).__name__}: {error}"[:300]
            line = {"told": told[:300], "fault": fault, "seconds": _seconds() - started,
                    "memory": max(0, _memory("VmHWM") - before)}  # fmt: skip
            print(json.dumps(line), file=real, flush=True)
        os.chdir(ROOT)


def _seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _memory(what: str) -> int:
    """Bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    return 0


def campaign(kind: str, n: int, seed: int) -> Found:
    """Give ``n`` inputs of a kind to workers, a batch each."""
    found, number = Found(), 0
    while number < n:
        for line in _watched(kind, seed, number, min(n, number + A_BATCH)):
            if "number" in line:
                number = line["number"] + 1
                found.tried += 1
                continue
            if line["fault"]:
                (found.hangs if line["fault"] == "hangs" else found.faults).append(f"{number - 1}: {line['fault']}")
            elif line["told"] == TAKEN:
                found.taken += 1
            else:
                found.refused += 1
            if line["seconds"] > HANGS and line["fault"] != "hangs":
                found.hangs.append(f"{number - 1}: {line['seconds']:.1f} s")
            found.worst = max(found.worst, line["seconds"])
            found.most_memory = max(found.most_memory, line["memory"])
    return found


def _watched(kind: str, seed: int, first: int, last: int) -> Iterator[dict]:
    """Lines of one worker; of one that died or did not go on, what it was at."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.fuzz",
        "--work",
        str(first),
        str(last),
        "--kind",
        kind,
        "--seed",
        str(seed),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as worker:
        lines: queue.Queue[str] = queue.Queue()
        assert worker.stdout is not None

        def pass_on(stream=worker.stdout) -> None:
            for line in stream:
                lines.put(line)
            lines.put("")

        threading.Thread(target=pass_on, daemon=True).start()
        at_work, patience = False, STARTS
        while True:
            started = time.monotonic()
            try:
                line = lines.get(timeout=patience)
            except queue.Empty:
                worker.kill()
                if not at_work:
                    raise SystemExit(f"the worker for {kind} did not start") from None
                yield {"fault": "hangs", "told": "", "seconds": time.monotonic() - started, "memory": 0}
                return
            if not line:
                code = worker.wait()
                if at_work:
                    yield {"fault": f"the process died ({code})", "told": "", "seconds": 0.0, "memory": 0}
                elif code:
                    raise SystemExit(f"the worker for {kind} ended with {code}; run it with --work {first} {last}")
                return
            read = json.loads(line)
            at_work, patience = "number" in read, GIVEN_UP
            yield read


def table(found: dict[str, Found]) -> str:
    """As Markdown."""
    lines = ["| kind | tried | taken | refused, one line | faults | hangs over 5 s | worst s | most MB |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    total = Found()
    for kind, f in found.items():
        lines.append(_row(kind, f))
        total.tried, total.taken, total.refused = (
            total.tried + f.tried,
            total.taken + f.taken,
            total.refused + f.refused,
        )
        total.faults += f.faults
        total.hangs += f.hangs
        total.worst, total.most_memory = max(total.worst, f.worst), max(total.most_memory, f.most_memory)
    return "\n".join([*lines, _row("all", total)])


def _row(kind: str, f: Found) -> str:
    numbers = (f.tried, f.taken, f.refused, len(f.faults), len(f.hangs))
    return f"| {kind} | {' | '.join(f'{n:,}' for n in numbers)} | {f.worst:.2f} | {f.most_memory / 1e6:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="sound files, over all formats (%(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of the other kinds (1)")
    parser.add_argument("--kind", choices=list(TARGETS), action="append", help="only this, repeatable (all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run one input here, with its traceback")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.kind[0], given.seed, *given.work)
        return
    if given.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(TARGETS[given.kind[0]](Path(folder), given.seed)(given.only))
        return
    each, more = divmod(given.files, len(SOUNDS))
    wanted = {kind: each + (i < more) for i, kind in enumerate(SOUNDS)}
    wanted |= {kind: max(1, round(n * given.share)) for kind, n in OTHERS.items()}
    found: dict[str, Found] = {}
    for kind in given.kind or wanted:
        found[kind] = campaign(kind, wanted[kind], given.seed)
        print(_row(kind, found[kind]), file=sys.stderr, flush=True)
        for line, n in Counter([*found[kind].faults, *found[kind].hangs]).most_common(20):
            print(f"    {line}{f' ({n} times)' if n > 1 else ''}", file=sys.stderr, flush=True)
    print(table(found))
    sys.exit(any(f.faults or f.hangs for f in found.values()))


if __name__ == "__main__":
    main()
