"""The errors that a user can meet. Each message says what was wrong, where, and what to do about it."""


class FaceStatsError(Exception):
    """A mistake or a lack that the user can mend. Stages print it without a traceback and exit with 1."""


class ParamsError(FaceStatsError):
    """`params.yaml` holds an unknown key, a wrong type or an impossible value."""


class InputError(FaceStatsError):
    """A file or a folder that the user gave is missing or not what was expected."""


class LabelError(InputError):
    """A label file has a value that can't be used: names file, line, column and value."""


class TableError(FaceStatsError):
    """A table lacks a column or has one of the wrong type."""


class ModelError(FaceStatsError):
    """Model weights can't be had, or are not what they should be."""


class ImageError(FaceStatsError):
    """One image can't be used; its text is the `reason` in `faces.parquet`."""
