import csv
import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from oodseg.cli.datasets import datasets_app
from oodseg.cli.evaluate import evaluate
from oodseg.core.errors import ConfigError, OodsegError
from oodseg.core.prediction import Prediction

SHAPE = (40, 60)


@pytest.fixture
def app():
    application = typer.Typer()
    application.command("evaluate")(evaluate)
    application.add_typer(datasets_app, name="datasets")
    return application


@pytest.fixture
def street(monkeypatch):
    """Stands in for the bundled pipeline."""

    class Fake:
        def __init__(self, operating_point):
            self.operating_point = operating_point or "quiet"

        @classmethod
        def from_pretrained(cls, name, device, operating_point=None, ignore=None):
            assert name == "street"
            return cls(operating_point)

        def __call__(self, path):
            masks = np.zeros((1, *SHAPE), bool)
            masks[0, 5:25, 10:30] = True
            score = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
            return Prediction.from_masks(masks, [[10, 5, 30, 25]], [0.9], path=path, score=score)

    monkeypatch.setattr("oodseg.runs.loading.S2M", Fake)


def make_set(root, images=True):
    label = np.zeros(SHAPE, np.uint8)
    label[5:25, 10:25] = 1
    for name in ("a", "b"):
        (root / "labels").mkdir(parents=True, exist_ok=True)
        Image.fromarray(label).save(root / "labels" / f"{name}.png")
        if images:
            (root / "images").mkdir(exist_ok=True)
            Image.fromarray(np.full((*SHAPE, 3), 90, np.uint8)).save(root / "images" / f"{name}.png")
    return root


def make_scores(folder):
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", np.random.default_rng(1).random(SHAPE))
    return folder


def run(app, *arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_table_json_csv_and_page(app, street, tmp_path):
    data = make_set(tmp_path / "road_anomaly")
    done = run(app, "evaluate", data, "--out", tmp_path / "out", "--resamples", 20, "--seed", 7)
    assert done.exit_code == 0
    for word in ("AuIoU", "S2M (street)", "S2M (street)'s detector + components", "S2M (RPL) *", "published",
                 "taken for RoadAnomaly"):  # fmt: skip
        assert word in done.output
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    (one,) = record["datasets"]
    assert one["seed"] == 7
    assert one["methods"][0]["figures"]["s2m_code"]["iou_threshold_free"]["value"] == pytest.approx(0.75)
    assert {row["split"] for row in record["published"]} == {"validation"}
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["method"] == "S2M (street)"
    assert float(rows[0]["iou_threshold_free"]) == pytest.approx(0.75)
    assert any(row["origin"].startswith("published") for row in rows)
    assert "<h2>road_anomaly</h2>" in (tmp_path / "out" / "report.html").read_text()


def test_another_operating_point_is_named_in_the_table(app, street, tmp_path):
    data = make_set(tmp_path / "road_anomaly")
    options = ["--out", tmp_path / "out", "--resamples", 5, "--no-report", "--operating-point", "thorough"]
    assert "S2M (street, thorough)" in run(app, "evaluate", data, *options).output


def test_several_sets_get_a_mean(app, street, tmp_path):
    sets = [make_set(tmp_path / name) for name in ("one", "two")]
    done = run(
        app, "evaluate", *sets, "--out", tmp_path / "out", "--resamples", 5, "--no-report", "--no-baselines"
    )
    assert "mean over sets" in done.output
    assert not (tmp_path / "out" / "report.html").exists()
    assert "+ components" not in done.output


def test_labels_and_score_files_alone(app, tmp_path):
    data, scores = make_set(tmp_path / "set", images=False), make_scores(tmp_path / "rpl")
    done = run(app, "evaluate", data, "--scores", scores, "--out", tmp_path / "out", "--resamples", 5)
    assert done.exit_code == 0
    assert " rpl " in done.output
    assert (
        "S2M"
        not in json.loads((tmp_path / "out" / "results.json").read_text())["datasets"][0]["methods"][0][
            "name"
        ]
    )


def test_scores_can_be_named_and_lie_in_a_folder_a_set(app, tmp_path):
    sets = [make_set(tmp_path / name) for name in ("one", "two")]
    for name in ("one", "two"):
        make_scores(tmp_path / "rpl" / name)
    done = run(app, "evaluate", *sets, "--pipeline", "none", "--scores", f"RPL 23={tmp_path / 'rpl'}",
               "--out", tmp_path / "out", "--resamples", 5, "--preset", "paper")  # fmt: skip
    assert done.exit_code == 0
    assert "RPL 23" in done.output
    assert "preset paper" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "best"], "choose one of code, paper"),
        (["--scores", "x=a", "--scores", "x=b"], "two folders of scores"),
        (["--pipeline", "none"], "nothing to evaluate"),
        (["--split", "val"], "no split 'val'"),
        (["--pipeline", "none", "--with-masks"], "the masks for scores are those of a pipeline"),
        (["--pipeline", "none", "--masks", "box"], "chosen for a pipeline that is named"),
        (["--pipeline", "none", "--size", "640"], "chosen for a pipeline that is named"),
        (["--pipeline", "none", "--gated"], "the gated score is one of a pipeline"),
    ],
)
def test_bad_arguments_are_one_sentence(app, tmp_path, arguments, message):
    data = make_set(tmp_path / "set")
    with pytest.raises(OodsegError, match=message):
        run(app, "evaluate", data, *arguments, "--out", tmp_path / "out")


def test_several_sets_need_a_folder_of_scores_each(app, tmp_path):
    sets = [make_set(tmp_path / name) for name in ("one", "two")]
    with pytest.raises(ConfigError, match="no folder one"):
        run(app, "evaluate", *sets, "--pipeline", "none", "--scores", make_scores(tmp_path / "rpl"))


def test_what_the_figures_depend_on_is_said(app, street, tmp_path):
    data, out = make_set(tmp_path / "set"), tmp_path / "out"
    options = ["--out", out, "--resamples", 5, "--no-report", "--limit", 1, "--explain"]
    said = run(app, "evaluate", data, *options).output
    (one,) = json.loads((out / "results.json").read_text())["datasets"]
    assert one["dataset"]["frames"] == 1
    assert one["dataset"]["fingerprint"] in said
    for words in ("label code 1", "code: S2M's released code", "pooled over all pixels", "5 resamples",
                  '"pipeline": "street"', "1 of 2 labelled images"):  # fmt: skip
        assert words in said
    assert "S2M's Eq. 9" not in said, "that is the other preset"


def test_datasets_list_and_verify(app, tmp_path):
    listed = run(app, "datasets", "list")
    assert "street_hazards" in listed.output
    checked = run(app, "datasets", "verify", make_set(tmp_path / "set"))
    assert checked.exit_code == 0
    for word in ("2 labelled", "label code 1", "anomaly", "fingerprint"):
        assert word in checked.output


def test_verify_names_the_file_with_a_wrong_code(app, tmp_path):
    data = make_set(tmp_path / "set")
    Image.fromarray(np.full(SHAPE, 9, np.uint8)).save(data / "labels" / "b.png")
    with pytest.raises(OodsegError, match=r"b\.png holds the label code 9"):
        run(app, "datasets", "verify", data)


def test_verify_goes_on_after_a_folder_that_is_none(app, tmp_path):
    good, bad = make_set(tmp_path / "good"), tmp_path / "bad"
    bad.mkdir()
    checked = run(app, "datasets", "verify", bad, tmp_path / "none", good)
    assert checked.exit_code == 1
    assert "2 labelled" in checked.output
    for words in (f"{tmp_path / 'none'}", "2 of 3 folders cannot be used"):
        assert words in checked.stderr
    assert run(app, "datasets", "verify", good, good).exit_code == 0


def test_the_set_that_needs_no_download(app, tmp_path, monkeypatch):
    from oodseg.synth import benchmark

    class Truth:
        """A pipeline that outlines the truth."""

        operating_point = "quiet"

        @classmethod
        def from_pretrained(cls, name, device, operating_point=None, ignore=None):
            return cls()

        def __call__(self, path):
            label = np.asarray(Image.open(path.parent.parent / "labels" / path.name)) > 0
            masks = label[None] if label.any() else np.zeros((0, *label.shape), bool)
            score = label.astype(np.float32)
            boxes = np.tile([[0, 0, 9, 9]], (len(masks), 1))
            return Prediction.from_masks(masks, boxes, [0.9] * len(masks), path=path, score=score)

    monkeypatch.setattr("oodseg.runs.loading.S2M", Truth)
    scenes = [benchmark.plan()[number] for number in (0, 1, 24, 25)]
    monkeypatch.setattr(benchmark, "plan", lambda: [dict(scene) for scene in scenes])
    monkeypatch.chdir(tmp_path)
    done = run(app, "evaluate", "synthetic", "--out", "out", "--resamples", 5)
    assert done.exit_code == 0
    for words in (
        "Drawn streets, synthetic-1+",
        "weather rain",
        "objects 1",
        "2 of 4 images hold no anomaly",
        "are not those of synthetic-1",
    ):
        assert words in done.output
    (one,) = json.loads((tmp_path / "out" / "results.json").read_text())["datasets"]
    kinds = one["methods"][0]["by_group"]
    assert list(kinds) == ["domain", "weather", "objects"]
    assert kinds["weather"]["rain"]["images"] == 2
    assert kinds["objects"]["1"]["iou_threshold_free"] == pytest.approx(1.0)
    assert kinds["objects"]["0"]["iou_threshold_free"] is None
    assert kinds["objects"]["0"]["false_alarms"] == 0
    assert "by kind of image" in (tmp_path / "out" / "report.html").read_text()
    # What was drawn is a folder like any other.
    again = run(app, "evaluate", tmp_path / "out" / "synthetic-1", "--out", "again", "--resamples", 5)
    assert again.exit_code == 0
    assert run(app, "datasets", "verify", tmp_path / "out" / "synthetic-1").exit_code == 0
