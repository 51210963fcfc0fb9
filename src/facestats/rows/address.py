"""The address of a row store in an S3-compatible bucket: `s3://bucket/prefix`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from facestats.errors import InputError

_SCHEME = "s3://"
_ADDRESS = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9.\-_]{1,61}[A-Za-z0-9])((?:/[^/]+)*)/*")


@dataclass(frozen=True, order=True)
class BucketPath:
    """A place in a bucket, with what the store needs of a `Path`.

    Attributes
    ----------
    bucket : str
    key : str
        The prefix, without a slash at its ends; empty for the whole bucket.
    """

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> BucketPath:
        return BucketPath(self.bucket, f"{self.key}/{name}".lstrip("/"))

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> BucketPath:
        """The place above."""
        return BucketPath(self.bucket, self.key.rpartition("/")[0])

    def is_dir(self) -> bool:
        """Whether it can be listed: any prefix can, even with nothing below it."""
        return True

    def is_relative_to(self, other: Any) -> bool:
        """Whether it lies below another place; never in a folder."""
        return isinstance(other, BucketPath) and f"{self}/".startswith(f"{other}/")


def parse_address(text: str) -> BucketPath:
    """The place that `s3://bucket/prefix` names.

    Raises
    ------
    InputError
        It is no such address; the text says what is.
    """
    match = _ADDRESS.fullmatch(text)
    parts = match[2].split("/")[1:] if match else []
    if not match or not text.isprintable() or not {".", ".."}.isdisjoint(parts):
        raise InputError(
            f"{text!a} is no place for the row store: name a folder, such as a disk that all "
            "machines have mounted, or a bucket as s3://bucket/prefix"
        )
    return BucketPath(match[1], "/".join(parts))
