"""Threads are shared among computations."""

import threading

import pytest
import torch

from oodseg.service.shares import Shares


@pytest.fixture
def threads(monkeypatch):
    """A process with eight threads; gives the numbers that were set."""
    found = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    return found


@pytest.mark.parametrize(
    ("workers", "waiting", "expected"), [(1, 9, 8), (2, 0, 8), (2, 1, 4), (2, 9, 4), (3, 9, 2), (99, 9, 1)]
)
def test_a_computation_gets_its_part(threads, workers, waiting, expected) -> None:
    with Shares(workers).take(waiting):
        assert threads == [expected]


def test_one_that_joins_gets_half_and_the_next_alone_all_again(threads) -> None:
    shares = Shares(2)
    with shares.take(0), shares.take(0):
        pass
    with shares.take(0):
        assert threads == [8, 4, 8]


def test_there_are_no_more_workers_than_threads(threads) -> None:
    assert Shares(99).workers == 8


def test_a_number_of_threads_is_each_threads_own() -> None:
    before = torch.get_num_threads()
    thread = threading.Thread(target=torch.set_num_threads, args=(before + 1,))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == before
