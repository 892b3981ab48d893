import numpy as np
import pytest

from oodseg.synth.drawn import DOMAINS, draw_scene
from oodseg.synth.drawn_weather import WEATHERS, rain_streaks

SIZE = (128, 192)


@pytest.mark.parametrize("weather", WEATHERS)
def test_weather_and_domain_are_those_asked_for(weather) -> None:
    for k, domain in enumerate(DOMAINS):
        drawn = draw_scene(np.random.default_rng(k), SIZE, 1, domain, weather)
        assert (drawn.domain, drawn.weather) == (domain, weather)
        np.testing.assert_array_equal(drawn.labels == 255, drawn.unknown > 0)


def test_weather_changes_the_image_and_not_the_street() -> None:
    fog, noon = (draw_scene(np.random.default_rng(2), (180, 320), 0, "country", w) for w in ("fog", "noon"))
    sky = noon.labels == 6
    assert sky.mean() > 0.1
    assert fog.image[sky].std() < noon.image[sky].std()


def test_rain_streaks_only_brighten() -> None:
    grey = np.full((90, 160, 3), 80, np.uint8)
    streaked = rain_streaks(grey, np.random.default_rng(0))
    assert (streaked >= grey).all()
    assert 0 < (streaked > grey).any(2).mean() < 0.6


def test_the_shares_are_chances() -> None:
    assert sum(DOMAINS.values()) == pytest.approx(1)
    assert sum(share for share, _ in WEATHERS.values()) == pytest.approx(1)


@pytest.mark.parametrize(("domain", "weather", "message"), [
    ("sea", None, "no domain 'sea': choose one of city, country"),
    (None, "hail", "no weather 'hail': choose one of noon"),
])  # fmt: skip
def test_unknown_names(domain, weather, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw_scene(np.random.default_rng(0), SIZE, 1, domain, weather)
