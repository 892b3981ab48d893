"""`oodseg predict`: outline the unknown objects in images."""

from __future__ import annotations

from typing import Annotated

import typer

from oodseg.cli import compute_options, fleet, loading, predict_options, run_options, videos
from oodseg.cli.choices import ImageFormat, NumberFormat, Precision, Runtime
from oodseg.cli.printing import print_predictions

HELP = """Outline every unknown object in images (files, folders, quoted patterns) or in a video.

There is no threshold to choose. Every image gets a mask, a confidence map and an overlay; \
predictions.json holds all objects of the run in COCO form, objects.csv as a table, and index.html shows \
them, the most confident first. An interrupted run resumes with the same command.

[bold]Examples[/bold]

oodseg predict street.jpg

oodseg predict photos/ 'more/**/*.png' --out found

oodseg predict drive.mp4 --every 2 --start 1:30

oodseg predict photos/ --only-hits --save-crops --masks grabcut

find photos -name '*.jpg' -newer last_time | oodseg predict - --out found

oodseg predict photos/ --detector segformer:my_model+energy --masks sam:facebook/sam-vit-base

Anomaly scores of your own model: oodseg predict photos/ --score-map my_scores/

Millions, into Parquet: oodseg predict s3://bucket/drives --engine ray --out s3://bucket/found
"""


def predict(
    ctx: typer.Context,
    paths: predict_options.PathsArgument,
    out: fleet.OutOption = None,
    pipeline: loading.PipelineOption = "street",
    detector: loading.DetectorOption = None,
    prompts: loading.PromptsOption = None,
    masks: loading.MasksOption = None,
    operating_point: loading.OperatingPointOption = None,
    min_confidence: predict_options.MinConfidenceOption = None,
    min_area: predict_options.MinAreaOption = 0,
    max_objects: predict_options.MaxObjectsOption = None,
    config: loading.ConfigOption = None,
    score_map: predict_options.ScoreMapOption = None,
    score_stats: predict_options.ScoreStatsOption = None,
    ignore_mask: predict_options.IgnoreMaskOption = None,
    confidence_format: predict_options.ConfidenceFormatOption = NumberFormat.PNG,
    fps: videos.FpsOption = None,
    every: videos.EveryOption = 1,
    start: videos.StartOption = 0.0,
    end: videos.EndOption = None,
    overlay: Annotated[bool, typer.Option(help="Draw overlays.")] = True,
    overlay_format: predict_options.OverlayFormatOption = ImageFormat.JPG,
    save_scores: predict_options.SaveScoresOption = None,
    score_out: predict_options.ScoreOutOption = None,
    save_crops: predict_options.SaveCropsOption = False,
    only_hits: predict_options.OnlyHitsOption = False,
    overwrite: run_options.OverwriteOption = False,
    engine: fleet.EngineOption = fleet.Engine.LOOP,
    address: fleet.AddressOption = None,
    workers: fleet.WorkersOption = None,
    threads: loading.ThreadsOption = None,
    device: loading.DeviceOption = "auto",
    precision: compute_options.PrecisionOption = Precision.AUTO,
    size: compute_options.SizeOption = None,
    batch: compute_options.BatchOption = 1,
    runtime: compute_options.RuntimeOption = Runtime.TORCH,
) -> None:
    """Outline every unknown object in images; `HELP` is what the user sees."""
    from oodseg.core.progress import progress_bar
    from oodseg.runs import predict as run

    options = {
        **loading.chosen_pipeline(ctx, config),
        "out": out,
        "operating_point": operating_point,
        "min_confidence": min_confidence,
        "min_area": min_area,
        "max_objects": max_objects,
        "ignore": ignore_mask,
        "device": device,
        "precision": precision.value,
        "size": size,
        "fresh": overwrite,
    }
    predict_options.check(ctx, score_map, overlay)
    if fleet.is_wanted(ctx, engine):
        fleet.predict_on_ray(paths, address, workers, threads, options)
        return
    loading.set_threads(threads)
    options["out"] = fleet.folder(out)
    if cut := videos.chosen_cut(ctx, paths, fps, every, start, end):
        videos.predict_video(paths, overlays=overlay, **cut, **options)
        return
    with progress_bar() as bar:
        found = run(
            paths,
            score_maps=score_map,
            score_stats=score_stats,
            confidence_format=confidence_format.value,
            overlays=overlay_format.value if overlay else None,
            save_scores=None if save_scores is None else save_scores.value,
            score_out=score_out,
            save_crops=save_crops,
            only_hits=only_hits,
            batch=batch,
            progress=bar,
            **options,
        )
    print_predictions(found)
    if found.failures:
        raise typer.Exit(1)
