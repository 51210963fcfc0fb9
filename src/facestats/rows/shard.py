"""Shards: the rows that one of several processes computes, told by their keys."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHARD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True)
class Shard:
    """One part of `count`, numbered from 0."""

    number: int = 0
    count: int = 1

    def has(self, key: str) -> bool:
        """Whether a row is of this part; each key (hex) is of one, and keys are spread evenly."""
        return int(key[:8], 16) % self.count == self.number


def parse_shard(text: str) -> Shard:
    """The shard that `I/N` names; raises ValueError, with what is possible, for any other text."""
    match = _SHARD.fullmatch(text)
    if not match or not (count := int(match[2])):
        raise ValueError(f"{text!a} is no shard; the first of four is 0/4, the last 3/4")
    if int(match[1]) >= count:
        raise ValueError(
            f"{text!a} is no shard: those of {count} go from 0/{count} to {count - 1}/{count}"
        )
    return Shard(int(match[1]), count)
