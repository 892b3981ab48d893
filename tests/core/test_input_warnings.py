import threading
import warnings

import pytest

import oodseg
from oodseg.core.input_warnings import InputWarning, collect_warnings, name_few, shorten, warn_input


def test_in_python_it_is_an_ordinary_warning():
    with pytest.warns(InputWarning, match=r"^a is odd$") as caught:
        warn_input("a is odd")
    assert caught[0].category is oodseg.InputWarning
    with warnings.catch_warnings():
        warnings.simplefilter("error", oodseg.InputWarning)
        with pytest.raises(InputWarning):
            warn_input("a is odd")


def test_every_collector_hears_every_sentence_once():
    with collect_warnings(forward=False), collect_warnings() as outer:
        warn_input("a")
        with collect_warnings() as inner:
            for sentence in ("b", "a", "b"):
                warn_input(sentence)
        warn_input("c")
    assert (outer, inner) == (["a", "b", "c"], ["b", "a"])


def test_a_collector_may_keep_it_to_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with collect_warnings() as outer, collect_warnings(forward=False) as inner:
            warn_input("a")
            with collect_warnings() as innermost:
                warn_input("b")
    assert (outer, inner, innermost) == ([], ["a", "b"], ["b"])


def test_what_ends_in_an_error_is_collected_too():
    with pytest.raises(ZeroDivisionError), collect_warnings(forward=False) as found:  # noqa: PT012
        warn_input("a")
        raise ZeroDivisionError
    assert found == ["a"]
    with pytest.warns(InputWarning):
        warn_input("b")
    assert found == ["a"]


def test_threads_do_not_hear_each_other():
    heard = []

    def other():
        with pytest.warns(InputWarning):
            warn_input("from elsewhere")
        heard.append(True)

    with collect_warnings(forward=False) as found:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert (found, heard) == ([], [True])


def test_sentences_that_differ_in_names_and_numbers_are_shortened():
    many = [f"/maps/street_{k}.png has only {k} levels: write 16 bits" for k in range(5)]
    other = "b.npy: 3 of 12 scores were NaN"
    assert shorten([many[0], other, *many[1:]]) == [
        many[0],
        many[1],
        f"{many[2]} (and 2 more like it)",
        other,
    ]
    assert shorten(many[:3]) == many[:3]
    assert shorten([]) == []


@pytest.mark.parametrize(("count", "said"), [(1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2, ...")])
def test_few_of_many_names_are_named(count, said):
    assert name_few(range(count)) == said
