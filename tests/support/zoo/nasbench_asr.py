"""NAS-Bench-ASR."""

from __future__ import annotations

from naslib.search_spaces import NasBenchASRSearchSpace

from . import Entry, sequences

ENTRIES = {
    "nasbench_asr": Entry(
        lambda **sizes: NasBenchASRSearchSpace(
            channels=(8, 8, 16, 16), cells=(1, 1, 1, 1), groups=2, hidden=4, **sizes
        ),
        size=6**3 * 2**6,
        batch=sequences,
        task="sequence_classification",
    )
}
