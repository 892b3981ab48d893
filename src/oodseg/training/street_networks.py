"""Street networks by the name or folder of what holds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oodseg.core.build import build
from oodseg.core.bundle import bundled_names, find_bundle, read_config
from oodseg.segmenters.street import StreetNet
from oodseg.segmenters.street_ensemble import StreetEnsemble
from oodseg.training.engine.trained import load_trained


def network_of(sources: Sequence[str]) -> StreetNet:
    """Finds the street network that runs or bundled names hold; several make an ensemble, in that order.

    Args:
        sources: Folders of `oodseg train segmenter`; or names or folders of pipelines.

    Raises:
        ConfigError: There is no such pipeline, or the networks do not fit together.
        WeightsError: A training is not finished, or its file is damaged.
    """
    networks = [_network(source) for source in sources]
    return networks[0] if len(networks) == 1 else StreetEnsemble(networks)


def _network(source: str) -> StreetNet:
    if source in bundled_names() or (Path(source) / "config.json").is_file():
        # By the name that the pipeline gives it: of an ensemble, "street" would be its first member.
        network = read_config(find_bundle(source))["detector"].get("network", {})
        name = network.get("name", StreetNet.name)
        found: StreetNet = build("segmenters", {"name": name, "source": source})
    else:
        found = load_trained(Path(source), "segmenter")
    return found
