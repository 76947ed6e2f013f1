"""Views of each encoder through the units asked for: found once, kept beside the store, held on every rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.datasets.scan import Scan
from core.describe import given
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.errors import InputError
from core.progress.progress import Progress
from core.recording.passes import Passes
from core.run import sae
from core.run.config import AnalysisConfig
from core.units import files as kept
from core.units.encoder import UnitEncoder
from core.units.fit import all_directions, fit
from core.units.kinds import KINDS, MLP, SAE
from core.units.sample import Draw, Sample, drawn_clips, sample
from core.units.twins import Twins, match


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
    found = [_family(encoder, scans, files, config, progress, ranks) for encoder in encoders]
    if config.import_descriptions:
        known = {(one.encoder_name or one.name, one.unit_kind) for family in found for one in family}
        if told := given.of_others(given.read(config.import_descriptions), known):
            progress.warn(told)
    return found


def _family(
    encoder: Encoder, scans: Sequence[Scan], files: Path, config: AnalysisConfig, progress: Progress, ranks: Ranks
) -> list[Encoder]:
    paths = {kind: kept.path_of(files, encoder, kind) for kind in config.units if kind != MLP}
    missing = []
    for kind, path in paths.items():
        found = kept.read(path, encoder, kind)
        if found is None:
            missing.append(kind)
            continue
        if kind == SAE:
            sae.refuse_others(config, encoder, found[1], path)
        on, seed = found[1]["datasets"], found[1]["seed"]
        if (on, seed) != ([scan.dataset.name for scan in scans], config.seed):
            progress.print(f"{found[0].name}: units as found before, on {', '.join(on)} with seed {seed}", "dim")
    facts = {"datasets": [scan.dataset.name for scan in scans], "seed": config.seed}
    for units, twins in _found(encoder, [kind for kind in missing if kind != SAE], scans, config, progress):
        kept.write(paths[units.unit_kind], units, facts, twins)
    if SAE in missing:
        units, told, twins = sae.autoencoders(encoder, scans, files, config, progress)
        kept.write(paths[SAE], units, {**facts, "layers": told}, twins)
    for kind, path in paths.items():
        ranks.do(HoldUnits(encoder.name, kind, path.absolute()))
    views = {one.unit_kind: one for one in ranks.held.values() if _is_view(one, encoder)}
    return [encoder if kind == MLP else views[kind] for kind in config.units]


def _is_view(held: object, encoder: Encoder) -> bool:
    return isinstance(held, UnitEncoder) and held.encoder is encoder


def _found(
    encoder: Encoder, kinds: Sequence[str], scans: Sequence[Scan], config: AnalysisConfig, progress: Progress
) -> list[tuple[UnitEncoder, dict[int, Twins]]]:
    """Units of some kinds, found on tokens of selection clips of all datasets; matched with those of the next seed."""
    if not kinds:
        return []
    precision = "float32" if config.precision == "auto" else config.precision
    passes = Passes(padding=config.padding, precision=precision, workers=config.workers)

    def seen(seed: int, what: Sequence[str]) -> Sample:
        clips = [(scan, drawn_clips(scan, config.selection_splits(), seed)) for scan in scans]
        n_clips, label = sum(len(of_scan) for _, of_scan in clips), f"find units {', '.join(what)}"
        with progress.at(model=encoder.name), progress.stage(label, n_clips, "clips") as update:
            return sample(encoder, clips, passes, Draw(seed, with_heads="head" in what), update)

    first = seen(config.seed, kinds)
    units = [fit(encoder, kind, first, config.seed) for kind in kinds]
    of_seed = [kind for kind in kinds if KINDS[kind].is_found]
    again = seen(config.seed + 1, of_seed) if of_seed else None
    return [(each, _twins(each, again, config.seed) if again and each.unit_kind in of_seed else {}) for each in units]


def _twins(units: UnitEncoder, again: Sample, seed: int) -> dict[int, Twins]:
    """Each layer's directions beside those that the next seed gives."""
    others = all_directions(units.unit_kind, again, seed + 1)
    written = [projection.weight for projection in units.projections]
    pairs = enumerate(zip(written, others, strict=True))
    return {layer: match(own, other.to(own), has_sign=False, seed=seed + layer) for layer, (own, other) in pairs}
