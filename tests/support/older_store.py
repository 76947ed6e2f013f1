"""Rows of a store as it was before clips could have several labels."""

STUDY = (
    "INSERT INTO dataset VALUES (1, 'pets', '/pets', 'key', 'official', '', '', '')",
    "INSERT INTO attribute VALUES (1, 1, 0, 'animal')",
    "INSERT INTO clip VALUES (1, 1, 0, 'a.wav', 'test', 1.5)",
    "INSERT INTO clip_label VALUES (1, 1, 'cat')",
    "INSERT INTO task VALUES (1, 1, 1, 'pets-animal')",
    "INSERT INTO task_class VALUES (1, 1, 0, 'cat'), (2, 1, 1, 'dog')",
    "INSERT INTO model VALUES (1, 'tiny', 'key', 1, 1, 1, 16000, 1, '', '')",
    "INSERT INTO run VALUES (1, 'tiny', '', '', 'done', '{}', 0, '', '{}', 'cpu', 1, 1, 1, '[]')",
    "INSERT INTO sharing VALUES (1, 1, 1, NULL, 'lape')",
    "INSERT INTO shared_neuron VALUES (1, 1, 2, 3, 2, 1, 0.5, 0.25, 0.5)",
)
