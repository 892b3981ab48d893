"""The HTTP service: images in, unknown objects out, and the page that shows them."""

from importlib.util import find_spec

from oodseg.core.errors import MissingDependencyError
from oodseg.core.installing import install_extra

__all__: list[str] = []

for _needed in ("fastapi", "uvicorn", "pydantic_settings", "prometheus_client", "python_multipart"):
    if find_spec(_needed) is None:
        raise MissingDependencyError(
            f"the service needs {_needed}: install it with `{install_extra('serve')}`"
        )
