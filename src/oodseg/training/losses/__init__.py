"""Losses by which detectors learn from outliers: one file per published loss, pure functions of tensors.

Every loss gives its parts by name, already weighted: the loss is their sum. Pixels are told apart by masks,
bool `[B, h, w]`: `inlier` where nothing is unknown, `outlier` on unknown objects; in neither what is not to
be judged. `labels` are classes, int64 `[B, h, w]`, `IGNORE` where none is known. A mean over no pixel is 0.
"""
