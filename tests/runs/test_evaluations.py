import json
import shutil
from functools import partial

import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import ConfigError, DatasetError
from oodseg.pipeline import S2M
from oodseg.runs import evaluate_sets
from redness import HEIGHT, WIDTH, make_pipeline, register, save_pipeline, save_street
from run_helpers import count_calls

BOXES = ((20, 30, 34, 44), (70, 20, 84, 34), (40, 60, 56, 72))


@pytest.fixture
def red_set(tmp_path):
    """Three grey images with one small red rectangle each, which is the anomaly."""
    folder = tmp_path / "red_set"
    (folder / "labels").mkdir(parents=True)
    for number, box in enumerate(BOXES):
        save_street(folder / "images" / f"{number}.png", box)
        Image.fromarray(truth(box)).save(folder / "labels" / f"{number}.png")
    return folder


@pytest.fixture
def scores(tmp_path):
    """Good score maps of any scale, at half the size."""
    folder = tmp_path / "scores"
    folder.mkdir()
    for number, box in enumerate(BOXES):
        noise = np.random.default_rng(number).normal(0, 0.1, (HEIGHT // 2, WIDTH // 2))
        np.save(folder / f"{number}.npy", 40 * truth(box)[::2, ::2] + noise - 7)
    return folder


def truth(box):
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    x0, y0, x1, y1 = box
    label[y0:y1, x0:x1] = 1
    return label


def test_scores_with_masks_stand_beside_the_scores_alone(red_set, scores, tmp_path):
    pipeline = make_pipeline()
    run = evaluate_sets(
        [red_set], pipeline, tmp_path / "out", scores={"mine": scores}, with_masks=True, resamples=5
    )
    (found,) = run.evaluations
    rows = {method.name: method for method in found.methods}
    assert list(rows)[:1] + list(rows)[3:] == ["S2M (red)", "mine + S2M", "mine", "mine + components"]
    assert rows["mine + S2M"].kind == "prompts"
    assert rows["mine + S2M"].value("instances", "ap50") == 1
    assert rows["mine + S2M"].value("s2m_code", "iou_threshold_free") > 0.9
    kept = np.mean([np.load(path).mean() for path in scores.iterdir()])
    assert found.meta["score_statistics"]["mine + S2M"]["mean"] == pytest.approx(kept, rel=1e-3)
    assert found.meta["scores"] == {"mine": str(scores)}


def test_scores_of_nothing_have_no_objects_to_outline(red_set, scores, tmp_path):
    for path in scores.iterdir():
        np.save(path, np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32))
    run = evaluate_sets(
        [red_set], make_pipeline(), tmp_path / "out", scores={"mine": scores}, with_masks=True, resamples=5
    )
    rows = {method.name: method for method in run.evaluations[0].methods}
    assert rows["S2M (red)"].value("instances", "ap50") == 1
    assert rows["mine + S2M"].value("instances", "ap50") == 0


def test_masks_need_scores_images_and_a_pipeline(red_set, scores, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="no scores to outline"):
        evaluate_sets([red_set], make_pipeline(), out, with_masks=True)
    with pytest.raises(ConfigError, match="name one that is an S2M"):
        evaluate_sets([red_set], lambda path: None, out, scores={"mine": scores}, with_masks=True)
    shutil.rmtree(red_set / "images")
    with pytest.raises(DatasetError, match=r"0\.png: a pipeline needs the images"):
        evaluate_sets([red_set], make_pipeline(), out, scores={"mine": scores}, with_masks=True)


def test_parts_of_a_named_pipeline_can_be_replaced(red_set, tmp_path, monkeypatch):
    register(monkeypatch)
    saved, out = save_pipeline(tmp_path / "red"), tmp_path / "out"
    evaluate_sets([red_set], saved, out, masks="grabcut", prompts={"name": "components"}, resamples=5)
    (one,) = json.loads((out / "results.json").read_text())["datasets"]
    assert one["methods"][0]["name"] == "S2M (red, prompts components, masks grabcut)"
    assert one["pipeline"]["masks"] == "grabcut"
    with pytest.raises(ConfigError, match="a pipeline that is named"):
        evaluate_sets([red_set], make_pipeline(), out, masks="grabcut")
    with pytest.raises(ConfigError, match="a pipeline that is named"):
        evaluate_sets([red_set], make_pipeline(), out, operating_point="thorough")


def test_a_limit_is_spread_and_noted(red_set, tmp_path):
    run = evaluate_sets([red_set], make_pipeline(), tmp_path / "out", limit=2, resamples=5)
    (found,) = run.evaluations
    assert [image.name for image in found.methods[0].images] == ["0", "1"]
    assert "2 of 3 labelled images, spread evenly: no figure of the whole set" in found.dataset.notes
    whole = evaluate_sets([red_set], make_pipeline(), tmp_path / "out", limit=3, resamples=5)
    assert whole.evaluations[0].fingerprint != found.fingerprint
    assert not whole.evaluations[0].dataset.notes


def figures(run):
    # As text, in which what is undefined equals itself.
    return [repr((method.name, method.figures, method.images)) for method in run.evaluations[0].methods]


def test_an_interrupted_evaluation_goes_on_and_ends_with_the_same_figures(red_set, tmp_path, monkeypatch):
    whole = evaluate_sets([red_set], make_pipeline(), tmp_path / "whole", resamples=5, report=False)
    calls = count_calls(monkeypatch)

    def stop(stage, done, total):
        if "predicting" in stage and done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt, match=r"kept in .*kept; run the same command again to go on"):
        evaluate_sets([red_set], make_pipeline(), out, resamples=5, report=False, progress=stop)
    assert [path.name for path in calls] == ["0.png", "1.png"]
    again = evaluate_sets([red_set], make_pipeline(), out, resamples=5, report=False)
    assert [path.name for path in calls] == ["0.png", "1.png", "2.png"]
    assert figures(again) == figures(whole)
    evaluate_sets([red_set], make_pipeline(), out, resamples=7, preset="paper", report=False)
    assert len(calls) == 3


def test_what_changed_starts_anew(red_set, scores, tmp_path, monkeypatch):
    calls, out = count_calls(monkeypatch), tmp_path / "out"
    options = {"scores": {"mine": scores}, "with_masks": True, "resamples": 5, "report": False}
    evaluate_sets([red_set], make_pipeline(), out, **options)
    assert len(calls) == 6  # by its own detector, and with the scores
    save_street(red_set / "images" / "1.png", (10, 10, 60, 60))
    evaluate_sets([red_set], make_pipeline(), out, **options)
    assert [path.name for path in calls[6:]] == ["1.png", "1.png"]
    np.save(scores / "2.npy", np.load(scores / "2.npy")[::-1])
    evaluate_sets([red_set], make_pipeline(), out, score_stats={"mine": (-7, 0.1)}, **options)
    calls_before = len(calls)
    np.save(scores / "0.npy", np.load(scores / "0.npy") + 0.01)
    evaluate_sets([red_set], make_pipeline(), out, score_stats={"mine": (-7, 0.1)}, **options)
    assert [path.name for path in calls[calls_before:]] == ["0.png"]
    other = make_pipeline()
    other.prompts.min_area = 21
    calls_before = len(calls)
    evaluate_sets([red_set], other, out, resamples=5, report=False)
    assert len(calls) - calls_before == 3


def test_a_damaged_file_of_what_is_kept_is_made_again(red_set, tmp_path, monkeypatch):
    out = tmp_path / "out"
    evaluate_sets([red_set], make_pipeline(), out, resamples=5, report=False)
    record, *_ = sorted((out / "kept").rglob("*.json"))
    record.write_text(record.read_text()[:40])
    sorted((out / "kept").rglob("*.npy"))[-1].unlink()
    calls = count_calls(monkeypatch)
    evaluate_sets([red_set], make_pipeline(), out, resamples=5, report=False)
    assert len(calls) == 2


def test_a_pipeline_of_which_nothing_is_known_is_not_kept(red_set, tmp_path):
    pipeline = partial(S2M.__call__, make_pipeline())
    run = evaluate_sets([red_set], pipeline, tmp_path / "out", resamples=5, report=False)
    assert run.evaluations[0].methods[0].value("instances", "ap50") == 1
    assert not (tmp_path / "out" / "kept").exists()


def test_statistics_of_scores_are_chosen_by_name(red_set, scores, tmp_path):
    options = {"scores": {"mine": scores, "other": scores}, "resamples": 5, "report": False}
    run = evaluate_sets(
        [red_set],
        make_pipeline(),
        tmp_path,
        with_masks=True,
        score_stats={"": "0,1", "mine": (-7, 2)},
        **options,
    )
    found = run.evaluations[0].meta["score_statistics"]
    assert found == {"mine + S2M": {"mean": -7, "std": 2}, "other + S2M": {"mean": 0, "std": 1}}
    with pytest.raises(ConfigError, match="for the masks that they get: ask for these"):
        evaluate_sets([red_set], make_pipeline(), tmp_path, score_stats={"": "0,1"}, **options)
    with pytest.raises(ConfigError, match="there are no scores 'yours' to have statistics"):
        evaluate_sets(
            [red_set], make_pipeline(), tmp_path, with_masks=True, score_stats={"yours": "0,1"}, **options
        )
