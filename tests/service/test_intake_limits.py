"""What is refused, and how."""

import asyncio
import io

import numpy as np
import pytest
from PIL import Image
from service_app import assert_problem, client, encoded

from oodseg.service.intake import Budget
from redness import street
from run_helpers import png_header


@pytest.fixture(scope="module")
def served():
    with client(max_upload_bytes=100_000, max_pixels=200_000, upload_seconds=5) as found:
        yield found


def noise(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_too_many_bytes(served) -> None:
    large = encoded(noise(300, 300))
    assert len(large) > 100_000
    assert_problem(served.post("/v1/predict", content=large), 413, "too-large", "100,000 bytes")
    form = served.post("/v1/predict", files={"image": large})
    assert_problem(form, 413, "too-large")

    def pieces():  # without a Content-Length
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    assert_problem(served.post("/v1/predict", content=pieces()), 413, "too-large")


def test_16_bits(served) -> None:
    buffer = io.BytesIO()
    Image.fromarray(street((20, 20, 60, 60))[:, :, 0].astype(np.uint16) * 257).save(buffer, "png")
    answer = served.post("/v1/predict", content=buffer.getvalue())
    assert answer.status_code == 200
    assert answer.json()["warnings"] == []


def test_decompression_bombs(served) -> None:
    answer = served.post("/v1/predict", content=png_header(20_000, 20_000))
    assert_problem(answer, 413, "too-large", "20000x20000", "200,000")


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"this is no image", 415, "unsupported-type"),
        (b"", 422, "unusable-input"),
        (encoded(street(size=(8, 8))), 422, "unusable-input"),
        (encoded(noise(96, 128))[:9000], 422, "unusable-input"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported-type"),
    ],
)
def test_what_is_no_usable_image(served, content, status, kind) -> None:
    assert_problem(served.post("/v1/predict", content=content), status, kind)
    assert_problem(served.post("/v1/predict", files={"image": ("../../x.png", content)}), status, kind)


def test_other_bodies(served) -> None:
    assert_problem(served.post("/v1/predict", json={}), 415, "unsupported-type", "application/json")
    other = served.post("/v1/predict", files={"picture": encoded()})
    assert_problem(other, 400, "bad-request", "'image'")
    field = served.post("/v1/predict", data={"image": "text"}, files={"other": b""})
    assert_problem(field, 400, "bad-request")
    assert "--form image=@FILE" in field.json()["detail"]
    lost = served.post("/v1/predict", data={"operating_point": "thorough"}, files={"image": encoded()})
    assert_problem(lost, 400, "bad-request", "?operating_point=")
    beside = served.post("/v1/predict", data={"submit": "Send"}, files={"image": encoded()})
    assert beside.status_code == 200
    two = served.post("/v1/predict", files=[("image", encoded()), ("image", encoded())])
    assert_problem(two, 400, "bad-request")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert_problem(served.post("/v1/predict", content=b"--y\r\n", headers=headers), 400, "bad-request")
    headers = {"Content-Type": "multipart/form-data"}
    assert_problem(served.post("/v1/predict", content=b"", headers=headers), 400, "bad-request")


def test_a_video_among_images(served) -> None:
    answer = served.post("/v1/predict", content=b"\0\0\0\x18ftypmp42")
    assert_problem(answer, 415, "unsupported-type", "is a video: send it to /v1/jobs")


def test_the_last_good_request_after_bad_ones(served) -> None:
    served.post("/v1/predict", content=b"bad")
    assert served.post("/v1/predict", content=encoded()).status_code == 200


def test_a_key() -> None:
    with client(api_key="secret") as found:
        assert_problem(found.get("/v1/model"), 401, "unauthorized", "X-API-Key")
        assert found.get("/v1/model").headers["www-authenticate"] == "Bearer"
        assert_problem(found.get("/v1/model", headers={"X-API-Key": "wrong"}), 401, "unauthorized")
        for headers in ({"X-API-Key": "secret"}, {"Authorization": "Bearer secret"}):
            assert found.get("/v1/model", headers=headers).status_code == 200
        assert_problem(found.get("/metrics"), 401, "unauthorized")
        assert found.get("/healthz").status_code == 200


def test_other_origins_are_let_in_by_name_alone() -> None:
    asking = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    with client() as found:
        assert "access-control-allow-origin" not in found.get("/healthz", headers=asking).headers
    with client(cors_origins="https://example.org, https://other.org", api_key="secret") as found:
        answer = found.options("/v1/predict", headers=asking)
        assert answer.headers["access-control-allow-origin"] == "https://example.org"
        stranger = found.get("/healthz", headers={"Origin": "https://evil.org"})
        assert "access-control-allow-origin" not in stranger.headers


def test_request_ids(served) -> None:
    given = served.get("/healthz", headers={"X-Request-ID": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    made = served.get("/healthz", headers={"X-Request-ID": "a\tb" * 40}).headers["x-request-id"]
    assert len(made) == 32


def test_a_budget_serves_in_order() -> None:
    async def run():
        budget, order = Budget(10), []

        async def take(name, amount, hold):
            async with budget.take(amount):
                order.append(name)
                await hold.wait()

        first, others = asyncio.Event(), asyncio.Event()
        others.set()
        tasks = [asyncio.create_task(take("a", 8, first))]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(take(name, n, others)) for name, n in (("b", 99), ("c", 1), ("d", 1))]
        await asyncio.sleep(0)
        assert order == ["a"], "whoever asks for more than all waits for all, and nobody passes"
        tasks[2].cancel()
        first.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order, budget._used

    assert asyncio.run(run()) == (["a", "b", "d"], 0)
