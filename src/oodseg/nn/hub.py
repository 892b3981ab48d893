"""Loads transformers models from a local folder, the hub's cache or, where their licence is free, the hub.

Two rules. Only safetensors files are read, so that nothing is ever unpickled. And only weights that
`MODELS` lists under a permissive licence are fetched without being asked for: all others are used once
they lie in a folder or in the hub's cache, where `hf download` puts them.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oodseg.core.errors import ConfigError, MissingDependencyError, WeightsError, cause
from oodseg.core.installing import install_extra, install_package
from oodseg.core.known_models import MODELS, KnownModel
from oodseg.core.texts import read_text
from oodseg.core.weights import check_weights
from oodseg.nn.checkpoints import wrapper_prefix

__all__ = [
    "MODELS",
    "KnownModel",
    "library_class",
    "load_image_settings",
    "load_model",
    "load_processor",
    "transformers",
]

_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def transformers() -> Any:
    """Returns the transformers library.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import transformers as library
    except ImportError:
        raise MissingDependencyError(
            f"models of the hub need transformers: install it with `{install_extra('hub')}`"
        ) from None
    return library


def library_class(name: str) -> Any:
    """Returns a model or an image processor of transformers.

    Args:
        name: Name of the class in the newest transformers: `"Sam2ImageProcessor"`.

    Raises:
        MissingDependencyError: transformers is not installed, or older than the class.
    """
    library = transformers()
    # Before 5.4, those image processors that work on tensors were called ...Fast; some families had no other.
    found = getattr(library, name, None) or getattr(library, f"{name}Fast", None)
    if found is None:
        raise MissingDependencyError(
            f"transformers {library.__version__} has no {name}, which newer versions have: update it with "
            f"`{install_package('--upgrade', 'transformers')}`"
        )
    return found


def load_model(
    model_class: Any,
    source: str,
    *,
    revision: str | None = None,
    unused: tuple[str, ...] = (),
    **options: Any,
) -> Any:
    """Loads a transformers model in float32, for inference.

    Args:
        model_class: A class of transformers, such as `library_class("SamModel")`.
        source: A local folder as `save_pretrained` writes it, or a hub id (`owner/name`).
        revision: Branch, tag or commit on the hub.
        unused: Name prefixes of weights that the class has and never uses, so that a checkpoint
            may lack them.
        options: Passed on to `from_pretrained`.

    Returns:
        The model in evaluation mode, without gradients, on the CPU.

    Raises:
        WeightsError: It is not there and may not or cannot be fetched, is damaged, or is another family's.
    """
    import torch

    folder = Path(source).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise WeightsError(
            f"the folder {source} holds no config.json: give one written by transformers' save_pretrained or "
            "by `hf download`"
        )
    always = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    # Mismatches are reported rather than raised, so that we can say them in a sentence.
    always |= {"ignore_mismatched_sizes": True}
    model, info = _from_pretrained(model_class, source, revision, **always, **_renaming(folder), **options)
    # A tensor missing from the file would silently stay random; buffers are computed, not learned.
    learned = {name for name, _ in model.named_parameters() if not name.startswith(unused)}
    missing = sorted(learned & set(info["missing_keys"]))
    if missing or info["mismatched_keys"]:
        fault = missing[0] if missing else str(next(iter(info["mismatched_keys"]))[0])
        raise WeightsError(
            f"the weights of {source} do not fit {model_class.__name__} (first misfit: {fault}): "
            "name the family that they belong to, and a checkpoint that was trained for segmentation"
        )
    check_weights(dict(model.named_parameters()), f"of {source}")
    return model.eval().requires_grad_(False)


def _renaming(folder: Path) -> dict[str, Any]:
    """Takes off what torch.compile or a wrapper of the training has put before every name in a folder."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "model.safetensors", "pt") as file:
            prefix = wrapper_prefix(file.keys())
    except (OSError, SafetensorError):  # several files, a model of the hub, or damage that is said later
        return {}
    return {"key_mapping": {f"^{re.escape(prefix)}": ""}} if prefix else {}


def load_processor(processor_class: Any, source: str, *, revision: str | None = None, **options: Any) -> Any:
    """Loads a processor or tokenizer of transformers from where `load_model` finds the model.

    Raises:
        WeightsError: See `load_model`.
    """
    return _from_pretrained(processor_class, source, revision, **options)


def load_image_settings(source: str, *, revision: str | None = None) -> dict[str, Any]:
    """Reads `preprocessor_config.json`: how a model wants its images, `image_mean` and `image_std` first.

    Raises:
        WeightsError: See `load_model`.
    """
    folder = Path(source).expanduser()
    known = ("preprocessor_config.json", "processor_config.json")
    if folder.is_dir() and not any((folder / each).is_file() for each in known):
        raise WeightsError(
            f"the folder {source} holds no preprocessor_config.json, which says how the network wants its "
            "images: copy it from the model that this one was fine-tuned from, or write it with that one's "
            f"AutoImageProcessor.from_pretrained(ID).save_pretrained('{source}')"
        )
    reader = transformers().BaseImageProcessor
    settings, _ = _locate(reader.get_image_processor_dict, source, revision)
    for key in ("image_mean", "image_std", "rescale_factor"):
        if not _are_numbers(settings.get(key), one=key == "rescale_factor", above_zero=key != "image_mean"):
            raise WeightsError(
                f"the preprocessor_config.json of {source} has {settings[key]!r} as {key}: copy it from the "
                "model that this one was fine-tuned from"
            )
    return dict(settings)


def _are_numbers(value: Any, one: bool, above_zero: bool) -> bool:
    """Tells whether a setting is left out, one number, or (unless `one`) one for each of three colours."""
    if value is None:
        return True
    several = list(value) if isinstance(value, list | tuple) and not one else [value]
    numbers = [float(each) for each in several if isinstance(each, int | float)]
    usable = all(math.isfinite(each) and (each > 0 or not above_zero) for each in numbers)
    return len(numbers) == len(several) and len(several) in {1, 3} and usable


def _from_pretrained(loaded_class: Any, source: str, revision: str | None, **options: Any) -> Any:
    with _quiet():
        return _locate(loaded_class.from_pretrained, source, revision, **options)


def _locate(load: Callable[..., Any], source: str, revision: str | None, **options: Any) -> Any:
    """Loads from a folder, else from the cache, else (if the licence is free) from the hub."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _attempt(load, str(folder), local_files_only=True, **options)
    if not _ID.fullmatch(source):
        raise WeightsError(
            f"there is no folder {source}: give a folder that holds config.json and model.safetensors, "
            "or the id of a model on the hub (owner/name)"
        )
    options["revision"] = revision or "main"
    try:
        return _attempt(load, source, local_files_only=True, **options)
    except WeightsError as error:
        if not isinstance(error.__cause__, OSError):
            raise
    known = MODELS.get(source)
    if known is None or not known.permissive:
        raise WeightsError(_refusal(source, known))
    print(f"fetching {source} from the hub (weights: {known.weights_licence})", file=sys.stderr)
    try:
        return load(source, **options)
    except Exception as error:  # the hub's client, its network layer and the proxy in between
        raise WeightsError(
            f"the model {source} (weights: {known.weights_licence}) is not on this machine and cannot be "
            f"fetched ({cause(error)}): run `hf download {source}` where there is a network, and "
            "give the folder instead of the id"
        ) from error


def _attempt(load: Callable[..., Any], source: str, **options: Any) -> Any:
    try:
        return load(source, **options)
    except (MissingDependencyError, ConfigError):
        raise
    except ImportError as error:
        raise MissingDependencyError(
            f"the model {source} needs a library that is missing ({cause(error)}): "
            f"install it with `{install_extra('hub')}`"
        ) from error
    except Exception as error:  # JSON, safetensors, key and shape errors come through as they are
        if isinstance(error, OSError) and _only_pickled(source):
            raise WeightsError(
                f"{source} holds pickled weights (pytorch_model.bin) only, which oodseg does not open: "
                "convert them once with transformers' save_pretrained, which writes model.safetensors"
            ) from None
        family = _family(source)
        says = "" if family is None else f" (its config.json says '{family}')"
        raise WeightsError(
            f"the model {source} cannot be loaded ({cause(error)}): "
            f"check that the folder is whole and of the family that you named{says}"
        ) from error


def _family(source: str) -> str | None:
    """What the `config.json` in a folder calls the network; None where it says nothing."""
    try:
        found = json.loads(read_text(Path(source, "config.json"))).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None
    return None if found is None else str(found)


def _only_pickled(source: str) -> bool:
    """Tells whether the folder or the cache has weights, but none in safetensors."""
    from huggingface_hub import try_to_load_from_cache

    folder = Path(source)
    if folder.is_dir():
        return any(folder.glob("*.bin")) and not any(folder.glob("*.safetensors"))
    return isinstance(try_to_load_from_cache(source, "pytorch_model.bin"), str)


def _refusal(source: str, known: KnownModel | None) -> str:
    licence = "unknown to oodseg" if known is None else known.weights_licence
    login = " (after `hf auth login`)" if known is not None and known.gated else ""
    place = "is neither a folder here nor in the cache" if known is None else "is not on this machine"
    return (
        f"the model {source} {place}, and the licence of its weights ({licence}) is for you "
        f"to accept: read https://huggingface.co/{source} and get it with `hf download {source}`{login}"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' progress bar and load report off the terminal; what is wrong, we say ourselves."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def portable_source(source: str) -> str:
    """Returns a source as a saved pipeline names it: folders and files by absolute path, ids unchanged."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else source
