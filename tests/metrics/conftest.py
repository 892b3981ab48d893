import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def toolkit_cases():
    """Case name to scores, labels and what SegmentMeIfYouCan's toolkit prints; skips without the data."""
    import numpy as np

    root = Path(__file__).resolve().parents[3]
    data = Path(os.environ.get("OODSEG_SHARED_DATA", root / "shared" / "data")) / "smiyc_metric_cases"
    if not (data / "expected.json").is_file():
        pytest.skip(
            "the reference outputs of the SegmentMeIfYouCan toolkit are not at hand (OODSEG_SHARED_DATA)"
        )
    expected = json.loads((data / "expected.json").read_text())
    cases = {}
    for name, values in expected.items():
        with np.load(data / f"{name}.npz", allow_pickle=False) as file:
            cases[name] = (file["score"].astype(np.float32), file["label"], values)
    return cases
