"""What a running app tells of itself."""

import pytest
from service_app import assert_problem, client, encoded, models, pixels

from oodseg import __version__
from oodseg.core.errors import WeightsError


@pytest.fixture(scope="module")
def served():
    with client() as found:
        yield found


def test_health(served) -> None:
    assert served.get("/healthz").json() == {"status": "ok", "version": __version__}
    assert served.get("/readyz").json() == {"status": "ready"}
    assert served.head("/healthz").status_code == served.head("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/predict", "POST"),
        ("DELETE", "/v1/model", "GET"),
        ("PUT", "/v1/jobs/x", "DELETE, GET"),
        ("POST", "/", "GET"),
    ],
)
def test_paths_for_other_methods(served, method, path, allowed) -> None:
    answer = served.request(method, path)
    assert_problem(answer, 405, "not-allowed", f"use {allowed}")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing.html", "/js"])
def test_paths_that_do_not_exist(served, path) -> None:
    assert_problem(served.get(path), 404, "not-found", "/v1/openapi.json")


def test_the_model(served) -> None:
    found = served.get("/v1/model").json()
    assert found["parts"] == {"detector": "redness", "prompts": "choosy", "masks": "box"}
    assert list(found["operating_points"]) == ["quiet", "balanced", "thorough"]
    assert found["operating_points"]["quiet"] == {"least_confidence": 0.99, "false_boxes_per_image": 0.1}
    assert found["failures"]["name"] == "red_is_wrong"
    assert found["limits"]["image_bytes"] == 20_000_000


def test_examples(served) -> None:
    listed = served.get("/v1/examples").json()
    assert {each["objects"] for each in listed} >= {0, 3}
    drawn = served.get(listed[0]["url"])
    assert drawn.headers["content-type"] == "image/jpeg"
    assert pixels(drawn.content).shape == (listed[0]["height"], listed[0]["width"], 3)
    assert_problem(served.get("/v1/examples/nowhere"), 404, "not-found", "city")


def test_the_openapi_document(served) -> None:
    found = served.get("/v1/openapi.json").json()
    predict = found["paths"]["/v1/predict"]["post"]
    assert {"multipart/form-data", "image/*"} <= set(predict["requestBody"]["content"])
    assert {"200", "413", "415", "422", "429", "503"} <= set(predict["responses"])
    assert set(predict["responses"]["200"]["content"]) == {"application/json", "image/png"}
    cancel = found["paths"]["/v1/jobs/{name}"]["delete"]
    assert "Cancels a video" in cancel["description"]
    assert {"204", "404"} <= set(cancel["responses"])
    assert "200" not in cancel["responses"]


def test_counters(served) -> None:
    served.post("/v1/predict", content=encoded())
    served.get("/no/such/place")
    text = served.get("/metrics").text
    assert 'oodseg_requests_total{method="POST",route="/v1/predict",status="200"}' in text
    assert 'route="other"' in text
    assert "/no/such/place" not in text, "paths as they come would be counters without end"
    assert "oodseg_ready 1.0" in text


def test_models_that_cannot_be_loaded() -> None:
    def missing():
        raise WeightsError("there is no pipeline 'nowhere'")

    with client(missing) as found:
        for path in ("/healthz", "/readyz", "/v1/model"):
            assert_problem(found.get(path), 503, "no-models", "nowhere")
        answer = found.post("/v1/predict", content=encoded())
        assert_problem(answer, 503, "no-models")
        assert "retry-after" not in answer.headers, "waiting does not help"


def test_a_calibrated_pipeline_is_asked_at_its_own_point() -> None:
    from oodseg.core.guarantee import Guarantee

    def calibrated():
        found = models()
        found.s2m.guarantee = Guarantee("miss", 0.1, 0.6, 100, "streets")
        return type(found)(found.s2m, found.judge, found.known, "calibrated")

    with client(calibrated) as found:
        answer = found.post("/v1/predict", content=encoded()).json()
        assert answer["operating_point"] == "calibrated"
        assert answer["objects"][1]["kept_by"] == ["thorough", "calibrated"]
        assert "streets" in found.get("/v1/model").json()["promise"]
