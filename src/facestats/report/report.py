"""The report: all of a run on one page that can be sent."""

from __future__ import annotations

from dataclasses import replace

from facestats.report import section_composites, section_faces, section_run, section_scores
from facestats.report.album import MOST_BYTES, Album
from facestats.report.blocks import Text
from facestats.report.html_page import render
from facestats.report.material import Material
from facestats.report.model_card import plain_run

TITLE = "FaceStats report"
MOST = 10_000_000  # bytes of the page


def report(material: Material, most: int = MOST_BYTES) -> tuple[str, Album]:
    """The page as HTML, and the album of its pictures.

    Parameters
    ----------
    most : bytes of all pictures, as data URIs.
    """
    material = replace(material, run=plain_run(material.run))
    album = Album(material.params.report.images, most)
    sections = [
        section_run.opening(material),
        section_run.cautions(material),
        section_run.what_came_in(material, album),
        section_scores.scores(material, album),
        section_scores.attributes(material, album),
        section_scores.groups(material, album),
        section_composites.composites(material, album),
        section_composites.continua(material, album),
        section_composites.differences(material, album),
        section_faces.clusters(material, album),
        section_faces.to_look_at(material, album),
        section_run.what_was_run(material),
    ]
    if album.left_out:
        sections[0].blocks.append(
            Text(f"{album.left_out} pictures found no room: a report is at most 10 MB.")
        )
    page = render(TITLE, sections)
    excess = len(page.encode()) - MOST
    if excess > 0 and most > 0:  # a thousand composites have a megabyte of words
        return report(material, max(0, most - album.room - excess))
    return page, album
