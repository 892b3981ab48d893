import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image

from oodseg.core.errors import ConfigError, DatasetError, OodsegError, ScoreMapError
from oodseg.core.input_warnings import InputWarning
from oodseg.core.prediction import Prediction
from oodseg.data import open_dataset
from oodseg.evaluation import evaluate, evaluate_folder
from oodseg.metrics import S2MCurve, ScoreExtremes, pixel_metrics

SHAPE = (40, 60)


def label_of(seed):
    label = np.zeros(SHAPE, np.uint8)
    label[5:25, 10 + seed : 30 + seed] = 1
    label[30:, :] = 255
    return label


@pytest.fixture
def folder(tmp_path):
    """Three images with one anomaly each; the grey level of the image says which it is."""
    root = tmp_path / "obstacle_set"  # the track with the smaller minimum sizes
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for seed in range(3):
        Image.fromarray(np.full((*SHAPE, 3), 10 * seed, np.uint8)).save(root / "images" / f"p{seed}.png")
        Image.fromarray(label_of(seed)).save(root / "labels" / f"p{seed}.png")
    return root


class FakePipeline:
    """Outlines half of the anomaly with 0.8 and a false alarm with 0.4; its score map has half the size."""

    def __init__(self, shape=SHAPE, scores=True):
        self.calls = []
        self.shape, self.scores = shape, scores

    def __call__(self, path):
        self.calls.append(path.name)
        seed = int(path.stem[1:])
        masks = np.zeros((2, *self.shape), bool)
        masks[0, 5:25, 10 + seed : 20 + seed] = True
        masks[1, 5:15, 45:55] = True
        score = np.random.default_rng(seed).normal(0, 0.1, (20, 30)).astype(np.float32) * 2 - 3
        score[3:12, 6 + seed // 2 : 14 + seed // 2] += 4
        boxes = [[10, 5, 20, 25], [45, 5, 55, 15]]
        return Prediction.from_masks(
            masks, boxes, [0.8, 0.4], path=path, score=score if self.scores else None
        )


def test_a_folder_is_opened(folder):
    pipeline = FakePipeline()
    found = evaluate(str(folder), pipeline, resamples=5)
    assert repr(found).startswith(
        f"<Evaluation of {found.dataset.title}: 3 images, rows: S2M, S2M's detector, "
    )
    by_path = found.to_dict()
    assert by_path == evaluate(open_dataset(folder), pipeline, resamples=5).to_dict()
    assert by_path["dataset"]["frames"] == 3


def test_rows_for_pipeline_detector_and_components(folder):
    pipeline = FakePipeline()
    found = evaluate(open_dataset(folder), pipeline, resamples=50)
    assert pipeline.calls == ["p0.png", "p1.png", "p2.png"]  # each image once, whatever the rows
    assert [(m.name, m.kind) for m in found.methods] == [
        ("S2M", "prompts"), ("S2M's detector", "score"), ("S2M's detector + components", "components"),
    ]  # fmt: skip
    prompts = found.methods[0]
    assert prompts.value("s2m_code", "iou_threshold_free") == pytest.approx(200 / 500)
    assert prompts.value("s2m_code", "iou_best") == pytest.approx(0.5)
    assert prompts.best_thresholds["code"] == pytest.approx(0.4)
    assert prompts.value("instances", "boxes_per_image") == 2
    assert prompts.value("instances", "false_alarms_per_image") == 1
    assert prompts.extremes is None
    assert prompts.by_size["small"] == (3, 3, pytest.approx(0.5))  # 400 px; an IoU of 0.5 is found
    assert prompts.value("components_threshold_free", "ppv") == pytest.approx(0.5)
    assert "instances" not in found.methods[1].figures
    assert found.methods[2].value("instances", "boxes_per_image") > 0


def test_figures_equal_the_metrics_called_by_hand(folder):
    import cv2

    found = evaluate(open_dataset(folder), FakePipeline(), resamples=10).methods[1]
    labels = [label_of(seed) for seed in range(3)]
    pipeline = FakePipeline()
    scores = [
        cv2.resize(
            pipeline(folder / "images" / f"p{seed}.png").score, SHAPE[::-1], interpolation=cv2.INTER_LINEAR
        )
        for seed in range(3)
    ]
    pixel = pixel_metrics(np.stack(scores), np.stack(labels))
    assert found.value("pixel", "auprc") == pytest.approx(pixel.auprc)
    assert found.value("pixel", "fpr95") == pytest.approx(pixel.fpr95)
    extremes, curve = ScoreExtremes(), S2MCurve()
    for score in scores:
        extremes.update(score)
    for score, label in zip(scores, labels, strict=True):
        curve.update(extremes.normalize(score), label)
    assert found.extremes == (extremes.low, extremes.high)
    for preset in ("code", "paper"):
        assert found.value(f"s2m_{preset}", "auiou") == pytest.approx(curve.compute(preset).auiou)


def test_every_interval_holds_its_figure_or_is_absent(folder):
    for method in evaluate(open_dataset(folder), FakePipeline(), resamples=200).methods:
        for family, figures in method.figures.items():
            for name, figure in figures.items():
                if not np.isnan(figure.low):
                    assert figure.low - 5e-3 <= figure.value <= figure.high + 5e-3, (family, name)


def test_the_same_seed_gives_the_same_record(folder):
    first, again, other = (
        evaluate(open_dataset(folder), FakePipeline(), resamples=20, seed=seed).to_dict()
        for seed in (1, 1, 2)
    )
    assert json.dumps(first, allow_nan=False) == json.dumps(again, allow_nan=False)
    assert first != other


def test_flat_dict_for_scripts(folder):
    found = evaluate_folder(folder, FakePipeline(), resamples=10)
    assert set(found) == {"pipeline", "detector"}
    wanted = {"auiou", "iou_threshold_free", "iou_best", "mean_f1", "auprc", "fpr95", "best_threshold"}
    assert wanted <= set(found["detector"])
    assert wanted | {"boxes_per_image", "ap"} <= set(found["pipeline"])


def test_the_gated_score_is_a_row_that_ranks_the_outlined_higher(folder):
    found = evaluate(folder, FakePipeline(), resamples=5, baselines=False, gated=True)
    assert [(each.name, each.kind) for each in found.methods] == [
        ("S2M", "prompts"),
        ("S2M's detector", "score"),
        ("S2M, gated score", "gated"),
    ]
    flat = evaluate_folder(folder, FakePipeline(), resamples=5, gated=True)
    assert set(flat) == {"pipeline", "detector", "gated"}
    # Outlined halves rise above the false alarm, which is less certain; the other halves do not.
    assert flat["gated"]["auprc"] != flat["detector"]["auprc"]
    assert flat["gated"]["auprc"] > flat["pipeline"]["auprc"]


def write_scores(folder, out, suffix=".npy", scale=1.0):
    out.mkdir()
    for label in sorted((folder / "labels").iterdir()):
        truth = np.asarray(Image.open(label)) == 1
        noise = np.random.default_rng(0).normal(0, 0.3, SHAPE)
        np.save(out / f"{label.stem}{suffix}", (scale * (truth + noise)).astype(np.float32))
    return out


def test_score_folders_stand_beside_the_pipeline(folder, tmp_path):
    scores = write_scores(folder, tmp_path / "rpl", scale=20)
    found = evaluate(open_dataset(folder), FakePipeline(), score_folders={"RPL": scores}, resamples=10)
    assert [m.name for m in found.methods][3:] == ["RPL", "RPL + components"]
    assert found.methods[3].value("pixel", "auprc") > 0.9


def test_what_is_wrong_with_score_files_is_said_and_kept(folder, tmp_path):
    scores = write_scores(folder, tmp_path / "maps", scale=-1.0)
    mended = np.load(scores / "p1.npy")
    mended[0, :4] = np.nan
    np.save(scores / "p1.npy", mended)
    (scores / "p2.npy").unlink()
    Image.fromarray(np.arange(40 * 60, dtype=np.uint16).reshape(40, 60).astype(np.uint8)).save(
        scores / "p2.png"
    )
    with pytest.warns(InputWarning) as told:
        found = evaluate(open_dataset(folder), score_folders={"mine": scores}, resamples=10)
    expected = (r"p1\.npy: 4 of 2400 scores were NaN", r"p2\.png has only 256 levels", r"'mine' are lower on")
    for sentences in ([str(each.message) for each in told], found.warnings, found.to_dict()["warnings"]):
        for words in expected:
            assert any(re.search(words, each) for each in sentences), words
    assert len(found.warnings) == len(expected)


def test_small_differences_of_large_scores_count(folder, tmp_path):
    near, far = tmp_path / "near", tmp_path / "far"
    write_scores(folder, near)
    far.mkdir()
    for path in near.iterdir():
        np.save(far / path.name, np.load(path).astype(np.float64) * 1e-3 + 1e6)
    found = evaluate(open_dataset(folder), score_folders={"near": near, "far": far}, resamples=10)
    for method, other in zip(found.methods[:2], found.methods[2:], strict=True):
        for family, figures in method.figures.items():
            for name, figure in figures.items():
                assert other.value(family, name) == pytest.approx(figure.value, abs=2e-3), (family, name)


def test_labels_and_scores_alone_are_enough(folder, tmp_path):
    scores = write_scores(folder, tmp_path / "scores")
    for image in (folder / "images").iterdir():
        image.unlink()
    (folder / "images").rmdir()
    found = evaluate(
        open_dataset(folder), score_folders={"mine": scores}, baselines=False, resamples=10, gallery=2
    )
    assert [m.name for m in found.methods] == ["mine"]
    assert [tile.image for tile in found.tiles] == [None, None]
    with pytest.raises(DatasetError, match=r"p0\.png: a pipeline needs the images"):
        evaluate(open_dataset(folder), FakePipeline())


def test_a_detector_alone(folder):
    import torch

    class Detector:
        name = "brightness"

        def score(self, images):
            return images.mean(1)

    found = evaluate(open_dataset(folder), detector=Detector(), baselines=False, resamples=10)
    assert [m.name for m in found.methods] == ["brightness"]
    assert found.methods[0].extremes == (0.0, pytest.approx(20 / 255))
    assert torch.is_grad_enabled()


def test_a_pipeline_without_score_maps_has_one_row(folder):
    found = evaluate(open_dataset(folder), FakePipeline(scores=False), resamples=10)
    assert [m.kind for m in found.methods] == ["prompts"]


def test_thumbnails_come_worst_first(folder):
    class Worse(FakePipeline):
        def __call__(self, path):
            found = super().__call__(path)
            if path.name == "p1.png":
                return Prediction(path, *SHAPE, (), found.score)
            return found

    found = evaluate(open_dataset(folder), Worse(), resamples=10, gallery=2)
    assert [tile.name for tile in found.tiles] == ["p1", "p0"]
    assert found.tiles[0].boxes == []
    assert not found.tiles[0].mask.any()
    assert len(found.tiles[1].boxes) == 2
    assert found.tiles[1].image.shape == (*SHAPE, 3)


def test_a_pipeline_that_finds_nothing_is_measured_too(folder):
    class Blind(FakePipeline):
        def __call__(self, path):
            return Prediction(path, *SHAPE, (), super().__call__(path).score)

    found = evaluate(open_dataset(folder), Blind(), resamples=10).methods[0]
    assert found.value("s2m_code", "auiou") == 0
    assert found.value("instances", "ap") == 0
    assert found.value("components_threshold_free", "f1_mean") == 0
    assert np.isnan(found.value("components_threshold_free", "ppv"))


def test_a_set_without_anomalies_measures_false_alarms_only(folder):
    for path in (folder / "labels").iterdir():
        Image.fromarray(np.zeros(SHAPE, np.uint8)).save(path)
    found = evaluate(open_dataset(folder), FakePipeline(), resamples=10)
    assert_undefined(found)
    assert found.methods[0].value("instances", "false_alarms_per_image") == 2
    assert any("no image holds an anomaly" in note for note in found.methods[0].notes)


def test_a_set_of_ignore_alone_says_so(folder):
    for path in (folder / "labels").iterdir():
        Image.fromarray(np.full(SHAPE, 255, np.uint8)).save(path)
    found = evaluate(open_dataset(folder), FakePipeline(), resamples=10)
    assert_undefined(found)
    notes = " ".join(found.methods[0].notes)
    assert "no pixel counts (the labels hold ignore alone)" in notes
    assert "false alarms" not in notes


def test_a_set_of_anomaly_and_ignore_alone_measures_nothing(folder):
    for path in (folder / "labels").iterdir():
        label = np.asarray(Image.open(path))
        Image.fromarray(np.where(label == 1, 1, 255).astype(np.uint8)).save(path)
    found = evaluate(open_dataset(folder), FakePipeline(), resamples=10)
    assert_undefined(found)
    assert found.methods[0].value("instances", "boxes_per_image") == 2
    assert any("no in-distribution pixel counts" in note for note in found.methods[0].notes)


def assert_undefined(found):
    """No figure but counts, no interval of one that is undefined, and a record that JSON can hold."""
    assert [m.kind for m in found.methods] == ["prompts", "score"]  # nothing tells where to cut a score
    for method in found.methods:
        for family, figures in method.figures.items():
            for name, figure in figures.items():
                if not name.endswith("_per_image"):
                    assert np.isnan([figure.value, figure.low, figure.high]).all(), (family, name)
        assert np.isnan(list(method.best_thresholds.values())).all()
    json.dumps(found.to_dict(), allow_nan=False)


def test_resamples_without_an_anomaly_are_left_out_of_every_interval(folder):
    for name in ("p1", "p2"):
        Image.fromarray(np.zeros(SHAPE, np.uint8)).save(folder / "labels" / f"{name}.png")

    class Perfect(FakePipeline):
        """Outlines the anomaly of the first image, and a false alarm in the others."""

        def __call__(self, path):
            mask = label_of(0) == 1
            if path.stem != "p0":
                mask = np.zeros(SHAPE, bool)
                mask[5:15, 45:55] = True
            return Prediction.from_masks(mask[None], [[10, 5, 30, 25]], [0.8], path=path, score=mask * 2.0)

    found = evaluate(open_dataset(folder), Perfect(), resamples=200)
    for method in found.methods:
        for family, figures in method.figures.items():
            for name, figure in figures.items():
                if name not in {"boxes_per_image", "false_alarms_per_image", "fpr95"}:
                    assert figure.low > 0, (method.name, family, name)
    note = next(note for note in found.methods[0].notes if "resamples hold no anomaly" in note)
    left_out = int(note.split()[0])
    assert left_out == pytest.approx(200 * (2 / 3) ** 3, abs=25)


def test_the_record_names_set_version_and_definitions(folder):
    record = evaluate(
        open_dataset(folder), FakePipeline(), resamples=10, seed=3, weights_hash="abc"
    ).to_dict()
    digest = hashlib.sha256()
    for seed in range(3):
        digest.update(f"p{seed}".encode() + b"\0" + (folder / "labels" / f"p{seed}.png").read_bytes())
    assert record["dataset"]["fingerprint"] == digest.hexdigest()
    assert (record["seed"], record["weights"], record["oodseg_version"]) == (3, "abc", "0.1.0")
    assert "s2m_code" in record["definitions"]
    assert [p["name"] for p in record["methods"][0]["images"]] == ["p0", "p1", "p2"]


def test_a_wrong_label_shows_before_anything_is_predicted(folder):
    Image.fromarray(np.full(SHAPE, 9, np.uint8)).save(folder / "labels" / "p2.png")
    pipeline = FakePipeline()
    with pytest.raises(DatasetError, match=r"p2\.png holds the label code 9"):
        evaluate(open_dataset(folder), pipeline)
    assert pipeline.calls == []


def test_progress_reaches_its_end(folder):
    seen = []
    evaluate(open_dataset(folder), FakePipeline(), resamples=10, progress=lambda *step: seen.append(step))
    assert seen[0] == ("predicting", 1, 3)
    for stage in ("predicting", "S2M", "S2M's detector"):
        steps = [(done, total) for name, done, total in seen if name == stage]
        assert steps[-1][0] == steps[-1][1]
        assert [done for done, _ in steps] == list(range(1, len(steps) + 1))


def one_missing(folder, tmp_path):
    scores = write_scores(folder, tmp_path / "scores")
    (scores / "p1.npy").unlink()
    return {"score_folders": {"mine": scores}}


def wrong_size(folder, tmp_path):
    scores = write_scores(folder, tmp_path / "scores")
    np.save(scores / "p1.npy", np.random.default_rng(0).random((50, 50)))
    return {"score_folders": {"mine": scores}}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (one_missing, ScoreMapError, "p1"),
        (wrong_size, ScoreMapError, r"p1\.npy"),
        (lambda folder, tmp: {"pipeline": FakePipeline((30, 60))}, DatasetError, r"p0\.png is 60x40"),
        (lambda folder, tmp: {}, ConfigError, "nothing to evaluate"),
        (lambda folder, tmp: {"score_folders": {"mine": tmp / "nowhere"}}, ScoreMapError, "nowhere"),
    ],
)
def test_faults_are_one_sentence(folder, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        evaluate(open_dataset(folder), resamples=10, **options(folder, tmp_path))


def test_a_map_outside_its_contract_names_the_image(folder):
    class Broken(FakePipeline):
        def __call__(self, path):
            found = super().__call__(path)
            found.score[0, 0] = np.nan
            return found

    with pytest.raises(OodsegError, match=r"'p0' cannot be measured: .*finite"):
        evaluate(open_dataset(folder), Broken(), resamples=10)


def test_hidden_truth_cannot_be_measured(tmp_path):
    root = tmp_path / "dataset_AnomalyTrack"
    (root / "images").mkdir(parents=True)
    (root / "labels_masks").mkdir()
    Image.fromarray(np.zeros((*SHAPE, 3), np.uint8)).save(root / "images" / "airplane0000.jpg")
    with pytest.raises(DatasetError, match="no labelled frame"):
        evaluate(open_dataset(root, "test"), FakePipeline())
