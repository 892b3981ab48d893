"""Failure detectors that need no training, images and volumes to go with them, and the command line."""

import json
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from typer.testing import CliRunner

from oodseg.cli.main import app
from oodseg.failures import FAILURES, Assessment, Judge
from oodseg.failures.detector import SegmenterAssessor
from oodseg.failures.storage import save_failure_detector
from oodseg.metrics import image_dice
from oodseg.segmenters.given import GivenLabels

HEIGHT, WIDTH = 48, 64
STRUCTURES = ("background", "liver", "pancreas")
WINDOW = (0.0, 200.0)


def run(out, *arguments, detector="red_is_wrong"):
    arguments = [str(each) for each in arguments]
    chosen = [] if detector is None else ["--detector", str(detector)]
    return CliRunner().invoke(
        app, ["failures", *arguments, "--out", str(out), *chosen], env={"COLUMNS": "250"}
    )


class RedIsWrong(Judge):
    """Two classes, upper and lower half; whatever is red in the image is wrong."""

    name = "red_is_wrong"
    classes = ("lower", "upper")

    def __init__(self, segmenter=None):
        self.segmenter = segmenter

    def assess(self, image, labels=None):
        pixels = image.numpy()
        labels = np.zeros(pixels.shape[1:], np.uint8)
        labels[: len(labels) // 2] = 1
        error = (pixels[0] - pixels[1:].max(0)).clip(0, 1).astype(np.float32)
        quality = np.array([1 - error[labels == k].mean() for k in (0, 1)], np.float32)
        made = np.rint(255 * (1 - pixels.transpose(1, 2, 0))).astype(np.uint8)
        return self.with_interval(Assessment(labels, error, made, quality, float(quality.mean())))


class GreyIsTruth(SegmenterAssessor):
    """Judges given labels by the image: black is background, grey the liver, white the pancreas."""

    name = "grey_is_truth"

    def measure(self, image, labels=None):
        raise NotImplementedError

    def assess(self, image, labels=None):
        labels = self.segmentation(image, labels).logits[0].argmax(0).numpy().astype(np.uint8)
        truth = np.rint(2 * image[0].numpy()).astype(np.uint8)
        dice = np.nan_to_num(image_dice(labels, truth, 3)).astype(np.float32)
        dice[~np.isin(np.arange(3), labels)] = np.nan
        error = (labels != truth).astype(np.float32)
        return self.with_interval(Assessment(labels, error, None, dice, float(np.nanmean(dice))))


def register(monkeypatch) -> None:
    for each in (RedIsWrong, GreyIsTruth):
        monkeypatch.setitem(FAILURES, each.name, f"failure_fakes:{each.__name__}")


def save_volume_detector(folder: Path, window=WINDOW) -> Path:
    save_failure_detector(GreyIsTruth(GivenLabels(STRUCTURES, window)), folder)
    return folder


def save_image(path: Path, red: int) -> Path:
    """A grey image with a red band of so many columns."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[:, :red] = (255, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def body(shape=(30, 24, 6)):
    """Truth of a fabricated scan, canonical: a liver on the patient's right, a pancreas in the middle."""
    truth = np.zeros(shape, np.uint8)
    truth[18:27, 6:18, 1:5] = 1
    truth[8:15, 10:14, 2:4] = 2
    return truth


def affine_of(axes="RAS", spacing=(0.8, 0.9, 3.0), shape=(30, 24, 6)):
    """Turns a canonical array into the orientation `axes`; returns the function and its affine."""
    canonical = np.diag([*spacing, 1.0])
    canonical[:3, 3] = (-20, 7, 100)
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(canonical), nibabel.orientations.axcodes2ornt(axes)
    )

    def turn(values):
        return nibabel.orientations.apply_orientation(values, change)

    return turn, canonical @ nibabel.orientations.inv_ornt_aff(change, shape)


def save_nifti(path: Path, values, axes="RAS", spacing=(0.8, 0.9, 3.0)) -> Path:
    """Writes canonical values as a file of another orientation."""
    turn, affine = affine_of(axes, spacing, values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(turn(values), affine).to_filename(path)
    return path


def save_scan(path: Path, truth, axes="RAS", spacing=(0.8, 0.9, 3.0)) -> Path:
    """A scan in which structures can be told by their value: 0, 100 and 200."""
    return save_nifti(path, truth.astype(np.int16) * np.int16(100), axes, spacing)


def save_task(root, cases=5, labels=None):
    """A task like Task07_Pancreas, with predictions beside it that miss the liver."""
    root.mkdir(parents=True)
    named = {"0": "background", "1": "liver", "2": "pancreas"} if labels is None else labels
    (root / "dataset.json").write_text(json.dumps({"labels": named}))
    for number in range(cases):
        name, truth = f"pancreas_{number:03d}.nii.gz", np.roll(body(), number, axis=0)
        save_scan(root / "imagesTr" / name, truth, "LPS" if number % 2 else "RAS")
        save_nifti(root / "labelsTr" / name, truth)
        save_nifti(root.parent / "predicted" / name, np.where(truth == 2, truth, 0).astype(np.uint8))
    (root / "imagesTr" / "._pancreas_000.nii.gz").write_bytes(b"left by a Mac")
    return root
