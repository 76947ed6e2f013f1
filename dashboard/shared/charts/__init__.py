"""DataFrame -> chart; pure functions that know neither the store nor the page, one file a page.

Shares (probabilities, coverage, accuracy) come in [0, 1] and are drawn as percentages; layers and
neurons count from 0.
"""
