"""Finds the rarest objects of a collection, for people to pick from."""

from oodseg.mining.encoders import Encoder
from oodseg.mining.listing import MinedObject
from oodseg.mining.run import MiningRun, mine

__all__ = ["Encoder", "MinedObject", "MiningRun", "mine"]
