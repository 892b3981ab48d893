"""An app around the pipeline that takes whatever is red for unknown, and clients of it."""

import io
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from failure_fakes import RedIsWrong
from oodseg.prompts.components import ComponentPrompts
from oodseg.service.app import create_app
from oodseg.service.models import Models
from oodseg.service.settings import Settings
from redness import make_pipeline, street

BOX, PALE = (20, 30, 60, 70), (80, 10, 110, 40)


LEAST = {"quiet": 0.99, "balanced": 0.9, "thorough": 0.5}


class Choosy(ComponentPrompts):
    """Components of a score, with a confidence that an operating point can refuse."""

    name = "choosy"

    def propose(self, scores, features=None, operating_point="quiet"):
        least = LEAST.get(operating_point, operating_point)
        return [each.above(least) for each in super().propose(scores)]

    def least_confidence(self, operating_point, with_features):
        return LEAST[operating_point]


def models():
    """A pipeline whose generator reads the operating point: red is found readily, pink at `thorough`."""
    s2m = make_pipeline()
    s2m.prompts = Choosy(min_area=20)
    return Models(s2m, RedIsWrong(), {"pipeline_sha256": "0" * 64}, "quiet")


@contextmanager
def client(load=models, **settings):
    """A client of a running app whose models are loaded."""
    with TemporaryDirectory() as folder:
        app = create_app(Settings(**{"jobs_folder": folder, **settings}), load)
        with TestClient(app) as found:
            app.state.service.engine.wait()
            yield found


def scene():
    """A grey street with a red and a pale red box."""
    image = street(BOX)
    x0, y0, x1, y1 = PALE
    image[y0:y1, x0:x1] = (180, 90, 90)  # 3.5 deviations: a confidence of 0.63
    return image


def encoded(image=None, kind="png"):
    """An image as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(scene() if image is None else image).save(buffer, kind)
    return buffer.getvalue()


def pixels(content):
    """An image file's pixels."""
    return np.asarray(Image.open(io.BytesIO(content)))


def assert_problem(response, status, kind, *words):
    """A problem document as RFC 9457 has it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert found["status"] == status
    assert found["type"].endswith(f"#{kind}")
    assert found["title"]
    assert found["request_id"] == response.headers["x-request-id"]
    for word in words:
        assert word in found["detail"], found["detail"]
