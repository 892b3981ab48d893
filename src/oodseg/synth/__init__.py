"""Outlier exposure: scenes with unknown objects, pasted into known pictures or drawn from nothing."""
