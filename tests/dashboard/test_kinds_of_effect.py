"""What kind of effect: means over classes, verdicts, shown units and charts, on hand-made rows."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
import pytest

from core.ablation.outcomes import sign_flip_p
from dashboard.shared.text import kinds
from dashboard.views.ablation import kind_charts, outcomes

alt.utils.schemapi.enable_debug_mode()

SILENCED = {"selection": "mad 1%", "operation": "scale", "gain": 0.0}
READ = {"unablated": 0.93, "ablated": 0.6}


def row(target: str, outcome: str, change: float, holds: bool = False, **more: object) -> dict[str, object]:
    return {
        "selection": "mad 1%", "target": target, "affected_class": target, "n_neurons": 46, "outcome": outcome,
        "n_clips": 10, "n_units": 200, "unablated": 0.9, "change": change, "change_low": change - 0.1,
        "change_high": change + 0.1, "control_mean": 0.1, "control_low": 0.0, "control_high": 0.2, "n_controls": 20,
        "outside_controls": int(holds), "beyond_control": change - 0.1, "p_value": 0.001 if holds else 0.5,
        "q_value": 0.01 if holds else 0.6, **more,
    }  # fmt: skip


def study(selective: float, shift: float, total: float, holds: str = "", **more: object) -> pd.DataFrame:
    """Four classes alike; ``holds`` names the outcomes that do, of three of them."""
    sizes = {"selective": selective, "shift": shift, "total": total}
    return pd.DataFrame(
        [row(c, name, size, name in holds and c != "d", **more) for c in "abcd" for name, size in sizes.items()]
    )


def verdict(rows: pd.DataFrame, read: dict[str, float] | None = None, **done: object) -> str:
    return kinds.verdict(kinds.over_classes(rows), {**SILENCED, **done}, read or {})


def test_what_holds_has_a_q_and_lies_outside_of_all_random_sets() -> None:
    rows = pd.DataFrame(
        {"q_value": [0.01, 0.01, 0.2, np.nan, 0.01, 0.01], "outside_controls": [1, 0, 1, 1, None, 1],
         "beyond_control": [-1, -1, -1, -1, -1, 0.5]}
    )  # fmt: skip
    assert kinds.holding(rows).tolist() == [True, False, False, False, False, True]
    assert kinds.losing(rows).tolist() == [True, False, False, False, False, False]
    unknown = pd.DataFrame({"q_value": [None], "outside_controls": [None], "beyond_control": [None]}, dtype=object)
    assert kinds.losing(unknown).tolist() == [False]


def test_means_are_over_classes_with_what_holds_of_them() -> None:
    rows = pd.DataFrame(
        [row(c, "selective", change, holds) for c, change, holds in
         (("a", -1.0, True), ("b", -0.5, True), ("c", 0.6, True), ("d", -0.1, False), ("e", 0.0, False))]
    )  # fmt: skip
    (one,) = kinds.over_classes(rows).to_dict("records")
    assert one["mean"] == pytest.approx(-0.2)
    assert -1 < one["low"] < -0.2 < one["high"] < 0.6
    assert (one["n"], one["n_hold"], one["n_lose"], one["n_controls"], one["n_units"]) == (5, 3, 2, 20, 200)
    assert np.isnan(kinds.over_classes(rows.iloc[:4])["low"].iloc[0]), "four classes have no interval"
    apart = kinds.over_classes(pd.concat([rows, rows.assign(selection="aape")]))
    assert apart["selection"].tolist() == ["mad 1%", "aape"]
    bare = kinds.over_classes(rows.assign(control_mean=None, beyond_control=None, n_controls=0))
    assert np.isnan(bare["control"].iloc[0]) and bare["n_lose"].iloc[0] == 0
    assert kinds.over_classes(rows.iloc[:0]).empty


def test_the_interval_of_a_mean_of_equal_values_is_that_value() -> None:
    assert kinds.interval_of_mean(np.full(6, -0.3)) == pytest.approx((-0.3, -0.3))
    assert np.isnan(kinds.interval_of_mean(np.array([1.0, 2, 3, 4, np.nan]))).all()


@pytest.mark.parametrize("n_units", [1, 4, 5, 6, 12, 13, 40])
def test_the_least_p_is_that_of_units_that_all_point_one_way(n_units: int) -> None:
    (found,) = sign_flip_p(np.ones((n_units, 1)), 0)
    assert kinds.least_p(n_units) <= found
    assert kinds.least_p(n_units) == found or n_units == 13, "of 13, drawn signs may all agree, too"


def test_a_selective_effect_is_told_with_its_shift_and_what_is_read() -> None:
    rows = study(-0.6, -1.1, -0.5, holds="selective shift total")
    offsets = pd.DataFrame([row(c, "readable_offsets", 0.02, unablated=0.9) for c in "abcd"])
    assert verdict(pd.concat([rows, offsets]), READ) == (
        "**Without its 1 % of neurons (mad) a class loses 0.60 in logit on its own clips beyond what all other clips "
        "lose; significant for 3 of 4 classes.** Most of the fall is a shift (−1.10 on all *other* clips). The frozen "
        "probe reads 60 % of its clips (93 % untouched); new offsets undo that: 92 %."
    )
    assert "The lesser part of the fall is a shift" in verdict(study(-0.6, -0.2, -0.5, holds="selective shift"))
    assert "It is no shift of all clips alike (−1.10" in verdict(study(-0.6, -1.1, -0.5, holds="selective"))
    against = verdict(study(-0.6, 0.2, -0.5, holds="selective shift"))
    assert "beyond the change of all other clips" in against and "It is no shift" in against
    six = pd.concat([rows, rows.assign(target=rows["target"] + "2")])
    assert "(95 % interval over classes −0.60 to −0.60)" in verdict(six)


def test_classes_that_change_the_other_way_are_told_apart() -> None:
    rows = study(-0.6, -1.1, -0.5, holds="selective")
    rows.loc[(rows["target"] == "a") & (rows["outcome"] == "selective"), ["change", "beyond_control"]] = 0.3
    assert "significant for 2 of 4 classes (1 more the other way round)" in verdict(rows)
    gained = verdict(study(0.6, 1.1, 0.5, holds="selective shift"), gain=2.0)
    assert gained.startswith("**With its 1 % of neurons (mad) scaled by 2 a class gains 0.60")
    assert "3 of 4 classes.**" in gained and "Most of the rise is a shift" in gained


def test_where_the_interval_of_the_mean_holds_0_the_classes_are_told_and_not_the_mean() -> None:
    changes = {"a": -0.9, "b": -0.8, "c": 0.7, "d": 0.9, "e": 0.05, "f": 0.0}
    rows = pd.DataFrame(
        [row(c, "selective", change, c in "abc", beyond_control=change) for c, change in changes.items()]
    )
    shift = pd.DataFrame([row(c, "shift", -0.5, True) for c in changes])
    told = verdict(pd.concat([rows, shift]))
    assert told.startswith(
        "**Without its 1 % of neurons (mad) it depends on the class: of 6 classes 2 lose and 1 gains in logit on their "
        "own clips beyond all other clips; on average −0.01 (95 % interval over classes −"
    )
    assert "The logit changes by −0.50 on all *other* clips, a shift." in told
    assert told.split("**")[1].endswith(").") and "significant for" not in told.split("**")[1]
    rows["q_value"] = rows["q_value"].where(rows["target"] != "c", 0.6)
    assert "of 6 classes 2 lose and none gain in logit" in verdict(pd.concat([rows, shift]))


def test_only_a_shift_or_only_a_total_or_nothing_is_told_as_that() -> None:
    only = verdict(study(-0.02, -1.1, -0.5, holds="shift total"))
    assert only.startswith("**Only a shift: without its 1 % of neurons (mad) a class's logit falls by 1.10")
    assert "significant for 3 of 4 classes" in only and "(−0.02) for none" in only
    total = verdict(study(-0.02, -0.1, -0.5, holds="total"))
    assert "log probability of a class falls by 0.50 nats; significant for 3 of 4 classes" in total
    nothing = verdict(study(-0.02, -0.1, 0.001))
    assert nothing == (
        "**Nothing is significant: without its 1 % of neurons (mad) none of 4 classes changes beyond random sets.** On "
        "average a class changes by: selective −0.02, shift −0.10, total +0.00."
    )


def test_without_controls_or_power_nothing_is_claimed() -> None:
    bare = verdict(study(-0.6, -1.1, -0.5, holds="selective", n_controls=0))
    assert bare.endswith("Without random sets beside it, what of this is owed to the choice is unknown.")
    few = verdict(study(-0.6, -1.1, -0.5, n_units=5))
    assert few.startswith(
        "**Nothing could be significant: of 5 clips (or voices, or recordings) the least possible p is 0.062"
    )
    assert not verdict(study(-0.6, -1.1, -0.5, n_units=6)).startswith("**Nothing could")
    assert kinds.verdict(kinds.over_classes(study(-1, -1, -1).iloc[:0]), SILENCED, {}) == ""


def test_what_was_done_is_named_safely() -> None:
    rows = study(-0.6, -1.1, -0.5, holds="selective").assign(selection="*b*")
    assert "With its 46 neurons (\\*b\\*) kept alone" in verdict(rows, selection="*b*", operation="keep", gain=None)


@pytest.mark.parametrize(
    ("frozen", "again", "told"),
    [(0.92, 0.9, "hardly notices: it reads 92 %"), (0.6, 0.92, "new offsets undo that: 92 %"),
     (0.6, 0.75, "new offsets undo part of that: 75 %"), (0.6, 0.62, "new offsets do not undo that: 62 %")],
)  # fmt: skip
def test_what_new_offsets_undo(frozen: float, again: float, told: str) -> None:
    rows = pd.DataFrame([row(c, "readable_offsets", again - 0.9) for c in "ab"])
    rows = pd.concat([rows, pd.DataFrame([row(c, "readable_refit", -0.01, control_mean=0.0) for c in "ab"])])
    said = kinds.readable(kinds.over_classes(rows), 0, {"unablated": 0.93, "ablated": frozen})
    assert told in said


def test_what_a_new_head_finds_again_is_taken_over() -> None:
    def said(change: float, n_lost: int = 0, control: float = 0.0) -> str:
        rows = pd.DataFrame([row(c, "readable_refit", change, control_mean=control) for c in "ab"])
        return kinds.readable(kinds.over_classes(rows), n_lost, {})

    assert "reads 89 % (90 % with nothing changed): **what these neurons carried, others carry too.**" in said(-0.01)
    assert "others carry too" in said(-0.1, control=-0.1), "random sets cost as much"
    assert "−20.0 points beyond random sets, though significant for no single class." in said(-0.2)
    assert "what 2 of 2 classes lose, no new probe finds again." in said(-0.2, n_lost=2)
    assert kinds.readable(kinds.over_classes(study(-1, -1, -1)), 0, {}) == ""


def test_random_sets_and_other_classes_stand_beside_the_verdict() -> None:
    means = kinds.over_classes(study(-0.6, -1.1, -0.5, control_mean=-0.001))
    assert kinds.beside(means, {"selective": {"change": -0.25, "n": 1_560, "n_hold": 12}}) == (
        "20 random sets of the same size and layers, mean: total +0.00, shift +0.00, selective +0.00. Of the *other* "
        "classes the same neurons change the selective part by −0.25; significant for 12 of 1,560 pairs of a class and "
        "another's neurons."
    )
    assert kinds.beside(kinds.over_classes(study(-1, -1, -1, n_controls=0)), {}) == ""


def test_the_selection_to_begin_with_is_mad_else_the_former_rule() -> None:
    assert kinds.first_selection(["aape", "top 1%", "mad 1%"]) == "mad 1%"
    assert kinds.first_selection(["aape", "top 1%", "mad 5%"]) == "top 1%"
    assert kinds.first_selection(["aape", "mad 5%"]) == "aape"
    assert kinds.Rule.of("mad 0.2%") == kinds.Rule("mad", "0.2") and kinds.Rule.of("mad 0.2%").option == "mad:0.002"
    assert kinds.Rule.of("file a 5% list").option == "file a 5% list"


def test_what_is_told_first_of_each_model_and_task() -> None:
    def of(
        model: str, task: str, selection: str, operation: str = "scale", gain: float | None = 0.0
    ) -> dict[str, object]:
        return {"model": model, "task": task, "selection": selection, "operation": operation, "gain": gain}

    rows = pd.DataFrame(
        [of("m", "t", "aape"), of("m", "t", "mad 1%"), of("m", "t", "mad 1%", gain=2.0), of("n", "t", "top 1%"),
         of("n", "u", "mad 5%", "keep", None), of("n", "u", "mad 5%", "mean", None)]
    )  # fmt: skip
    first = kinds.told(rows)
    assert first.index.tolist() == [1, 3, 4]
    assert kinds.told(rows.iloc[:0]).empty


def test_models_are_told_in_a_line_each() -> None:
    rows = study(-0.6, -1.1, -0.5, holds="selective").assign(model="m-1", task="t", operation="scale", gain=0.0)
    (line,) = kinds.model_lines(pd.concat([rows, rows.assign(task="u")]))
    assert line == (
        "**m\\-1**: 6 of 8 classes in 2 tasks lose on their own clips, beyond what all other clips lose, without their "
        "own neurons (mad 1%): −0.60 in logit in the mean; random sets +0.10; all other clips −1.10 (a shift)."
    )
    assert kinds.model_lines(rows[rows["outcome"] == "total"]) == []
    assert kinds.model_lines(rows.iloc[:0]) == []


def test_the_command_names_what_is_not_the_default() -> None:
    default = {"--tasks": "t", "--model": "m", "--stages": "ablate"}
    assert outcomes.again("t", "m", "mad 1%", ["0"]) == default
    assert outcomes.again("t", "m", "mad 3%", ["0", "2"]) == {**default, "--ablate": "mad:0.03", "--gains": "0,2"}
    assert outcomes.again("t", "m", "file sets.csv", ["0"]) == default


def matrix() -> pd.DataFrame:
    rows = [row("a", "discrimination", -0.02, True), row("a", "discrimination", -0.01, affected_class="b"),
            row("b", "discrimination", 0.03, affected_class="a"), row("b", "discrimination", -0.04)]  # fmt: skip
    return pd.DataFrame(rows).assign(heads_low=-0.1, heads_high=0.1, beyond_low=-0.1, beyond_high=0.1)


def test_effects_of_every_measure_have_the_same_names_and_their_unit() -> None:
    shown = outcomes.shown(matrix(), "discrimination")
    assert shown["value"].tolist() == pytest.approx([-2, -1, 3, -4])
    assert shown["stands"].tolist() == [True, False, False, False]
    assert shown["own"].tolist() == [True, False, False, True]
    assert shown.loc[0, ["low", "high", "control_mean", "heads_low"]].tolist() == pytest.approx([-12, 8, 10, -10])
    assert outcomes.shown(matrix(), "selective")["value"].iloc[0] == pytest.approx(-0.02)
    assert outcomes.counted(shown) == "1 of 2 own classes (framed) and 0 of 2 others"
    assert outcomes.strongest_target(shown) == "a", "what holds comes before what is larger"


def test_what_so_few_units_can_show_is_told() -> None:
    def said(n_units: int, n_tests: int) -> str:
        rows = pd.DataFrame([row("a", "total", -0.1, affected_class=f"c{i}") for i in range(n_tests)])
        return outcomes.power_sentence(outcomes.shown(rows.assign(n_units=n_units), "total"))

    assert "nothing could be significant" in said(5, 4)
    # Of 10 units the least p is 2/1024: among 100 tests 3 such have q = 100 p / 3 = 0.065, 4 have 0.049.
    assert "be significant only together with 3 more as sure" in said(10, 100)
    assert said(200, 100) == "Each class was tested on 10 clips, in 100 tests; q is over all of them."


def test_doses_are_shares_of_all_neurons() -> None:
    means = kinds.over_classes(pd.concat([study(-1, -1, -1), study(-1, -1, -1).assign(selection="aape", n_neurons=9)]))
    doses = outcomes.with_doses(means, 4600).drop_duplicates("selection")
    assert doses[["rule", "share"]].to_numpy().tolist() == [["mad", 0.01], ["aape", pytest.approx(9 / 4600)]]
    draws = pd.DataFrame({"shift": [-3.0, 0.1], "selective": [0.5, 0.2]})
    assert outcomes.domain(means.assign(low=np.nan, high=np.nan), draws) == [-3.0, 0.5]
    assert outcomes.domain(means.assign(mean=0.0, low=0.0, high=0.0), draws.iloc[:0]) == [-0.1, 0.1]
    assert outcomes.doses_sentence(means, "mad 1%") == (
        "Points: mean change of 4 classes, each by its own neurons, with its 95 % interval over classes. Grey: each of "
        "20 random sets of the same size and layers a dose, its mean over the same classes. Ring: mad 1%, told above "
        "and shown below."
    )
    assert outcomes.doses_sentence(means.assign(n_controls=0), "*").endswith(
        "No random sets were run. \\* is not drawn."
    )


def frozen_head() -> pd.DataFrame:
    return pd.DataFrame(
        {"target": ["a", "b", "a"], "affected_class": ["a", "b", None], "accuracy_unablated": 0.9,
         "accuracy_ablated": [0.8, 0.3, 0.5], "delta": [-0.1, -0.6, -0.4], "ci_low": -0.7, "ci_high": 0.0,
         "control_delta_mean": 0.0, "control_delta_low": -0.1, "control_delta_high": 0.3, "n_controls": 20,
         "n_clips": 10, "operation": "scale", "gain": [0.0, 0.0, 2.0]}
    )  # fmt: skip


def test_what_heads_read_stands_beside_their_own_untouched() -> None:
    own = pd.DataFrame(
        [row(c, f"readable_{head}", change, unablated=base) for c in "ab"
         for head, change, base in (("offsets", -0.1, 0.9), ("refit", 0.0, 0.7))]
    )  # fmt: skip
    effects = frozen_head()
    rows = outcomes.readable(own, effects).set_index(["label", "head"])
    assert list(dict.fromkeys(rows.index.get_level_values("label"))) == ["b", "a"], "what loses most first"
    assert rows.loc[("b", "frozen probe"), ["untouched", "now", "random_high"]].tolist() == pytest.approx([90, 30, 100])
    assert rows.loc[("a", "offsets refitted"), ["untouched", "now"]].tolist() == pytest.approx([90, 80])
    assert rows.loc[("a", "whole probe refitted"), ["untouched", "now"]].tolist() == pytest.approx([70, 70])
    assert outcomes.mean_accuracy(effects) == pytest.approx({"unablated": 0.9, "ablated": 0.55})
    assert len(outcomes.done_so(effects, "scale", 0.0)) == 2 and outcomes.done_so(effects, "keep", None).empty
    assert len(outcomes.readable(own, effects.iloc[2:])) == 4, "where no accuracy is known by class"


def clips() -> pd.DataFrame:
    return pd.DataFrame(
        {"clip_id": [1, 2, 3, 3, 4], "path": ["x/1.wav", "x/2.wav", "x/3.wav", "x/3.wav", "x/4.wav"],
         "true_class": ["a", "b", "b", "a", None], "log_prob": -0.1, "delta_log_prob": [-1.0, -0.2, -0.3, -0.3, np.nan],
         "control_delta_log_prob": 0.0, "delta_logit": [-2.0, -1.0, -3.0, -3.0, 0.0], "control_delta_logit": 0.1,
         "root": "/data"}
    )  # fmt: skip


def test_clips_stand_own_first_then_by_loss_once_each() -> None:
    changes = outcomes.clip_changes(clips(), "a", "logit")
    assert changes["clip_id"].tolist() == [3, 1, 2, 4]
    assert changes["own"].tolist() == [True, True, False, False]
    assert outcomes.clips_sentence(changes, "logit") == (
        "Mean change of the logit of the class, in logits: −2.50 on its own clips, −0.50 on all others (the shift); "
        "the difference, −2.00, is the selective part."
    )
    assert "selective" not in outcomes.clips_sentence(changes, "log_prob")
    first = changes.iloc[0].to_dict()
    assert outcomes.clip_title(first) == "a: 3.wav"
    assert outcomes.clip_caption(first) == (
        "log p of its class −0.30 (random +0.00); logit of the class −3.00 (random +0.10)"
    )
    assert outcomes.clip_title(changes.iloc[3].to_dict()) == "no label: 4.wav"
    assert outcomes.clip_caption(changes.iloc[3].to_dict()).startswith("logit of the class +0.00")


def test_every_chart_of_kinds_is_valid() -> None:
    means = outcomes.with_doses(kinds.over_classes(study(-1, -1, -1)), 4600)
    selective = means[means["outcome"] == "selective"]
    draws = selective[["selection", "rule", "share"]].assign(value=0.1)
    spec = kind_charts.dose_chart(selective, draws, [-1, 0.1], ["mad"], "mad 1%").to_dict()
    assert len(spec["layer"]) == 6
    assert spec["layer"][2]["encoding"]["x"]["scale"]["type"] == "log"
    assert len(kind_charts.dose_chart(selective, draws.iloc[:0], [-1, 0], ["mad"], "mad 1%").to_dict()["layer"]) == 5
    own = pd.DataFrame([row(c, "readable_refit", -0.1) for c in "ab"])
    rows = outcomes.readable(own, frozen_head())
    rows = rows[rows["head"] == "frozen probe"]
    assert len(kind_charts.readable_chart(rows, ["a", "b"]).to_dict()["layer"]) == 5
    chart = kind_charts.clips_chart(outcomes.clip_changes(clips(), "a", "logit"), "logit of a").to_dict()
    assert chart["layer"][3]["encoding"]["x"]["aggregate"] == "mean"
