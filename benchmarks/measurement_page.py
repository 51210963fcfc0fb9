"""docs/measurements.md, put together from the code's definitions and the tables of figures."""

from __future__ import annotations

from textwrap import fill

from facestats.geometry.anatomy import ALL
from facestats.geometry.measurements import MEASUREMENTS

HEAD = """# Measurements

Every measurement of a face in `geometry.parquet` and `attributes_final.parquet`, written by
`python -m benchmarks.measurements`: how it is defined, which pose spoils it, and how it relates to
ratings. `facestats.measure_image` and the service's `/v1/analyze` answer the same. None of them is
a verdict on a face.

Numbers of landmarks are those of MediaPipe's face mesh; 468 and 473 are the centres of the right
and the left iris. *Left* and *right* are the person's own. A *size* is the root mean square
distance of the 468 landmarks from their centroid. A face is turned upright and towards the viewer
first. Heights run along the line from forehead to chin, widths across it. The mesh is an estimate
from one picture: it ends below the hairline and near the ears. So compare faces measured here with
each other, not with norms for calipers. [How it is done](methods/measurements.md).
"""
DEFINITIONS = """
## Definitions
"""
POSE = """
## Pose and ratings

*yaw*, *pitch*: degrees, as in `faces.parquet`, up to which a turn or a nod moves the measurement by
at most one standard deviation between people. Pictures of {n} OMI faces were turned by known
angles, up to 40° and 30°, and their landmarks found anew; the largest figures mean that no angle
spoiled it. Of a left and a right measurement, the worse counts. Beyond these angles a table leaves
empty what stands from `canthal_tilt_left` on; the measurements before it keep their values, for
models and filters use them: `frontal` says which faces to compare. Skin colour is empty beyond 30°;
turned that far, the typology angle moves by 4°, in pictures whose light does not turn with them.

Then r with mean attractiveness ratings and its 95 % interval, bold where it excludes 0. OMI:
generated faces, many of them smiling. 3DSK: photographs of one studio, neutral faces. Of 100
intervals of measurements that have nothing to do with attractiveness, five exclude 0.

"""
CLAIMS = """
## The usual claims

Written down before r was computed. *Expects*: the sign of r. *Borne out*: yes, if the
interval excludes 0 on that side in both sets; in one set; no; the opposite, if it excludes 0 on the
other side. With 50 faces of 3DSK for either sex, an r below 0.28 is not seen. r says what goes with
ratings in these sets, for these raters, not what makes a face attractive. Symmetry is compared
among faces turned by 5° at most. Averageness: nearness to the mean shape of the set and sex;
masculinity: as a regression on OMI's shapes predicts it, out of fold. Both look at frontal faces
only. The mesh ends below the hairline: its upper third is a fifth, so that nearer to equal thirds
is a higher forehead, and nearer to the golden ratio a longer face.

"""
NOTES = """
## Pupils

{pupils}

Where the project's `landmarker.source` has no iris model, or an eye is closed (`ear_left` or
`ear_right` below about 0.1), the middle of the eyes' contours stands in. `pupils_source` says so.
`interpupil_dist` lies between the middles of the corners, as it always did.

## Skin colour

`skin_l`, `skin_a`, `skin_b`: median CIELAB (D65) of the pixels inside both cheeks (117, 118, 101,
36, 205, 187, 123, and their mirror images) and the forehead (69, 108, 151, 337, 299, 336, 9, 107).
`skin_ita`: the individual typology angle, arctan((L* − 50) / b*), and `skin_ita_class`: very light
above 55°, light above 41°, intermediate above 28°, tan above 10°, brown above −30°, dark.

**Light decides.** The angle was made for a colorimeter on the skin. In a photo, lamp, exposure and
white balance move it by more than a class. Compare photos of one studio only, and read a class as
the colour in the picture, not as a person's skin and never as an ethnicity.

{light}

Where no `ethnicity` is labelled, `metrics/fairness.json` groups test faces by this class. For one
photo, and by `/v1/faces`, `skin_…` columns are answered only where ethnicity is asked for.

`skin_missing` says why there is none: `no landmarks`, `no crop`, `black and white` (tinted photos,
too), `turned away` (30°), `a part is hidden` (`occlusion` of 0.5 or more), `bluish light` (b* not
above 0), `too little of it in the picture`.

## Expression

`smile_intensity`, `mouth_opening`, and `ear_left`, `ear_right`, `ear_mean` for how far the eyes are
open. A smile also moves what depends on mouth, cheeks and lids: look at these columns before a
group's difference is taken for one of build.

## Sources

Carré & McCormick 2008, In your face: facial metrics predict aggressive behaviour in the laboratory
and in varsity and professional hockey players, *Proceedings of the Royal Society B* 275. Chardon,
Cretois & Hourseau 1991, Skin colour typology and suntanning pathways, *International Journal of
Cosmetic Science* 13. Del Bino & Bernerd 2013, Variations in skin colour and the biological
consequences of ultraviolet radiation exposure, *British Journal of Dermatology* 169. Dryden &
Mardia 1998, *Statistical Shape Analysis*. Ekman & Friesen 1978, *Facial Action Coding System*.
Farkas 1994, *Anthropometry of the Head and Face*. Farkas, Hreczko, Kolar & Munro 1985, Vertical and
horizontal proportions of the face in young adult North American Caucasians: revision of
neoclassical canons, *Plastic and Reconstructive Surgery* 75 (few real faces obey them). Gunter &
Antrobus 1997, Aesthetic analysis of the eyebrows, *Plastic and Reconstructive Surgery* 99.
Klingenberg, Barluenga & Meyer 2002, Shape analysis of symmetric structures, *Evolution* 56.
Pallett, Link & Lee 2010, New "golden" ratios for facial beauty, *Vision Research* 50. Powell &
Humphreys 1984, *Proportions of the Aesthetic Face*. Soukupová & Čech 2016, Real-time eye blink
detection using facial landmarks, *Computer Vision Winter Workshop*. Weston, Friday & Liò 2007,
Biometric evidence that sexual selection has shaped the hominin face, *PLoS ONE* 2.

Faces: OMI, Peterson et al. 2022, doi:10.1073/pnas.2115228119. 3DSK, DeBruine & Jones 2020,
doi:10.17605/OSF.IO/A3947.
"""


def table(header: tuple[str, ...], rows: list) -> str:
    return "\n".join(
        f"| {' | '.join(map(str, row))} |" for row in [header, ["---"] * len(header), *rows]
    )


def definitions() -> str:
    """All measurements from landmarks as a table."""
    rows = [
        (
            f"`{m.name}`",
            m.definition,
            "all" if m.landmarks == ALL else ", ".join(map(str, m.landmarks)),
            m.unit,
            m.source,
        )
        for m in MEASUREMENTS
    ]
    return table(("measurement", "definition", "landmarks", "unit", "source"), rows)


def page(ratings: str, claims: str, turned: int, pupils: str, light: str) -> str:
    """The page, with the tables of figures.

    Parameters
    ----------
    ratings, claims : str
        Tables.
    turned : int
        Number of faces that were turned.
    pupils, light : str
        What was measured of the pupils, and of skin colour.
    """
    return (
        "\n".join(
            [
                HEAD + DEFINITIONS,
                definitions(),
                POSE.format(n=turned) + ratings,
                CLAIMS + claims,
                NOTES.format(pupils=fill(pupils, 100), light=fill(light, 100)),
            ]
        ).rstrip()
        + "\n"
    )
