"""Commands that documents and messages name, held against the programs' own parsers.

Nothing is run.
"""

from facestats.run.stage import make_parser as make_stage_parser

import argparse
import contextlib
import importlib.util
import io
import re
import shlex
import sys
from functools import cache
from pathlib import Path
from unittest.mock import patch

import yaml
from dvc.cli.parser import DvcParser, get_main_parser
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from facestats import __main__ as program
from facestats.__main__ import COMMANDS
from facestats.errors import ParamsError
from facestats.params.project import check_params, load_params
from resources import ROOT, read_yaml

SHELL = (
    "bash",
    "cd",
    "chmod",
    "cp",
    "curl",
    "echo",
    "export",
    "find",
    "git",
    "grep",
    "mkdir",
    "pip",
    "ps",
    "ray",
    "rm",
    "sed",
    "source",
    "ssh",
    "ssh-keygen",
    "sudo",
    "taskset",
)
SEPARATORS = {"&&", "||", ";", "|"}
GROUPS = {"exp", "queue"}  # of dvc's, whose commands the documents name without `dvc` too


class Wrong(Exception):
    """What a program would say of a command."""


class _Found(Exception):
    """The parser of a script that was to be run."""


def split(line: str) -> list[list[str]]:
    """The simple commands of a line of shell, without comments, redirections and settings of
    variables.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&>")
    lexer.whitespace_split = True
    matches, redirected = [[]], False
    for word in lexer:
        if word in SEPARATORS:
            matches, redirected = [*matches, []], False
        elif set(word) == {">"}:
            redirected = True
        elif not redirected and (matches[-1] or not re.match(r"[A-Z_]+=", word)):
            matches[-1].append(word)
    return [words for words in matches if words]


def options_in_comment(line: str) -> list[str]:
    """`[--count 256]` in the comment behind a command: further options."""
    return [
        word
        for option in re.findall(r"\[(-[^\]]+)\]", line.partition(" #")[2])
        for word in option.split()
    ]


def spans(text: str) -> list[str]:
    """Code inside of lines, as one line each."""
    return [re.sub(r"\s+", " ", code).strip() for code in re.findall(r"`([^`]+)`", text)]


class Checker:
    """Says what is wrong with commands.

    `params`: a copy of params.yaml that documented choices are tried on, one after another.
    """

    def __init__(self, params: Path):
        self.params = params

    def check(self, words: list[str], incomplete: bool = False) -> None:
        """Raise Wrong where the program would refuse the words.

        `incomplete`: arguments may be left out, as where a text names a command.
        """
        try:
            self._check(words, incomplete)
        except Wrong as wrong:
            raise Wrong(f"{' '.join(words)}: {wrong}") from None

    def _check(self, words: list[str], incomplete: bool) -> None:
        while words[0] in ("taskset", "exec") or re.match(r"[A-Z_]+=", words[0]):
            words = words[3 if words[0] == "taskset" else 1 :]
        words = [word for word in (word.rstrip("…") for word in words) if word]
        program, *rest = words
        if program == "dvc":
            self._dvc(rest, incomplete)
        elif program in GROUPS:
            self._dvc(words, incomplete)
        elif program == "make":
            _make(rest)
        elif program == "facestats" and rest:
            _parse(make_parser(), rest, incomplete)
        elif program in ("python", "python3"):
            _python(rest, incomplete)
        elif program == "export" and "=" in "".join(rest[:1]):
            pass  # the shell's
        elif program in COMMANDS:
            _parse(make_parser(), words, incomplete)
        elif program not in SHELL:
            raise Wrong(f"what is {program}?")
        _files_are_there(words)

    def _dvc(self, words: list[str], incomplete: bool) -> None:
        options = vars(_parse(_dvc_parser(), words, incomplete))
        if options.get("set_param"):
            self._choose(
                [choice for choice in options["set_param"] if "=" in choice or choice[0] == "~"],
                options["queue"],
            )
        if options.get("cmd") in ("repro", "pull", "push") or words[:2] == ["exp", "run"]:
            for target in options.get("targets") or []:
                if (
                    target != "NAME"
                    and target.split("@")[0] not in _stages()
                    and target not in _paths()
                ):
                    raise Wrong(f"{target} is neither a stage nor an out")

    def say_key(self, key: str, value: str | None) -> None:
        """Raise Wrong where params.yaml can have no such key, or not this value."""
        known = _known(self.params.read_text())
        *parents, last = key.split(".")
        section = known
        for parent in [*parents, last]:
            if not isinstance(section, dict) or parent not in section:
                raise Wrong(f"params.yaml has no {key}")
            section = section[parent]
        if value is not None:
            changed = section = read_yaml(self.params.read_text())
            for parent in parents:
                section = section[parent]
            section[last] = yaml.safe_load(value)
            try:
                check_params(changed)
            except ParamsError as error:
                raise Wrong(str(error)) from None

    def _choose(self, choices: list[str], queue: bool) -> None:
        choices = [choice for choice in choices if choice.lstrip("+") != "key=value"]
        try:
            sweeps = get_hydra_sweeps({"params.yaml": choices})
            if len(sweeps) > 1 and not queue:
                raise Wrong(f"several values need --queue: {choices}")
            before = self.params.read_bytes()
            for sweep in sweeps:
                self.params.write_bytes(before)
                apply_overrides(self.params, sweep["params.yaml"])
                load_params(self.params)
        except (DvcException, ParamsError) as error:
            raise Wrong(str(error)) from None


def _parse(
    parser: argparse.ArgumentParser, words: list[str], incomplete: bool
) -> argparse.Namespace:
    def refuse(_, message, *further):
        raise Wrong(message)

    try:
        with (
            patch.object(argparse.ArgumentParser, "error", refuse),
            patch.object(DvcParser, "error", refuse),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            return parser.parse_args(words)
    except SystemExit:
        return argparse.Namespace()  # --help
    except Wrong as wrong:
        unknown = {word for word in words if word.startswith("-")} - _options(parser)
        if (
            unknown
            or not incomplete
            or not re.search(
                "arguments are required|expected (one|at least one) argument", str(wrong)
            )
        ):
            raise
        return argparse.Namespace()


def _make(words: list[str]) -> None:
    text = (ROOT / "Makefile").read_text()
    for word in words:
        name, equals, _ = word.partition("=")
        if (
            not re.search(
                rf"^{re.escape(name)} *\?=" if equals else rf"^{re.escape(name)}:",
                text,
                re.MULTILINE,
            )
            and f"$({name})" not in text
        ):
            raise Wrong(f"no such target or variable: {word}")


def _python(words: list[str], incomplete: bool) -> None:
    match words:
        case ["-m", "facestats", "COMMAND", "--help"]:
            _parse(make_parser(), ["--help"], False)
        case ["-m", "facestats", *rest] if rest:
            _parse(make_parser(), rest, incomplete)
        case ["-m", module, *rest] if module.startswith("benchmarks."):
            _parse(parser_of(module), rest, incomplete)
        case ["-m", "pytest" | "pip" | "facestats", *_]:
            pass
        case [script, *rest] if script.startswith("stages/") and (ROOT / script).is_file():
            _parse(_stage_parser(Path(script).stem), rest, incomplete)
        case [script, *_] if script.endswith(".py"):
            pass  # _files_are_there looks
        case [] if incomplete:
            pass  # the program is named, not called
        case _:
            raise Wrong(f"what is python {' '.join(words)}?")


def _files_are_there(words: list[str]) -> None:
    for word in words[1:]:
        folders = (ROOT, ROOT / "docs", ROOT / "pretrain")
        if re.fullmatch(r"[\w/.-]+\.(py|txt)", word) and not any(
            (folder / word).is_file() for folder in folders
        ):
            raise Wrong(f"there is no {word}")


@cache
def make_parser() -> argparse.ArgumentParser:
    return program.make_parser()


@cache
def _known(params: str) -> dict:
    """All parameters, those of this params.yaml and the defaults."""
    return check_params(read_yaml(params)).model_dump(by_alias=True)


@cache
def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser of a benchmark, which its `main` makes."""

    def matches(parser, *_):
        raise _Found(parser)

    try:
        main = importlib.import_module(module).main
    except (ModuleNotFoundError, AttributeError) as error:
        raise Wrong(f"{module} can't be run: {error}") from None
    with patch.object(argparse.ArgumentParser, "parse_args", matches):
        try:
            main()
        except _Found as parser:
            return parser.args[0]
    raise Wrong(f"{module} parses no arguments")


@cache
def known_options() -> set[str]:
    """All options of all programs whose parsers are at hand."""
    benchmarks = [
        parser_of(f"benchmarks.{path.stem}")
        for path in (ROOT / "benchmarks").glob("*.py")
        if "ArgumentParser" in path.read_text()
    ]
    stages = [_stage_parser(path.stem) for path in (ROOT / "stages").glob("*.py")]
    return set().union(*map(_options, [make_parser(), _dvc_parser(), *stages, *benchmarks]))


@cache
def _stage_parser(script: str) -> argparse.ArgumentParser:
    spec = importlib.util.spec_from_file_location(script, ROOT / f"stages/{script}.py")
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {script: module}):
        spec.loader.exec_module(module)
        return make_stage_parser(module.main)


def _options(parser: argparse.ArgumentParser) -> set[str]:
    matches = set()
    for action in parser._actions:
        matches |= {*action.option_strings}
        if isinstance(action, argparse._SubParsersAction):
            matches |= set().union(*map(_options, action.choices.values()))
    return matches


@cache
def _dvc_parser() -> argparse.ArgumentParser:
    return get_main_parser()


@cache
def _stages() -> set[str]:
    return set(read_yaml((ROOT / "dvc.yaml").read_text())["stages"])


@cache
def _paths() -> set[str]:
    text = (ROOT / "dvc.yaml").read_text()
    for entry in read_yaml(text)["vars"]:
        for name, value in entry.items():
            text = text.replace(f"${{{name}}}", str(value))
    return {"data/raw", "data/labels", *re.findall(r"[\w./-]+/[\w.-]+", text)}
