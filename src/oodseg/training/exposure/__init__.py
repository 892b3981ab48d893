"""One engine that teaches detectors on outliers: recipes, scenes, methods, the module and the training."""
