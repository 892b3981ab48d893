import pytest

import tiny_models


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """Saves a tiny model once; gives its folder."""
    saved = {}

    def folder(family, **options):
        key = (family, *sorted(options.items()))
        if key not in saved:
            saved[key] = tiny_models.save(family, tmp_path_factory.mktemp(family), **options)
        return saved[key]

    return folder
