"""Serves the pipeline of `service_app`, slowly: `python served.py PORT FOLDER`."""

import sys
import time

from service_app import models

from oodseg.service.app import create_app
from oodseg.service.server import serve
from oodseg.service.settings import Settings
from redness import Redness

FRAME, LARGE = 0.02, 1.0  # seconds for a frame, and for an image of 400 pixels
SIDE = 400


class SlowRedness(Redness):
    """Takes its time."""

    def score(self, images):
        time.sleep(LARGE if images.shape[-1] == SIDE else FRAME)
        return super().score(images)


def load():
    found = models()
    found.s2m.detector = SlowRedness()
    return found


if __name__ == "__main__":
    settings = Settings(port=int(sys.argv[1]), jobs_folder=sys.argv[2])
    serve(settings, create_app(settings, load))
