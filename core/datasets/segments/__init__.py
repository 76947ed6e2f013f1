"""When, not only whether: parts of clips with labels, from the files in which people keep them."""
