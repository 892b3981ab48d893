"""The scenes that the prompt generator learns on, and a detector's score maps of them."""

from __future__ import annotations

from pathlib import Path

from oodseg.core.progress import Progress
from oodseg.synth.scenes import SceneSampler
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.scene_cache import cache_scenes
from oodseg.training.score_cache import ChannelDetector, cache_scores


def make_scenes(
    recipe: PromptRecipe, data_root: Path, out: Path, zoom: int, progress: Progress | None = None
) -> None:
    """Fills `out/scenes-train` and `out/scenes-val`; resumable, and independent of any detector.

    Args:
        recipe: Sizes, numbers and seed.
        data_root: Folder of the training data.
        out: Folder of the run.
        zoom: How many times the working size scenes of `zoomed_sizes` have.
        progress: Told after every file.
    """
    sizes = [*recipe.sizes, *((height * zoom, width * zoom) for height, width in recipe.zoomed_sizes)]
    for split, count in (("train", recipe.scenes), ("val", recipe.val_scenes)):
        samplers = [
            SceneSampler(data_root, size, split=split, seed=recipe.seed, mix=recipe.mix.made())
            for size in sizes
        ]
        seed = recipe.seed + (split == "val") * 1_000_003
        made_of = {"sizes": sizes, "mix": recipe.mix.model_dump()}
        cache_scenes(samplers, count, out / f"scenes-{split}", seed, progress, made_of)


def make_caches(
    recipe: PromptRecipe,
    data_root: Path,
    out: Path,
    detector: ChannelDetector,
    progress: Progress | None = None,
) -> None:
    """Fills `out/scores-train` and `out/scores-val` with the detector's score maps; resumable.

    Args:
        recipe: Sizes, numbers and seed.
        data_root: Folder of the training data.
        out: Folder of the run.
        detector: The one whose scores the generator is to read.
        progress: Told after every file.
    """
    make_scenes(recipe, data_root, out, detector.zoom, progress)
    zooms = [1] * len(recipe.sizes) + [detector.zoom] * len(recipe.zoomed_sizes)
    for split, count in (("train", recipe.scenes), ("val", recipe.val_scenes)):
        scenes, scores = out / f"scenes-{split}", out / f"scores-{split}"
        cache_scores(detector, scenes, zooms, count, scores, progress)
