"""Tells a change in one direction from one of mere chance."""

from __future__ import annotations

from math import comb


def sign_test(risen: int, fallen: int) -> float:
    """Computes how often chance alone gives a change as one-sided as this one: the exact two-sided sign test.

    Of pairs of yes and no it is McNemar's exact test.

    Args:
        risen: Pairs whose second value is larger.
        fallen: Pairs whose second value is smaller; those that are equal say nothing.

    Returns:
        The p-value, 0..1: the probability of it if either direction is as likely for every pair, and pairs
        do not depend on each other.
    """
    pairs = risen + fallen
    tail = sum(comb(pairs, each) for each in range(min(risen, fallen) + 1))
    return min(1.0, float(2 * tail / 2**pairs))
