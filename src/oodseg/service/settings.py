"""The settings of the service; every one has an environment variable, `OODSEG_` and its name in capitals."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from oodseg.core.errors import ConfigError
from oodseg.io.sizes import MAX_PIXELS

PREFIX = "OODSEG_"


class Settings(BaseSettings):
    """Holds what the service is told; values given in Python win over the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen at; 0.0.0.0 for all interfaces.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen at; 0 takes a free one.")

    pipeline: str = Field("street", description="Bundled pipeline, or a folder of save_pretrained.")
    failures: str = Field(
        "street", description="Failure detector, as `oodseg failures --detector` takes it; empty for none."
    )
    device: str = Field("auto", description="Device of both, as `oodseg predict --device` takes it.")
    runtime: str = Field(
        "torch", description="Runtime of the pipeline's networks, as `oodseg predict --runtime` takes it."
    )
    threads: int | None = Field(None, ge=1, description="CPU threads of torch; all cores by default.")
    workers: int = Field(
        2,
        ge=1,
        description="Maximum number of images computed at once on a CPU, on shares of its threads.",
    )
    operating_point: str | None = Field(
        None, description="For requests that name none; quiet, or calibrated if there is a guarantee."
    )

    max_upload_bytes: int = Field(20_000_000, ge=1, description="Maximum bytes of a request with an image.")
    max_pixels: int = Field(
        40_000_000, ge=256, le=MAX_PIXELS, description="Maximum pixels of an image, or of a frame of a video."
    )
    queue_length: int = Field(
        64, ge=1, description="Maximum number of requests with an image at once; beyond it 503."
    )
    queue_pixels: int = Field(
        200_000_000, ge=256, description="Maximum pixels decoded at once; further images wait, encoded."
    )
    client_requests: int = Field(
        32, ge=1, description="Maximum number of these from one client; beyond it 429."
    )
    request_seconds: float = Field(60.0, gt=0, description="Seconds until a request is given up; then 503.")
    upload_seconds: float = Field(
        30.0, gt=0, description="Time limit for a request's body in seconds; then 408."
    )
    header_seconds: float = Field(10.0, gt=0, description="Time limit for a request's headers in seconds.")
    shutdown_seconds: float = Field(30.0, gt=0, description="Seconds to finish running requests at shutdown.")
    batch_images: int = Field(
        0, ge=0, description="Maximum batch size of the detector; 0: eight on a GPU, one on a CPU."
    )
    batch_milliseconds: float = Field(
        5.0, ge=0, description="Milliseconds that an image waits for others to join its batch."
    )
    cached_results: int = Field(16, ge=0, description="Results kept in memory; 0 keeps none.")

    api_key: SecretStr | None = Field(
        None, description="Key that requests must send; none is required if empty."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins of other web pages that may send requests, separated by commas, such as https://example.org.",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    jobs_folder: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / f"oodseg-jobs-{os.getuid()}",
        description="Folder of videos and their results; made if missing.",
    )
    max_video_bytes: int = Field(1_000_000_000, ge=1, description="Maximum bytes of a video.")
    max_video_seconds: float = Field(3600.0, gt=0, description="Longest video.")
    video_upload_seconds: float = Field(
        600.0, gt=0, description="Time limit for a video's body in seconds; then 408."
    )
    queued_jobs: int = Field(
        16, ge=1, description="Maximum number of videos waiting or running; beyond it 503."
    )
    job_hours: float = Field(24.0, gt=0, description="Hours after which the results of a video are deleted.")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("api_key", mode="after")
    @classmethod
    def _no_empty_key(cls, key: SecretStr | None) -> SecretStr | None:
        return key if key is not None and key.get_secret_value() else None

    @field_validator("log_level", mode="after")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("is none of debug, info, warning, error")
        return level.lower()


def read_settings(**given: object) -> Settings:
    """Reads the settings from the environment.

    Args:
        **given: Values that win over it; None counts as not given.

    Raises:
        ConfigError: A value that is none, with the name of its variable.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ConfigError(
            f"the setting {name} ({PREFIX}{name.upper()}) cannot be {first['input']!r}: {first['msg']}"
        ) from error
