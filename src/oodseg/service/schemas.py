"""The answers in JSON, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Model(BaseModel):
    """The model that answered."""

    name: str
    version: str = Field(description="Version of oodseg.")
    sha256: str = Field(description="Checksum of the pipeline's configuration, which names its weights.")


class RunLengths(BaseModel):
    """A mask in COCO's compressed run lengths, column by column."""

    size: tuple[int, int] = Field(description="Height and width.")
    counts: str


class FoundObject(BaseModel):
    """An unknown object."""

    id: int = Field(description="From 1, the surest first.")
    bbox: tuple[int, int, int, int] = Field(description="x, y, width, height of the mask, in pixels.")
    area: int = Field(description="Pixels of the mask.")
    confidence: float = Field(ge=0, le=1)
    segmentation: RunLengths
    kept_by: list[str] = Field(description="Operating points at which it is shown.")


class Found(BaseModel):
    """The unknown objects of an image."""

    id: str = Field(description="Of the request.")
    width: int
    height: int
    seconds: float = Field(description="From the whole request to the answer.")
    operating_point: str
    objects: list[FoundObject]
    warnings: list[str] = Field(description="What was mended in the image, one sentence each.")
    model: Model


class ClassQuality(BaseModel):
    """The estimated quality of one class."""

    name: str
    iou: float | None = Field(description="Estimated IoU; null where the class is not predicted.")


class Interval(BaseModel):
    """An interval that holds the true mean."""

    low: float
    high: float
    level: float = Field(description="Probability that it holds.")
    promise: str = Field(description="The promise and its condition.")


class Judged(BaseModel):
    """The estimated quality of a segmentation of an image."""

    id: str
    width: int
    height: int
    seconds: float
    mean_iou: float | None = Field(description="Estimated mean IoU over the classes in the truth.")
    interval: Interval | None
    error: float = Field(description="Expected share of wrong pixels, 0..1.")
    classes: list[ClassQuality]
    warnings: list[str] = Field(description="What was mended in the image, one sentence each.")
    detector: str = Field(description="Name of the failure detector.")
    version: str


class ProblemDocument(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


class JobDocument(BaseModel):
    """The progress of a video."""

    id: str
    state: Literal["queued", "running", "done", "failed"]
    done: int = Field(description="Frames that are done.")
    total: int | None = Field(description="About how many there are; null if unknown.")
    operating_point: str
    created: float = Field(description="Seconds since 1970.")
    finished: float | None
    objects: int | None = Field(description="Unknown objects found, once it is done.")
    error: str | None = Field(description="Why it failed.")
    files: dict[str, str] = Field(description="Where the results are, by name, once it is done.")
