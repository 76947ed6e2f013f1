"""Units other than neurons, under the same evidence: coordinates, rotations, attention heads, sparse autoencoders."""
