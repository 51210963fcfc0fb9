"""Whether composites, differences and the final table are of the run that made the models.

The stage `composites_manifest` wrote their hashes after all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facestats.core.layout import COMPOSITES, COMPOSITES_MANIFEST, FINAL_TABLE
from facestats.errors import ModelError
from facestats.pairs.manifest import FILES, models_sha256
from facestats.serving.checks import read_facts
from facestats.serving.manifest import OF_TWO_RUNS, MixedPartsError, check

if TYPE_CHECKING:
    from facestats.serving.models import Models


@dataclass(frozen=True)
class CompositesManifest:
    """The content of `composites.json`, read before the files that it names.

    Attributes
    ----------
    root : Path
        Folder of the project.
    files : dict of str to str
        sha256 by path.
    """

    root: Path
    files: dict[str, str]

    @classmethod
    def read(cls, models: Models) -> CompositesManifest:
        """Read the manifest of the project that models are of.

        Raises
        ------
        ModelError
            It is missing or damaged.
        MixedPartsError
            It is of another run than the models.
        """
        path = models.root / COMPOSITES_MANIFEST
        facts: dict[str, Any] = read_facts(path, "models_sha256", "files")
        files = facts["files"]
        if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
            raise ModelError(f"{path} is damaged; remove it and run `dvc repro`")
        if facts["models_sha256"] != models_sha256(models.parts.manifest.parts):
            raise MixedPartsError(f"{path} is not of the run that made the models; {OF_TWO_RUNS}")
        return cls(models.root, files)

    def check_folders(self, names: Iterable[str]) -> None:
        """Check what was read of composites and differences, by their names.

        Raises
        ------
        MixedPartsError
            A file was drawn by another run.
        """
        self._check(COMPOSITES / name / file for name in names for file in FILES)

    def check_final(self) -> None:
        """Check the final table; raises `MixedPartsError` for that of another run."""
        self._check([FINAL_TABLE])

    def _check(self, paths: Iterable[Path]) -> None:
        wanted = [path.as_posix() for path in paths]
        for path in wanted:
            if path not in self.files and (self.root / path).is_file():
                raise MixedPartsError(
                    f"{self.root / COMPOSITES_MANIFEST} does not name {path}; {OF_TWO_RUNS}"
                )
        named = {path: self.files[path] for path in wanted if path in self.files}
        check(self.root, named, manifest=COMPOSITES_MANIFEST)
