import pytest
import torch

from oodseg.core.errors import ConfigError
from oodseg.detectors.street import StreetDetector
from oodseg.segmenters.street import StreetNet
from oodseg.segmenters.street_ensemble import StreetEnsemble

WIDTHS = (4, 8, 8, 12, 16)


def network(seed, **options):
    torch.manual_seed(seed)
    return StreetNet(WIDTHS, (1, 1, 1, 1), **options).eval()


def images(height=64, width=96):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_logits_and_objectness_are_the_means_of_the_members() -> None:
    members = [network(0), network(1), network(2)]
    with torch.inference_mode():
        logits, objectness = StreetEnsemble(members)(images())
        each = [member(images()) for member in members]
    torch.testing.assert_close(logits, sum(found for found, _ in each) / 3)
    torch.testing.assert_close(objectness, sum(found for _, found in each) / 3)


def test_the_first_member_shows_its_features() -> None:
    members = [network(0), network(1)]
    detectors = [StreetDetector(each) for each in (members[0], StreetEnsemble(members))]
    alone, together = (detector.look(images()) for detector in detectors)
    assert detectors[1].feature_channels == detectors[0].feature_channels
    assert [each.shape[1] for each in together.features] == list(detectors[1].feature_channels)
    for ours, theirs in zip(together.features, alone.features, strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(detectors[1].encode(images()), detectors[0].encode(images()))
    assert not torch.allclose(together.scores, alone.scores)


@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_segments_as_the_members_do_on_average(size) -> None:
    members = [network(0, objectness=False), network(1, objectness=False)]
    found = StreetEnsemble(members).segment(images(*size))
    expected = sum(member.segment(images(*size)).logits for member in members) / 2
    torch.testing.assert_close(found.logits, expected)
    with torch.inference_mode():
        torch.testing.assert_close(StreetEnsemble(members).classify(found.features), found.logits)


@pytest.mark.parametrize(("members", "says"), [
    (lambda: [network(0)], "at least two members, not 1"),
    (lambda: [network(0), network(1, objectness=False)], "share classes and objectness"),
    (lambda: [network(0), network(1, classes=["drivable", "sky"])], "share classes and objectness"),
])  # fmt: skip
def test_members_must_fit_together(members, says) -> None:
    with pytest.raises(ConfigError, match=says):
        StreetEnsemble(members())
