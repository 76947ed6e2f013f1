"""How the embedded models were made: sound, objectives, training loop, check, card.

Read in this order: ``data``, ``objectives``, ``train``, ``card``. ``docs/pretraining.md`` says how to
repeat it.
"""
