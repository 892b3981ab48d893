"""Volumes: CT and MR scans as stacks of slices, read and written as NIfTI."""

from oodseg.medical.volumes import Volume, read_labels, read_volume, write_volume

__all__ = ["Volume", "read_labels", "read_volume", "write_volume"]
