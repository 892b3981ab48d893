"""Outlier exposure: scenes with unknown objects, pasted into known images or drawn from nothing."""
