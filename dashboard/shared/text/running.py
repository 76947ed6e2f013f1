"""A run that is at work, in words: what it does, what it has done, when it comes to what.

Steps are frames as `db.reads.steps.last_steps` gives them; times are pandas' in UTC.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from dashboard.shared.text import words

SILENT = 180.0
"""Seconds without a word after which a run is taken for stopped, where its process cannot be looked for."""
PARTS = {"extract": "is being recorded", "score": "is being scored", "ablate": "is being ablated"}
UNDONE = ("running", "to come")
LONGEST = 100
"""Characters of a name that are shown."""
Steps = pd.DataFrame
DoneSteps = frozenset[tuple[str, str, str, str]]
"""Model, dataset, task and part."""


def at_work(steps: Steps) -> Steps:
    """The steps of runs that are under way."""
    return steps[steps["run_status"] == "running"]


def done(steps: Steps) -> DoneSteps:
    """The steps whose results are in the store."""
    of = steps.loc[steps["status"] == "done", ["model", "dataset", "task", "part"]].fillna("")
    return frozenset(of.itertuples(index=False, name=None))


def new(before: DoneSteps, after: DoneSteps) -> str:
    """What has come, in short; empty where nothing has."""
    came = [part for *_, part in after - before]
    for part, name in (("score", "task"), ("ablate", "ablation"), ("extract", "recording")):
        if n := came.count(part):
            return f"{n} new {name}{'' if n == 1 else 's'}"
    return ""


def share_done(steps: Steps) -> float:
    """How much of a run's steps is done, in [0, 1]."""
    return float((~steps["status"].isin(UNDONE)).mean())


def stopped(steps: Steps, now: pd.Timestamp, is_alive: bool | None) -> str:
    """Tell of a run that has not ended and goes on no more, in Markdown; empty where it does go on.

    Parameters
    ----------
    steps : DataFrame
        Of runs under way.
    now : Timestamp
    is_alive : bool or None
        Whether its process is there; None where that cannot be known.
    """
    silent = _silence(steps, now)
    if is_alive or steps.empty or (is_alive is None and silent <= SILENT):
        return ""
    sure = "was stopped" if is_alive is False else f"seems to have been stopped: no word from it for {about(silent)}"
    done = f"{int((~steps['status'].isin(UNDONE)).sum())} of {len(steps)} steps were done"
    models = words.listed([str(model)[:LONGEST] for model in dict.fromkeys(steps["model"])])
    return (
        f"The run of {models} {sure}; {done}. What is finished is kept and shown "
        "here; the same command goes on from there."
    )


def partial(steps: Steps) -> str:
    """Tell what a run that goes on has not brought yet, in Markdown; empty where nothing is to come."""
    left = steps[steps["status"].isin(UNDONE) & steps["task"].notna()]
    tasks = [f"{model}: {task}" for model, task in left[["model", "task"]].drop_duplicates().itertuples(index=False)]
    if not tasks:
        return ""
    return (
        f"Partial: still to come {'is' if len(tasks) == 1 else 'are'} {words.listed([t[:LONGEST] for t in tasks], 3)}."
    )


def headline(steps: Steps, now: pd.Timestamp) -> str:
    """What a run is at, in Markdown; the steps are of runs under way."""
    busy = [
        _doing(group)
        for _, group in steps[steps["status"] == "running"].groupby(
            ["dataset", "task", "part"], sort=False, dropna=False
        )
    ]
    n_done, left = int((~steps["status"].isin(UNDONE)).sum()), seconds_until(steps, now)
    parts = ["; ".join(busy) or "A run is at work", f"{n_done} of {len(steps)} steps done"]
    if left is not None:
        parts.append(f"{about(left)} left")
    return " · ".join(parts)


def _doing(steps: Steps) -> str:
    """What models are at that do the same to a dataset."""
    step = steps.iloc[0]
    name = step["dataset"] if pd.isna(step["task"]) else step["task"]
    models = words.listed([str(model)[:LONGEST] for model in steps["model"]])
    told = f"{models}: {_name(name)} {PARTS.get(step['part'], 'is at work')}"
    if step[["stage", "n_done", "n_total", "unit"]].isna().any():
        return told
    so_far = f"{step['n_done']:,.0f} of {step['n_total']:,.0f} {_name(step['unit'])}"
    return f"{told} ({_name(step['stage'])}, {so_far})"


def _name(name: object) -> str:
    return words.plain(str(name)[:LONGEST])


def coming(steps: Steps, now: pd.Timestamp, model: str | None, tasks: Collection[str], parts: Collection[str]) -> str:
    """When a run comes to what an empty place would show; empty where none does.

    Parameters
    ----------
    steps : DataFrame
    now : Timestamp
    model : str or None
        None = any.
    tasks : collection of str
        Empty = any.
    parts : collection of str
    """
    steps = at_work(steps)
    asked = steps["status"].isin(UNDONE) & steps["part"].isin(parts)
    if model is not None:
        asked &= steps["model"] == model
    if tasks:
        asked &= steps["task"].isin(tasks)
    if not asked.any():
        return ""
    of_model = steps[steps["model"] == steps.loc[asked, "model"].iloc[0]]
    first = asked[of_model.index].idxmax()
    upto = of_model.loc[:first]
    if upto["status"].iloc[-1] == "running":
        begun = "A run is at work on this now"
    else:
        n_before = int(upto["status"].iloc[:-1].isin(UNDONE).sum())
        begun = f"A run comes to this after {n_before} other step{'' if n_before == 1 else 's'}"
    left = seconds_until(upto, now)
    return f"{begun}." if left is None else f"{begun}: it is here in {about(left)}."


def seconds_until(steps: Steps, now: pd.Timestamp) -> float | None:
    """Seconds until all of these steps are done, as long as the last of the models that run side by side takes.

    A step is taken to last as long as those of its kind did, on the mean; None where none is done yet.
    """
    started, finished = (_times(steps[name]) for name in ("started_at", "finished_at"))
    lasted = (finished - started).dt.total_seconds().where(steps["status"] == "done")
    mean = lasted.groupby(steps["part"]).mean().reindex(list(PARTS))
    left = steps["part"].map(mean).where(steps["status"].isin(UNDONE), 0.0)
    running = steps["status"] == "running"
    elapsed = (now - started).dt.total_seconds()
    at_stage = pd.to_numeric(steps["stage_seconds_left"], errors="coerce").fillna(0.0)
    left = left.mask(running, (left - elapsed).clip(lower=at_stage))
    of_models = left.groupby(steps["model"]).sum(min_count=1)
    return None if left.isna().any() else float(of_models.max())


def _silence(steps: Steps, now: pd.Timestamp) -> float:
    """Seconds since a run last gave word."""
    told = [_times(steps[name]).max() for name in ("started_at", "finished_at", "told_at")]
    known = [time for time in told if not pd.isna(time)]
    return (now - max(known)).total_seconds() if known else 0.0


def _times(told: pd.Series) -> pd.Series:
    """Times as the store tells them; what is none is missing."""
    return pd.to_datetime(told, utc=True, errors="coerce", format="ISO8601")


def about(seconds: float) -> str:
    """A time, roughly."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {seconds / 3600:.0f} h"


def table(steps: Steps) -> pd.DataFrame:
    """Steps as a table for people."""
    step = steps["part"].map({"extract": "record", "score": "score", "ablate": "ablate"})
    return pd.DataFrame(
        {
            "Model": steps["model"],
            "Of": steps["task"].fillna(steps["dataset"]),
            "Step": step,
            "Is": steps["status"],
        }
    )
