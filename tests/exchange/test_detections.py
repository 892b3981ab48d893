import numpy as np
import pytest
from label_cases import HEIGHT, SIZE, WIDTH, assert_same, ring

from oodseg.core.errors import ConfigError
from oodseg.exchange import from_supervision, to_supervision

supervision = pytest.importorskip("supervision")


def test_detections_come_back(labelled):
    back = [from_supervision(to_supervision(x), x.name, HEIGHT, WIDTH, x.path) for x in labelled[:2]]
    assert_same(back, labelled[:2], confidence=False)  # those are float32
    assert [each.confidence for each in back[0].objects] == pytest.approx([0.9, 0.75, 0.5])


def test_labels_are_kept_and_empty_masks_dropped():
    masks = np.stack([ring(0, 0, 9), ring(9, 9, 9), np.zeros(SIZE, bool)])
    detections = supervision.Detections(
        xyxy=np.zeros((3, 4)), mask=masks, data={"class_name": np.array(["dog", "ignore", "dog"])}
    )
    image = from_supervision(detections, "x.png", *SIZE)
    assert (image.objects[0].mask == masks[0]).all()
    assert image.objects[0].confidence == 1.0
    assert (image.ignored[0].mask == masks[1]).all()
    assert len(image.objects) == 1


def test_boxes_alone_and_masks_of_another_size_are_refused(labelled):
    detections = to_supervision(labelled[0])
    with pytest.raises(ConfigError, match=r"an image of 60x40 pixels, a\.png has 40x60"):
        from_supervision(detections, "a.png", 60, 40)
    detections.mask = None
    with pytest.raises(ConfigError, match="have boxes only"):
        from_supervision(detections, "a.png", *SIZE)
