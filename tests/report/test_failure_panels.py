import numpy as np
import pytest

from oodseg.failures import Assessment
from oodseg.report.failure_panels import class_colours, colour_labels, draw_panel, heat_map

CLASSES = tuple(f"class {number}" for number in range(40))


def assessment(height, width, resynthesis=True):
    labels = (np.arange(height * width).reshape(height, width) % 40).astype(np.uint8)
    error = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)
    made = np.zeros((height, width, 3), np.uint8) if resynthesis else None
    return Assessment(labels, error, made, np.ones(40, np.float32), 1.0)


@pytest.mark.parametrize("first", ["background", "road"])
def test_every_class_has_a_colour_of_its_own(first):
    colours = class_colours([first, *CLASSES[1:]])
    assert len(set(colours)) == 40
    assert all(0 <= value <= 255 for colour in colours for value in colour)


def test_background_stays_uncoloured():
    image = np.full((4, 6, 3), 120, np.uint8)
    labels = np.array([[0, 0, 0, 1, 1, 1]] * 4, np.uint8)
    painted = colour_labels(image, labels, ("background", "liver"))
    assert (painted[:, :3] == 120).all()
    assert np.ptp(painted[0, 4].astype(int)) > 40
    assert np.ptp(colour_labels(image, labels, ("road", "car"))[0, 0].astype(int)) > 20


def test_heat_grows_with_the_error():
    image = np.full((1, 11, 3), 200, np.uint8)
    shown = heat_map(image, np.linspace(0, 1, 11, dtype=np.float32)[None]).astype(float).sum(2)[0]
    assert shown[-1] > 600
    assert shown[0] < 300
    assert (np.diff(shown[3:]) > 0).all()


@pytest.mark.parametrize(("blue", "grey"), [(90, True), (91, False)])
def test_the_resynthesis_of_a_grey_image_is_grey(blue, grey):
    found = assessment(240, 240)
    found.resynthesis[...] = (90, 150, 60)
    image = np.full((240, 240, 3), 90, np.uint8)
    image[0, 0, 2] = blue
    third = 8 + 2 * (512 + 8) + 256
    shown = draw_panel(image, found, CLASSES)[28 + 256, third]
    assert shown.tolist() == ([100, 100, 100] if grey else [90, 150, 60])


@pytest.mark.parametrize("resynthesis", [True, False])
@pytest.mark.parametrize(
    ("height", "width", "tile"),
    [(360, 480, (384, 512)), (2160, 3840, (288, 512)), (60, 16, (240, 240)), (1024, 64, (512, 240))],
)
def test_panels_of_all_shapes(height, width, tile, resynthesis):
    image = np.full((height, width, 3), 90, np.uint8)
    panel = draw_panel(image, assessment(height, width, resynthesis), CLASSES)
    tiles = 4 if resynthesis else 3
    assert panel.dtype == np.uint8
    assert panel.shape[1] == tiles * tile[1] + (tiles - 1) * 8 + 16
    assert panel.shape[0] > 28 + tile[0] + 28
    assert panel[:28, 8 : 8 + tile[1]].max() > 200, "a title over the first tile"
    assert (panel[28 + tile[0] // 2, 8 + tile[1] // 2] == 90).all()
