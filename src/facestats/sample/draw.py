"""Draw a face from its traits: 2.5-D shading in numpy."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from facestats.sample import palette
from facestats.sample.extras import paint_background, paint_body, paint_glasses
from facestats.sample.features import paint_brow, paint_eye, paint_mouth, paint_nostrils
from facestats.sample.frame import Frame, blend
from facestats.sample.hair import Hair, beard_mask, paint_bun
from facestats.sample.head import head_outline, relief
from facestats.sample.layout import Layout, layout_of
from facestats.sample.light import Light
from facestats.sample.skin import paint_ears, skin_albedo
from facestats.sample.traits import Traits


@dataclass(frozen=True)
class Drawing:
    """A drawn face and where its features are.

    Attributes
    ----------
    image : np.ndarray
        Uint8 (size, size, 3).
    landmarks : dict of str to (float, float)
        `right_eye`, `left_eye` (the person's; mean of the eye's corners), `nose_tip`, `mouth` (mean
        of its corners) in pixels, x to the right, y down, the top left corner at 0.
    face_width : float
        Width of the face at the cheekbones in pixels.
    """

    image: np.ndarray
    landmarks: dict[str, tuple[float, float]]
    face_width: float


def draw_face(traits: Traits, size: int, rng: np.random.Generator) -> Drawing:
    """Draw one face.

    Parameters
    ----------
    traits : Traits
    size : int
        Width and height of the picture in pixels.
    rng : np.random.Generator
        For the noise of the photo; what belongs to the person comes from
        `traits.texture_seed`.
    """
    person = np.random.default_rng([traits.texture_seed, 0])
    frame = Frame(traits, size)
    layout = layout_of(traits)
    light = Light(frame, traits)
    outline = head_outline(traits)
    hair = Hair(frame, traits, outline, person) if traits.hair_style != "bald" else None
    strands = hair.layer(light, outline) if hair else np.zeros(0, np.float32)

    canvas = paint_background(frame, traits, light, rng)
    if hair and hair.back is not None:
        blend(canvas, None, strands * np.float32(0.45), hair.back)
    paint_body(frame, canvas, traits, light)
    if traits.hair_style == "tied":
        paint_bun(frame, canvas, traits, strands)
    paint_ears(frame, canvas, traits, light)
    _paint_head(frame, canvas, traits, layout, light, outline, hair, person)
    for side in (-1, 1):
        paint_brow(frame, canvas, traits, layout, side, person)
        paint_eye(frame, canvas, traits, layout, light, side)
    paint_nostrils(frame, canvas, traits, layout)
    paint_mouth(frame, canvas, traits, layout, light)
    if hair:
        blend(canvas, None, strands, hair.front)
    if traits.glasses:
        paint_glasses(frame, canvas, traits, layout)
    return Drawing(_develop(canvas, traits, rng), _landmarks(frame, layout), _face_width(frame))


def _paint_head(
    frame: Frame,
    canvas: np.ndarray,
    traits: Traits,
    layout: Layout,
    light: Light,
    outline: np.ndarray,
    hair: Hair | None,
    rng: np.random.Generator,
) -> None:
    normals = light.normals(relief(frame, traits, layout, outline))
    colour = skin_albedo(frame, traits, layout, rng)
    matt = np.ones((frame.size, frame.size), np.float32)
    if traits.beard_length > 0.02:
        mask = beard_mask(frame, traits, layout, rng)
        blend(colour, None, palette.hair(traits) * np.float32(0.7), mask)
        matt -= np.float32(0.8) * mask
    shade = light.shade(normals)
    if hair:
        shade *= hair.shadow()
    colour *= shade
    colour += np.float32(0.10 * traits.light_strength) * light.gloss(normals, 4) * light.key * matt
    blend(canvas, None, colour, frame.cover(frame.outline(outline)))


def _develop(canvas: np.ndarray, traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Linear light to 8-bit display values, with the lens's blur and the sensor's noise."""
    size = canvas.shape[1]
    image = np.sqrt(np.maximum(canvas, 0)) * np.float32(255)
    # film's shoulder: light skin keeps its form
    image -= np.float32(0.45) * np.maximum(image - np.float32(205), 0)
    image = image.transpose(1, 2, 0)
    sigma = traits.blur * size / 1000
    if sigma > 0.2:
        blurred = Image.fromarray((image + np.float32(0.5)).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(sigma)
        )
        image = np.asarray(blurred).astype(np.float32)
    noise = rng.standard_normal((size, size, 1), dtype=np.float32) * np.float32(traits.noise)
    return np.clip(image + noise + np.float32(0.5), 0, 255).astype(np.uint8)


def _landmarks(frame: Frame, layout: Layout) -> dict[str, tuple[float, float]]:
    corners = [layout.mouth_corner(side) for side in (-1, 1)]
    mouth = np.mean([frame.project(*corner) for corner in corners], axis=0)
    return {
        "right_eye": frame.project(*layout.eye(-1)),
        "left_eye": frame.project(*layout.eye(1)),
        "nose_tip": frame.project(layout.nose_skew, layout.nose_v),
        "mouth": (float(mouth[0]), float(mouth[1])),
    }


def _face_width(frame: Frame) -> float:
    return 2.0 * frame.width * frame.unit
