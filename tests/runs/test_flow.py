from threading import Event, get_ident

import pytest

from oodseg.runs.flow import DEPTH, Behind, ahead


def test_values_come_in_order_from_another_thread():
    made_in = set()

    def values():
        for number in range(50):
            made_in.add(get_ident())
            yield number

    assert list(ahead(values())) == list(range(50))
    assert made_in != {get_ident()}


def test_it_runs_ahead_by_a_few_values_and_no_more():
    made, full = [], Event()

    def values():
        for number in range(100):
            made.append(number)
            if number == DEPTH + 1:
                full.set()
            yield number

    taken = ahead(values())
    assert next(taken) == 0
    assert full.wait(120)
    assert len(made) == DEPTH + 2  # one taken, the queue full, one at the door
    taken.close()


def test_errors_come_after_the_values_before_them():
    def values():
        yield 1
        raise ValueError("no more")

    taken = ahead(values())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="no more"):
        next(taken)


def test_of_a_camera_the_latest_values_stay():
    made, done = [], Event()

    def values():
        for number in range(20):
            made.append(number)
            yield number
        done.set()

    taken = ahead(values(), latest=True)
    assert next(taken) == 0
    assert done.wait(120)
    rest = list(taken)
    assert rest == sorted(rest)
    assert rest[-1] == 19
    assert len(rest) <= DEPTH + 1


def test_work_is_done_in_order_in_another_thread():
    done, threads = [], set()

    def work(value):
        threads.add(get_ident())
        done.append(value)

    with Behind(work) as behind:
        for number in range(50):
            behind.put(number)
    assert done == list(range(50))
    assert get_ident() not in threads


def test_an_error_of_the_work_reaches_who_hands_it_on():
    def work(value):
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Behind(work) as behind:  # noqa: PT012
        for number in range(100):
            behind.put(number)


def test_an_error_at_the_last_value_is_not_lost():
    def work(value):
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Behind(work) as behind:
        behind.put(1)


def test_where_the_block_fails_what_waits_is_dropped():
    begun, go_on, done = Event(), Event(), []

    def work(value):
        begun.set()
        assert go_on.wait(120)
        done.append(value)

    def fail(behind):
        for number in range(3):
            behind.put(number)
        assert begun.wait(120)
        behind._dropping = True
        go_on.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Behind(work) as behind:
        fail(behind)
    assert done == [0]
