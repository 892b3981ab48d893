"""The recipe of the prompt generator."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from oodseg.training.engine.recipe import LoopRecipe
from oodseg.training.scene_mix import MixRecipe
from oodseg.training.score_augment import ScoreAugment


class PromptRecipe(LoopRecipe):
    """All settings of a training of the prompt generator.

    With `precision: bf16-mixed` the backbone alone computes in bfloat16, a third faster on processors that
    know it; boxes do not, as 8 bits would move them by pixels.

    Attributes:
        initial: Name or folder of a pipeline whose prompt generator the training goes on from.
        backbone: Of `FasterRCNNPrompts`.
        sizes: Height and width of the scenes, each an equal share of them.
        zoomed_sizes: The same for scenes that the detector sees in as many times that size as it wants.
        features: Let the generator read the detector's image features beside the score.
        hidden_share: How often these are hidden, so that it can read scores from elsewhere too.
        scenes: Training scenes in the cache.
        val_scenes: Validation scenes.
        optimizer: `"adamw"`, or `"sgd"` with momentum 0.9 as in the paper.
        main_share: How often the detector's own score is used; else one of its other scores, if it has any.
        augment: See `ScoreAugment`.
        mix: Composition of the scenes.
    """

    initial: str | None = None
    backbone: Literal["compact", "resnet50"] = "compact"
    sizes: list[tuple[int, int]] = Field(min_length=1)
    zoomed_sizes: list[tuple[int, int]] = Field(default=[])
    features: bool = False
    hidden_share: float = Field(default=0.3, ge=0, le=1)
    scenes: int = Field(ge=1)
    val_scenes: int = Field(ge=1)
    optimizer: Literal["adamw", "sgd"]
    main_share: float = Field(default=0.7, ge=0, le=1)
    augment: ScoreAugment = ScoreAugment()
    mix: MixRecipe = MixRecipe()
    decay_fraction: float = Field(default=0.0, ge=0, le=1)
    ema_decay: float | None = Field(default=0.999, ge=0, lt=1)
    gradient_clip: float | None = Field(default=None, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    val_every_steps: int = Field(ge=1)
