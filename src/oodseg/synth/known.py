"""WordNet ids of DUTS images: vehicles and people, hard negatives, and vehicles of no street class."""

from __future__ import annotations

VEHICLES = frozenset([
    "n04285008", "n04146614", "n03769881", "n03770679", "n03594945", "n04487081", "n04037443", "n03670208",
    "n03777568", "n03790512", "n02924116", "n02958343", "n03792782", "n03785016", "n02701002", "n03791053",
    "n03100240", "n02814533", "n02834778",
])  # fmt: skip
PEOPLE = frozenset([
    "n03770439", "n03710721", "n03188531", "n04371430", "n10148035", "n09835506", "n03141823", "n00007846",
])  # fmt: skip
# Liner, speedboat, canoe, lifeboat, wreck, horse cart, container ship, golf cart, snowmobile, gondola,
# schooner, trimaran, yawl, rickshaw, submarine, oxcart.
ODD_VEHICLES = frozenset([
    "n03673027", "n04273569", "n02951358", "n03662601", "n04606251", "n03538406", "n03095699",
    "n03445924", "n04252077", "n03447447", "n04147183", "n04483307", "n04612504", "n03599486", "n04347754",
    "n03868242",
])  # fmt: skip
