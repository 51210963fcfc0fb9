"""Stages called in this process, whose imports are done; those that run on their own start by
`stage_command` (tests/programs.py).
"""

import contextlib
import io
import runpy
from pathlib import Path
from typing import Any

import torch

from facestats.params.project import load_params
from resources import ROOT


def call_stage(script: str, folder: Path, **options: Any) -> str:
    """Call a stage's `main` in a folder, with its `params.yaml`; returns what it warned of.

    What `run_stage` adds, such as the words for an error, is left out.
    """
    main = runpy.run_path(str(ROOT / f"stages/{script}.py"))["main"]
    threads, said = torch.get_num_threads(), io.StringIO()
    paths = {name: Path(path) if type(path) is str else path for name, path in options.items()}
    try:
        with contextlib.chdir(folder), contextlib.redirect_stderr(said):
            main(load_params(), **paths)
    finally:
        torch.set_num_threads(threads)
    return said.getvalue()
