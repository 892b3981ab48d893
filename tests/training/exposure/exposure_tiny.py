"""Settings of the shortest training of a method."""

TINY = {
    "sizes": [(64, 96)],
    "max_steps": 2,
    "batch_size": 2,
    "warmup_steps": 0,
    "workers": 0,
    "val_scenes": 6,
    "val_every_steps": 2,
}
