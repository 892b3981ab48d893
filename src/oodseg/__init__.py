"""oodseg finds every object a street-scene model was never taught, and draws its outline."""

__version__ = "0.1.0"
