"""Cards of neurons: where an activation lies on a picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dashboard.shared import cards
from dashboard.shared.player import clip
from dashboard.shared.player.player import Overlay
from tests.dashboard.test_player import wav

TOP = 8000
QUARTER = cards.WIDTH // 4


def overlay(strength: list[list[int]], edges: tuple[float, ...], start: float = 0.0) -> Overlay:
    return Overlay(np.array(strength, dtype=np.uint8), 0.25, edges, "L0·0", 1.0, start)


def test_columns_lie_at_their_seconds() -> None:
    shown = cards.opacity(overlay([[0, 255, 51, 0]], (0, TOP)), TOP, seconds=1.0)
    assert shown.shape == (cards.HEIGHT, cards.WIDTH)
    assert (shown == shown[:1]).all(), "one band spans the whole height"
    parts = shown[0].reshape(4, QUARTER)
    np.testing.assert_allclose(parts, np.repeat([[0], [0.7], [0.14], [0]], QUARTER, axis=1))


def test_what_begins_later_or_ends_earlier_is_left_blank() -> None:
    shown = cards.opacity(overlay([[255, 255]], (0, TOP), start=0.25), TOP, seconds=1.0)[0]
    assert (shown[:QUARTER] == 0).sum() >= QUARTER - 1
    assert (shown[QUARTER : 3 * QUARTER] == 0.7).all()
    assert (shown[3 * QUARTER :] == 0).all()


def test_bands_lie_at_their_frequencies_low_below() -> None:
    shown = cards.opacity(overlay([[255], [51]], (0, 1000, TOP)), TOP, seconds=0.25)[:, 0]
    height = float(clip.heights(np.array([1000.0]), TOP)[0])
    edge = round((1 - height) * cards.HEIGHT)
    assert (shown[edge + 1 : -2] == 0.7).all()
    np.testing.assert_allclose(shown[2 : edge - 1], 0.14)


def test_a_pixel_shows_the_most_of_the_columns_it_spans() -> None:
    strength = np.zeros((1, 10 * cards.WIDTH), dtype=np.uint8)
    strength[0, 15] = 255  # within the second pixel
    laid = Overlay(strength, 0.01, (0.0, float(TOP)), "L0·0", 1.0)
    shown = cards.opacity(laid, TOP, seconds=0.1 * cards.WIDTH)[0]
    assert shown[1] == 0.7
    assert shown.sum() == pytest.approx(0.7)


def test_the_picture_is_the_clips_with_the_activation_over_it() -> None:
    made = clip.render_bytes(wav())
    bare, laid = (
        np.asarray(Image.open(io.BytesIO(cards.picture(made, over))).convert("RGB"), dtype=float)
        for over in (None, overlay([[255, 0, 0, 0]], (0, TOP)))
    )
    assert bare.shape == (cards.HEIGHT, cards.WIDTH, 3)
    changed = np.abs(laid - bare).mean(axis=(0, 2))
    assert changed[4 : QUARTER - 4].min() > 20 > 8 > changed[QUARTER + 16 :].max()
