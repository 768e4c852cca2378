"""Data of the reader's own, as the pages name it: image folders, tables, arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def leave_data(folder: Path) -> None:
    """Write `birds/`, `night/`, `birds.csv`, `ages.csv`, `scans.npz`, `faces.npz`, `signals.npz` ... into a folder."""
    rng = np.random.default_rng(0)
    for place, n in (("birds", 100), ("night", 2)):
        for name in ("heron", "owl"):
            (folder / place / name).mkdir(parents=True)
            for index in range(n):
                pixels = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / place / name / f"{index}.png")
    paths = [f"birds/{name}/{index}.png" for index in range(100) for name in ("heron", "owl")]
    rows = [f"{path},{path.split('/')[1]},{'test' if 'owl/3' in path else 'train'}" for path in paths]
    (folder / "birds.csv").write_text("\n".join(["path,label,split", *rows, "birds/heron/1.png,heron,test"]))
    rows = [f"{path},{index},{index / 2}" for index, path in enumerate(paths)]
    (folder / "ages.csv").write_text("\n".join(["path,age,weight", *rows]))
    y = np.arange(200) % 2
    images = rng.integers(0, 256, (200, 9, 12, 3), dtype=np.uint8)
    np.savez(folder / "other.npz", x=images[:4], y=np.array(["heron", "owl", "owl", "owl"]))
    np.savez(folder / "signals.npz", x=rng.normal(size=(200, 20)), y=y)
    np.savez(folder / "scans.npz", x=images, y=(images[..., 0] > 99).astype(np.uint8))
    np.savez(folder / "faces.npz", x=images, y=y)
