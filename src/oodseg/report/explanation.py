"""Says how figures came about, so that two figures for one set can be told apart."""

from __future__ import annotations

import json

from oodseg.evaluation import Evaluation
from oodseg.metrics.s2m import Preset


def explain(found: Evaluation, preset: Preset) -> list[tuple[str, str]]:
    """Lists what the figures of one set depend on, as pairs of name and value.

    Args:
        found: The set's figures.
        preset: Which S2M preset is shown.

    Returns:
        Which labels and pixels count, how every family of figures is defined and pooled, what was resampled,
        and of what version, pipeline and score files the rows are.
    """
    meta, defined = found.meta, found.meta["definitions"]
    other = "s2m_paper" if preset == "code" else "s2m_code"
    facts = [*meta["checked"].items(), ("preset", f"{preset}: {defined[f's2m_{preset}']}")]
    facts += [(name, text) for name, text in defined.items() if name not in {f"s2m_{preset}", other}]
    facts.append(("bootstrap", f"{meta['resamples']} resamples, seed {meta['seed']}"))
    facts.append(("oodseg", meta["oodseg_version"]))
    if meta["pipeline"]:
        facts.append(("pipeline", json.dumps(meta["pipeline"])))
    facts += [(f"scores {name}", folder) for name, folder in meta["scores"].items()]
    facts += [
        (name, f"scores normalised by mean {each['mean']:.4g} and standard deviation {each['std']:.4g}")
        for name, each in meta["score_statistics"].items()
    ]
    return facts
