"""The pages and the way between them; `dashboard/app.py` serves it."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts this file's folder on the path; the project's packages lie one above.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from dashboard.shared import running, store, turns, warm  # noqa: E402
from dashboard.shared.search import box  # noqa: E402
from db.connection.open import StoreError  # noqa: E402

st.set_page_config(
    page_title="Audio neuron atlas",
    page_icon=str(Path(__file__).with_name("icon.svg")),
    layout="wide",
    initial_sidebar_state=285,
)
PAGES = {
    "": [
        ("overview", "Overview", "dashboard", "The study at a glance: models, layers, coverage, probes, warnings."),
        ("listen", "Listen", "mic", "Your own sound through the model: which neurons answer, and when."),
    ],
    "Where and how many": [
        ("heatmap", "Heatmap", "grid_on", "Where in a model the neurons for each class lie."),
        ("map", "Map", "bubble_chart", "All units in one picture, those that respond alike near one another."),
        ("layers", "Layers", "layers", "Where in a model a class becomes readable, layer by layer."),
        ("coverage", "Coverage", "stacked_bar_chart", "How many classes have neurons of their own, beside chance."),
        ("sharing", "Sharing", "hub", "Which classes share neurons, within and across tasks."),
        ("compare", "Compare", "compare_arrows", "Two models side by side."),
        ("units", "Units", "scatter_plot", "Neurons beside directions and features, under the same evidence."),
    ],
    "What they answer to": [
        ("classes", "Class", "category", "One class: its neurons to be heard, and what silencing them does."),
        ("gallery", "Find", "manage_search", "Neurons by what they listen to, as cards, to be sorted, seen and heard."),
        ("neuron", "Neuron", "hearing", "One neuron's whole life: classes, clips, neighbours, ablations."),
        ("pair", "Pair", "compare", "Two neurons side by side: profiles, difference, clips in common."),
        ("pitch", "Pitch", "piano", "Tuning curves over notes, octaves, two instruments side by side."),
        ("stimuli", "Stimuli", "graphic_eq", "Made sounds that change one thing: which factor each unit answers to."),
        ("time", "Time", "timeline", "Phones, onsets, events: which units fire when, and how soon."),
        ("speech", "Speech", "record_voice_over", "Gender, language, emotion and speaker, as log odds."),
        ("ablation", "Ablation", "content_cut", "What is lost without a class's neurons, beside random ones."),
    ],
    "Ask": [
        ("sql", "SQL", "database", "Ask the store anything; the paper's questions as examples."),
        ("notebook", "Notebook", "star", "Starred neurons with names, notes and lists; as CSV, as targets to ablate."),
    ],
}  # fmt: skip
page = st.navigation(
    {
        section: [
            st.Page(
                f"views/{name}/{name}.py",
                url_path=name,
                title=title,
                icon=f":material/{icon}:",
                help=meaning,
                default=name == "overview",
            )
            for name, title, icon, meaning in pages
        ]
        for section, pages in PAGES.items()
    },
    expanded=True,
)
try:
    with turns.turn():
        box.show()
        running.show(page.url_path)
        page.run()
except StoreError as error:
    store.show_error(error)
except Exception:
    store.blame()  # where it is the store's fault, that is told
    raise
warm.up()
