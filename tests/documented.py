"""The documentation as tests read it: fenced blocks with their marks, to be run as they stand."""

import re
from dataclasses import dataclass
from pathlib import Path

from project import Project
from resources import ROOT

PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "pretrain/README.md",
    "pretrain/MODEL_CARD.md",
    "SECURITY.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
)
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>test|not run): (?P<word>[^\n]+) "
    r"-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: `<!-- test: word -->` above it names it for a test, `<!-- not run: word -->`
    says why none runs it.
    """

    document: str
    language: str
    text: str
    mark: str | None
    word: str | None


def read(document: str) -> str:
    """A page, by its path in the repository."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [
        Block(document, match["language"], match["text"], match["mark"], match["word"])
        for match in FENCE.finditer(read(document))
    ]


def block(document: str, name: str) -> Block:
    """The block below `<!-- test: name -->`, in whatever language."""
    matches = [block for block in blocks(document) if (block.mark, block.word) == ("test", name)]
    assert len(matches) == 1, f"{len(matches)} blocks called {name} in {document}"
    return matches[0]


def run_documented(
    project: Project,
    document: str,
    name: str,
    places: dict[str, str] | None = None,
    folder: Path | None = None,
    **environment: str,
) -> str:
    """Run a block as a shell (or Python) would, with the documented places replaced by the test's
    own; returns what it says.
    """
    example = block(document, name)
    script = example.text
    for documented, own in (places or {}).items():
        assert documented in script, f"{documented} is not in the block {name}"
        script = script.replace(documented, own)
    command = (
        ("python", "-c", script) if example.language == "python" else ("bash", "-euxc", script)
    )
    done = project.run(*command, check=False, folder=folder, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
