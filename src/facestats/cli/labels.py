"""Label the faces that the last run proposes, and merge the labels.

`template` copies labels_template.csv of the last run, which the next run
replaces, to a file of your own. Fill in proposed_age, proposed_gender and
proposed_ethnicity; leave empty what you can't tell. `merge` checks the whole
file and writes its labels into the file of `data.manual_labels`; if anything is
wrong, it writes nothing. `restore` writes labels of the app's page Label that the
file lost, as by `dvc exp apply`, and no commit of it has; it changes none.

examples:
  python -m facestats labels template -o to_label.csv
  python -m facestats labels merge to_label.csv --dry-run
  python -m facestats labels merge to_label.csv
  python -m facestats labels merge to_label.csv --new-class gender=nonbinary
  python -m facestats labels restore --dry-run

exit code: 0 done, 2 wrong usage or a file that can't be used (every mistake is
named, nothing is written)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from facestats.core.layout import METADATA
from facestats.errors import InputError, number_of
from facestats.machine.output import one_line, print_line

if TYPE_CHECKING:
    from facestats.labels.manual import Change

HELP = "copy the faces to label into a file, merge the labels, restore lost ones"
TEMPLATE = METADATA / "labels_template.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    template = _action(
        actions,
        "template",
        "copy the faces to label into a file of your own",
        "-o to_label.csv",
        "-o to_label.csv --force",
    )
    template.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="CSV file to write"
    )
    template.add_argument("--force", action="store_true", help="replace FILE if it is there")
    merge = _action(
        actions,
        "merge",
        "check a filled template and merge it into the labels by hand",
        "to_label.csv --dry-run",
        "to_label.csv",
    )
    merge.add_argument("file", type=Path, metavar="FILE", help="filled template")
    merge.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="file of labels by hand (default: data.manual_labels of params.yaml)",
    )
    merge.add_argument(
        "--new-class",
        action="append",
        default=[],
        metavar="ATTRIBUTE=NAME",
        help="allow a class that nothing knows yet, such as gender=nonbinary; may be repeated",
    )
    restore = _action(
        actions,
        "restore",
        "write labels of the page Label that the file of labels by hand has lost",
        "--dry-run",
        "",
    )
    for action in (merge, restore):
        action.add_argument(
            "--dry-run", action="store_true", help="say what would change, write nothing"
        )
    for action in (template, merge, restore):
        action.add_argument(
            "--root",
            type=Path,
            help="project folder (default: the nearest upwards that has params.yaml)",
        )


def _action(actions, name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
    lines = "\n".join(
        f"  python -m facestats labels {name} {example}".rstrip() for example in examples
    )
    return actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\nexamples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(options: argparse.Namespace) -> int:
    root = find_root(options.root)
    actions = {"template": _copy_template, "merge": _merge, "restore": _restore}
    return actions[options.action](root, options)


def find_root(root: Path | None) -> Path:
    """Find the project folder: `root`, or the nearest one upwards that has params.yaml.

    Raises
    ------
    InputError
        There is none.
    """
    start = (root or Path.cwd()).resolve()
    for folder in [start] if root else [start, *start.parents]:
        if (folder / "params.yaml").is_file():
            return folder
    raise InputError(
        f"no params.yaml in {start}{'' if root else ' or above it'}; run this in the project's "
        "folder, or name it with --root"
    )


def _copy_template(root: Path, options: argparse.Namespace) -> int:
    from facestats.core.files import write_bytes
    from facestats.labels.csv_text import WORKBOOKS, read_csv
    from facestats.labels.files import OTHER_TABLES

    source, target = root / TEMPLATE, options.output
    if not source.is_file():
        raise InputError(
            f"{source}: there is no template yet; `dvc repro attributes` makes it (or `dvc pull`)"
        )
    if target.is_dir():
        raise InputError(f"{target} is a folder; name a file, such as {target / 'to_label.csv'}")
    if target.suffix.lower() in (*WORKBOOKS, *OTHER_TABLES):
        raise InputError(
            f"{target} would be a CSV file under the name of another kind; name it "
            f"{target.with_suffix('.csv').name}, which Excel opens as well"
        )
    if target.resolve() == source.resolve():
        raise InputError(
            f"{target} is the pipeline's own file, which the next run replaces; name another one"
        )
    if target.exists() and not options.force:
        raise InputError(
            f"{target} is there already; name another file, or replace it with --force (labels in "
            "it are lost unless they are merged)"
        )
    try:
        write_bytes(target, source.read_bytes())
    except OSError as error:
        raise InputError(f"{target} could not be written ({error.strerror})") from None
    template = read_csv(source)
    faces = 0 if template is None else len(template.table)
    print_line(f"{faces} faces to label in {target}; the faces lie in data/processed/preproc/")
    print_line(
        "fill in proposed_age, proposed_gender, proposed_ethnicity "
        "(leave empty what you can't tell), then:"
    )
    print_line(f"  python -m facestats labels merge {target}")
    return 0


def _merge(root: Path, options: argparse.Namespace) -> int:
    from facestats.app.labelling import is_removed, is_replaced
    from facestats.app.uncommitted import images_of
    from facestats.attributes.filled import read_filled
    from facestats.attributes.known_classes import known_classes
    from facestats.attributes.resolution import STANDARD
    from facestats.labels.manual import merge_labels, own_file
    from facestats.params.project import load_params

    into = options.into
    if into is None:
        name = load_params(root / "params.yaml").data.manual_labels
        try:
            into = own_file(root, "data.manual_labels", name)
        except InputError as error:
            raise InputError(f"{error}, or name it with --into") from None
    images = images_of(root)
    targets = [target for target, kind in STANDARD.items() if kind == "classification"]
    known = known_classes(root, into, targets, options.new_class)
    filled = read_filled(options.file, images, known)

    def refuse_removed(_: list[Change]) -> None:
        if gone := [name for name in filled.answers if is_removed(root, images[name])]:
            raise InputError(
                f"{options.file}: {' and '.join(map(one_line, gone[:5]))}: removed from the "
                "project since the last run; take what it says of them out, nothing was written"
            )
        if new := [name for name in filled.answers if is_replaced(root, images[name])]:
            raise InputError(
                f"{options.file}: {' and '.join(map(one_line, new[:5]))}: another photo since the "
                "last run; `dvc repro` and a new template, or take what it says of them out; "
                "nothing was written"
            )

    refuse_removed([])  # of a dry run, too; then again while nobody else writes
    changes = merge_labels(into, filled.answers, images, not options.dry_run, refuse_removed)
    for message in filled.guessed:
        print_line(f"warning: {message}")
    for note in filled.notes:
        print_line(note)
    for column in filled.ignored:
        print(f"warning: the column {column!r} is none of a template's; it is left aside")
    _print_changes(changes)
    new = sum(change.old is None for change in changes)
    changed = sum(change.changed for change in changes) - new
    print(
        f"{number_of(len(filled.answers), 'face')} labelled, {filled.n_empty} left empty: {new} "
        f"labels added, {changed} changed, {len(changes) - new - changed} unchanged"
    )
    if options.dry_run:
        print_line(f"nothing written (--dry-run); without it: {into}")
    elif new or changed:
        print_line(
            f"written to {into}; `dvc repro` makes them count, then propose the next faces with "
            "`labels template`"
        )
    else:
        print_line(f"{into} is as it was")
    return 0


def _restore(root: Path, options: argparse.Namespace) -> int:
    from facestats.app.labelling import is_removed
    from facestats.app.uncommitted import differs, images_of, lost_labels, warning_of
    from facestats.labels.manual import merge_labels, own_file
    from facestats.params.project import load_params

    def refuse_changes(changes: list[Change]) -> None:
        is_gone = any(is_removed(root, images[change.filename]) for change in changes)
        if is_gone or any(change.old is not None for change in changes):
            raise InputError(
                f"{path} or the photos were changed meanwhile; give the same command again"
            )

    name = load_params(root / "params.yaml").data.manual_labels
    path = own_file(root, "data.manual_labels", name)
    lost = lost_labels(root)
    if not lost:
        print_line(f"{path} or a commit of it has all labels of the page Label")
        if differs(root, name):
            print_line(warning_of(root, name))
        return 0
    images = images_of(root)
    changes = merge_labels(path, lost, images, not options.dry_run, refuse_changes)
    _print_changes(changes)
    wrote = "nothing written (--dry-run); without it:" if options.dry_run else "written to"
    print_line(f"{number_of(len(changes), 'label')} to bring back; {wrote} {path}")
    return 0


def _print_changes(changes: list[Change]) -> None:
    for change in changes:
        if change.changed:
            print_line(
                f"{change.filename}: {change.column} "
                + (f"{change.new} (new)" if change.old is None else f"{change.old} → {change.new}")
            )
