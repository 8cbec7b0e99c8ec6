"""What a number was within the last so many seconds."""

from __future__ import annotations

from collections import deque


class Ratio:
    """How much one count has grown for each one that another has.

    Args:
        length_s: of the window.
        min_count: the other must have grown by so many; otherwise it is 0.
    """

    def __init__(self, length_s: float, min_count: int) -> None:
        self._length_s = length_s
        self._min_count = min_count
        self._samples: deque[tuple[float, float, int]] = deque()

    def add(self, now: float, part: float, whole: int) -> float:
        """Take both counts as they are now; returns the ratio in the window."""
        samples = self._samples
        samples.append((now, part, whole))
        # The newest sample that is as old as the window is where it begins.
        while len(samples) > 1 and samples[1][0] <= now - self._length_s:
            samples.popleft()
        _, part_before, whole_before = samples[0]
        if whole - whole_before < self._min_count:
            return 0.0
        return (part - part_before) / (whole - whole_before)


class Mean:
    """The mean of the samples in the window."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> float:
        """Take a sample; returns the mean in the window, this one included."""
        samples = self._samples
        samples.append((now, value))
        while samples[0][0] <= now - self._length_s:
            samples.popleft()
        return sum(each for _, each in samples) / len(samples)


class Greatest:
    """The greatest of the samples in the window."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._samples: deque[tuple[float, float]] = deque()  # falling: the others cannot be it

    def add(self, now: float, value: float) -> float:
        """Take a sample; returns the greatest in the window, this one included."""
        samples = self._samples
        while samples and samples[-1][1] <= value:
            samples.pop()
        samples.append((now, value))
        while samples[0][0] <= now - self._length_s:
            samples.popleft()
        return samples[0][1]
