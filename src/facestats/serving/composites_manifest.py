"""Whether composites, differences and the final table are of the run that made the models.

The stage `composites_manifest` wrote their hashes after all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facestats.core.fingerprint import sha256_json
from facestats.core.layout import COMPOSITES, COMPOSITES_MANIFEST, FINAL_TABLE
from facestats.core.manifests import FILES
from facestats.core.tables.parts import listed_files, table_of
from facestats.serving.manifest import OF_TWO_RUNS, MixedPartsError, check
from facestats.serving.run_manifest import read_run_manifest

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
        files = read_run_manifest(models.root / COMPOSITES_MANIFEST, models.parts.manifest.parts)
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
        self._check(file.relative_to(self.root) for file in listed_files(self.root / FINAL_TABLE))

    def final_sha256(self) -> str:
        """What tells the run's final table from others."""
        hashes = [
            sha256 for path, sha256 in self.files.items() if table_of(Path(path)) == FINAL_TABLE
        ]
        return hashes[0] if len(hashes) == 1 else sha256_json(hashes)

    def _check(self, paths: Iterable[Path]) -> None:
        wanted = [path.as_posix() for path in paths]
        for path in wanted:
            if path not in self.files and (self.root / path).is_file():
                raise MixedPartsError(
                    f"{self.root / COMPOSITES_MANIFEST} does not name {path}; {OF_TWO_RUNS}"
                )
        named = {path: self.files[path] for path in wanted if path in self.files}
        check(self.root, named, manifest=COMPOSITES_MANIFEST)
