"""Views of each encoder through the units asked for: found once, kept beside the store, held on every rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.errors import InputError
from core.progress.progress import Progress
from core.recording.passes import Passes
from core.run import sae
from core.run.config import AnalysisConfig
from core.units import files as kept
from core.units.encoder import UnitEncoder
from core.units.fit import fit
from core.units.kinds import MLP, SAE
from core.units.sample import Draw, drawn_clips, sample


@dataclass(frozen=True)
class HoldUnits:
    """Every rank its own copy of units that lie beside the store."""

    encoder: str
    kind: str
    path: Path

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> None:
        found = kept.read(self.path, ranks.held["encoder", self.encoder], self.kind)
        if found is None:
            raise InputError(f"{self.path} did not arrive; expected a folder that all machines share")
        ranks.held["encoder", found[0].name] = found[0]


def families(
    encoders: Sequence[Encoder], scans: Sequence[Scan], files: Path, config: AnalysisConfig, progress: Progress,
    ranks: Ranks,
) -> list[list[Encoder]]:  # fmt: skip
    """The views of each encoder, one a kind of unit, in the order of the kinds.

    Raises
    ------
    InputError
        If what lies beside the store is of other weights, or an encoder has no units of a kind.
    """
    return [_family(encoder, scans, files, config, progress, ranks) for encoder in encoders]


def _family(
    encoder: Encoder, scans: Sequence[Scan], files: Path, config: AnalysisConfig, progress: Progress, ranks: Ranks
) -> list[Encoder]:
    paths = {kind: kept.path_of(files, encoder, kind) for kind in config.units if kind != MLP}
    missing = []
    for kind, path in paths.items():
        found = kept.read(path, encoder, kind)
        if found is None:
            missing.append(kind)
        elif found[1]["datasets"] != [scan.dataset.name for scan in scans]:
            progress.print(f"{found[0].name}: units as found before, on {', '.join(found[1]['datasets'])}", "dim")
    facts = {"datasets": [scan.dataset.name for scan in scans], "seed": config.seed}
    for units in _found(encoder, [kind for kind in missing if kind != SAE], scans, config, progress):
        kept.write(paths[units.unit_kind], units, facts)
    if SAE in missing:
        units, told = sae.autoencoders(encoder, scans, files, config, progress)
        kept.write(paths[SAE], units, {**facts, "layers": told})
    for kind, path in paths.items():
        ranks.do(HoldUnits(encoder.name, kind, path.absolute()))
    views = {one.unit_kind: one for one in ranks.held.values() if _is_view(one, encoder)}
    return [encoder if kind == MLP else views[kind] for kind in config.units]


def _is_view(held: object, encoder: Encoder) -> bool:
    return isinstance(held, UnitEncoder) and held.encoder is encoder


def _found(
    encoder: Encoder, kinds: Sequence[str], scans: Sequence[Scan], config: AnalysisConfig, progress: Progress
) -> list[UnitEncoder]:
    """Units of some kinds, found on tokens of selection clips of all datasets."""
    if not kinds:
        return []
    clips = [(scan, drawn_clips(scan, config.selection_splits(), config.seed)) for scan in scans]
    precision = "float32" if config.precision == "auto" else config.precision
    passes = Passes(padding=config.padding, precision=precision, workers=config.workers)
    n_clips = sum(len(of_scan) for _, of_scan in clips)
    with progress.at(model=encoder.name), progress.stage(f"find units {', '.join(kinds)}", n_clips, "clips") as update:
        seen = sample(encoder, clips, passes, Draw(config.seed, with_heads="head" in kinds), update)
    return [fit(encoder, kind, seen, config.seed) for kind in kinds]
