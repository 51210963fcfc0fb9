"""Commands as the documentation says them, to be run."""

import re
from pathlib import Path

from project import Project
from resources import ROOT


def commands(document: str, name: str) -> str:
    """The fenced block below `<!-- test: name -->` in a file of docs/."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    found = re.findall(rf"^<!-- test: {re.escape(name)} -->\n```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{len(found)} blocks called {name} in {document}"
    return found[0]


def run_documented(project: Project, document: str, name: str, places: dict[str, str], folder: Path | None = None, **environment: str) -> str:
    """Run a block as a shell would, with the documented places replaced by the test's own; returns what it says."""
    script = commands(document, name)
    for documented, own in places.items():
        assert documented in script, f"{documented} is not in the block {name}"
        script = script.replace(documented, own)
    done = project.run("bash", "-euxc", script, check=False, folder=folder, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
