"""What the Ablation page says of erasure curves."""

from __future__ import annotations

import pandas as pd
import pytest

from dashboard.shared.text.facts import predictor_sentence
from dashboard.views.ablation.erasure import erasure_chart, sentence

NAN = float("nan")


def areas(*rows: tuple[object, ...]) -> pd.DataFrame:
    columns = ["order", "outcome", "area", "area_low", "area_high", "halved_at", "random_halved_at"]
    return pd.DataFrame(rows, columns=columns)


def test_the_steepest_order_and_the_smallest_set_are_told() -> None:
    told = sentence(
        areas(
            ("mad", "total", -1.25, -1.5, -1.0, 32, 512), ("evidence", "total", -0.25, -0.5, 0.0, NAN, 512),
            ("attribution", "total", -0.75, -1.0, -0.5, 16, 512), ("mad", "discrimination", -9, -9, -9, 1, 1),
        ),
        "dog",
    )  # fmt: skip
    assert told == (
        "**dog falls most steeply with its neurons out by mad**: −1.25 nats beyond random orders on average over the "
        "sizes (95 % interval −1.50 to −1.00). 16 neurons by attribution halve its probability; at random it takes 512."
    )


@pytest.mark.parametrize(
    ("halved", "random", "end"),
    [
        (NAN, NAN, "No set up to a quarter of all neurons halves its probability."),
        (8, NAN, "8 neurons by mad halve its probability; no random set of up to a quarter does."),
    ],
)
def test_what_never_halves_a_class_is_said(halved: float, random: float, end: str) -> None:
    assert sentence(areas(("mad", "total", -0.5, -1.0, 0.0, halved, random)), "dog").endswith(end)


def test_the_chart_draws_each_order_and_the_random_band_once() -> None:
    sizes = {"n_neurons": [1, 2] * 2, "order": ["mad"] * 2 + ["evidence"] * 2}
    numbers = {
        name: [-1.0] * 4
        for of in ("delta_log_prob", "control_log_prob", "delta_auroc")
        for name in (of, f"{of}_low", f"{of}_high", f"{of}_mean")
    }
    chart = erasure_chart(pd.DataFrame(sizes | numbers)).to_dict()
    band, _, interval, _ = chart["layer"]
    drawn = [layer["data"]["values"] for layer in (band, interval)]
    assert [len(rows) for rows in drawn] == [2, 4]
    assert {row["kind"] for row in drawn[1]} == {"by mad", "by evidence"}


def test_the_better_predictor_is_told_and_nothing_where_it_is_not_known() -> None:
    row = {"margin_total": 0.75, "selective_total": 0.5, "margin_selective": 0.25, "selective_selective": 0.875}
    assert predictor_sentence(row) == (
        "What predicts better what ablating one neuron does to the log probability of the class: the margin's gradient "
        "(0.75 against 0.50 of that of the class's logit, own clips less others); of the selective part: that of the "
        "class's logit, own clips less others (0.88 against 0.25 of the margin's gradient)."
    )
    assert predictor_sentence(dict.fromkeys(row, NAN)) == ""
