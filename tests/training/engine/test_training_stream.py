import numpy as np
import pytest

from oodseg.training.engine.stream import stream_loader


@pytest.mark.parametrize("workers", [0, 2])
def test_the_stream_is_the_same_with_any_number_of_workers(workers):
    loader = iter(stream_loader(lambda index: index, batch_size=3, start=6, workers=workers))
    batches = [next(loader).tolist() for _ in range(5)]
    assert np.concatenate(batches).tolist() == list(range(6, 21))


def test_a_sample_may_be_a_batch_and_a_batch_a_list():
    loader = iter(stream_loader(lambda index: index, batch_size=None, start=2, workers=0))
    assert [next(loader) for _ in range(3)] == [2, 3, 4]
    loader = iter(stream_loader(str, batch_size=2, workers=0, collate="-".join))
    assert [next(loader) for _ in range(2)] == ["0-1", "2-3"]
