"""The scenes that the prompt generator learns on, and the score maps of them."""

from __future__ import annotations

from pathlib import Path

from oodseg.core.progress import Progress
from oodseg.synth.scenes import SceneSampler
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.scene_cache import cache_scenes
from oodseg.training.score_cache import cache_scores
from oodseg.training.score_source import ScoreSource


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
        made_of = {"sizes": sizes, "mix": recipe.mix.composition()}
        cache_scenes(samplers, count, scene_folder(out, split), seed, progress, made_of)


def scene_folder(out: Path, split: str) -> Path:
    """Returns the folder in which a run keeps the scenes of a split, `"train"` or `"val"`."""
    return out / f"scenes-{split}"


def make_caches(
    recipe: PromptRecipe, data_root: Path, out: Path, source: ScoreSource, progress: Progress | None = None
) -> None:
    """Fills `out/scores-train` and `out/scores-val` with score maps; resumable.

    Args:
        recipe: Sizes, numbers and seed.
        data_root: Folder of the training data.
        out: Folder of the run.
        source: Gives the scores that the generator is to read.
        progress: Told after every file.
    """
    make_scenes(recipe, data_root, out, source.zoom, progress)
    zooms = [1] * len(recipe.sizes) + [source.zoom] * len(recipe.zoomed_sizes)
    for split, count in (("train", recipe.scenes), ("val", recipe.val_scenes)):
        scores = out / f"scores-{split}"
        cache_scores(source, split, scene_folder(out, split), zooms, count, scores, progress)
