"""How far apart two samples are, and how likely chance alone gives as much."""

from __future__ import annotations

import math
from collections.abc import Sequence

FEWEST = 5  # of the smaller sample that a bin should have for the test to hold


def psi(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the population stability index of two lists of counts: 0 if the shares are equal.

    Half a count is added to each, so that an empty bin does not make it infinite.
    """
    if not sum(before) or not sum(after):
        return 0.0
    old, new = _shares(before), _shares(after)
    return sum((n - o) * math.log(n / o) for o, n in zip(old, new, strict=True))


def chance(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the p-value of the chi-squared test that two lists of counts are from one distribution."""
    old, new = merged(before, after)
    first, second = sum(old), sum(new)
    if len(old) < 2 or not first or not second:
        return 1.0
    statistic = 0.0
    for one, other in zip(old, new, strict=True):
        share = (one + other) / (first + second)
        statistic += (one - share * first) ** 2 / (share * first)
        statistic += (other - share * second) ** 2 / (share * second)
    return chi_squared_above(statistic, len(old) - 1)


def merged(before: Sequence[float], after: Sequence[float]) -> tuple[list[float], list[float]]:
    """Join neighbouring bins until each has enough of the smaller sample for the test to hold."""
    smaller = min(sum(before), sum(after)) / max(sum(before) + sum(after), 1)
    old, new = [0.0], [0.0]
    for one, other in zip(before, after, strict=True):
        old[-1] += one
        new[-1] += other
        if (old[-1] + new[-1]) * smaller >= FEWEST:
            old.append(0.0)
            new.append(0.0)
    last = old.pop(), new.pop()
    if old:
        old[-1] += last[0]
        new[-1] += last[1]
    return old, new


def chi_squared_above(statistic: float, freedom: int) -> float:
    """Return the probability of a larger value of chi-squared: the upper regularized gamma function."""
    shape, x = freedom / 2, statistic / 2
    if x <= 0:
        return 1.0
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:  # a series for the lower part
        term = total = 1 / shape
        n = shape
        while term > total * 1e-12:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - total * scale)
    # Lentz's continued fraction for the upper part
    b = x + 1 - shape
    c, d = 1e300, 1 / b
    fraction = d
    for n in range(1, 1_000):
        a = n * (shape - n)
        b += 2
        d = 1 / (a * d + b)
        c = b + a / c
        fraction *= c * d
        if abs(c * d - 1) < 1e-12:
            break
    return scale * fraction


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts) + len(counts) / 2
    return [(count + 0.5) / total for count in counts]
