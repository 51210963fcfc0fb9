"""The latent traits of a drawn face: all that a caption could name and the drawing needs.

Two kinds of trait: those of the person (the same in every photo) and those of the photo
(`PHOTO_TRAITS`). All fields are plain numbers, words and booleans, so that a row of `truth.csv`
holds a face.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

GENDERS = ("female", "male")
TONES = ("tone_a", "tone_b", "tone_c", "tone_d")
HAIR_STYLES = ("bald", "buzz", "short", "medium", "long", "tied")
HAIR_TEXTURES = ("straight", "wavy", "curly")
HAIR_COLOURS = ("black", "brown", "blond", "red")
IRIS_COLOURS = ("brown", "hazel", "green", "blue", "grey")
BACKGROUNDS = ("white", "grey", "blue", "green", "beige", "brown", "pink", "dark")
CLOTHES = ("white", "black", "grey", "blue", "red", "green", "yellow", "purple")


@dataclass(frozen=True)
class Traits:
    """What a drawn face looks like. Sizes named "relative" are 1.0 for an average face."""

    gender: str  # one of GENDERS
    age: float  # years, 18 to 80
    tone: str  # one of TONES, light to dark: a neutral name, since a drawing has no ethnicity
    # skin tone within the whole range, 0 (lightest) to 1 (darkest); its quarter is `tone`
    skin: float
    undertone: float  # -1 (pink) to 1 (yellow)
    face_width: float  # relative
    face_length: float  # relative, from the eyes to the chin
    jaw: float  # relative width of the jaw
    chin: float  # relative width of the chin
    cheeks: float  # fullness, -1 (hollow) to 1 (full)
    hair_style: str  # one of HAIR_STYLES
    hair_texture: str  # one of HAIR_TEXTURES
    hair_colour: str  # one of HAIR_COLOURS, before it greyed
    grey: float  # share of grey hair, 0 to 1
    hairline: float  # recession, 0 to 1
    fringe: bool
    parting: float  # -1 (image left) to 1
    eye_size: float  # relative
    eye_spacing: float  # relative
    eye_tilt: float  # outer corner up, degrees
    iris: str  # one of IRIS_COLOURS
    brow_thickness: float  # relative
    brow_height: float  # relative distance from the eye
    brow_arch: float  # 0 (straight) to 1
    nose_length: float  # relative
    nose_width: float  # relative
    lip_fullness: float  # relative
    lip_redness: float  # 0 to 1
    mouth_width: float  # relative
    ear_size: float  # relative
    asymmetry: float  # 0 (none) to 1
    blemishes: float  # uneven skin, 0 (even) to 1
    freckles: float  # 0 to 1
    wrinkles: float  # 0 to 1
    eye_bags: float  # 0 to 1
    makeup: float  # 0 to 1
    beard: bool
    beard_length: float  # 0 to 1; stubble of those without a beard where `beard` is false
    moustache: bool
    texture_seed: int  # where freckles, hairs and pores lie
    # ---- the photo ----
    smile: float  # 0 (neutral) to 1 (broad, teeth showing)
    glasses: bool
    glasses_round: bool
    yaw: float  # degrees, positive: the face turns to the image's right
    pitch: float  # degrees, positive: the face looks down
    roll: float  # degrees, positive: clockwise in the image
    gaze: float  # -1 (image left) to 1
    light_azimuth: float  # degrees, positive: from the image's right
    light_elevation: float  # degrees above the horizon
    light_strength: float  # share of directed light, 0 to 1
    light_warmth: float  # -1 (cold) to 1 (warm)
    background: str  # one of BACKGROUNDS
    background_shade: float  # relative brightness
    clothes: str  # one of CLOTHES
    v_neck: bool
    scale: float  # relative size of the face in the picture
    shift_x: float  # share of the picture's width
    shift_y: float  # share of the picture's height
    blur: float  # standard deviation, thousandths of the picture's width
    noise: float  # standard deviation of pixel noise, 0 to 255 units


PHOTO_TRAITS = tuple(f.name for f in fields(Traits))[
    [f.name for f in fields(Traits)].index("smile") :
]


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draw a person and a photo of that person.

    Shape depends on gender and age, hair and iris colour on the tone; what raters look at (see
    `raters.appeal`) never depends on the tone.
    """
    gender = _pick(rng, GENDERS)
    male = gender == "male"
    age = float(np.clip(18 + 62 * rng.beta(1.25, 1.75), 18, 80))
    old = _ramp(age, 38, 78)
    group = int(rng.integers(len(TONES)))
    beard = bool(male and rng.random() < 0.35)
    style, fringe, hairline = _hair_style(rng, male, age)
    return Traits(
        gender=gender,
        age=round(age, 1),
        tone=TONES[group],
        skin=_round((group + rng.uniform(0.08, 0.92)) / len(TONES)),
        undertone=_normal(rng, 0, 0.45, -1, 1),
        face_width=_normal(rng, 1.0 if male else 0.965, 0.035, 0.88, 1.1),
        face_length=_normal(rng, 1.03 if male else 0.975, 0.035, 0.89, 1.12),
        jaw=_normal(rng, 1.06 if male else 0.94, 0.045, 0.82, 1.18),
        chin=_normal(rng, 1.1 if male else 0.88, 0.1, 0.62, 1.4),
        cheeks=_normal(rng, 0.0 if male else 0.15, 0.4, -1, 1),
        hair_style=style,
        hair_texture=_pick(rng, HAIR_TEXTURES, (0.5, 0.32, 0.18)),
        hair_colour=_pick(rng, HAIR_COLOURS, _HAIR_BY_TONE[group]),
        grey=_normal(rng, 1.25 * _ramp(age, 38, 72), 0.12, 0, 1) if age > 34 else 0.0,
        hairline=hairline,
        fringe=fringe,
        parting=_normal(rng, 0, 0.5, -1, 1),
        eye_size=_normal(rng, (0.96 if male else 1.06) - 0.06 * old, 0.06, 0.78, 1.24),
        eye_spacing=_normal(rng, 1.0, 0.035, 0.9, 1.1),
        eye_tilt=_normal(rng, (2.0 if male else 4.0) - 3.0 * old, 2.0, -4, 10),
        iris=_pick(rng, IRIS_COLOURS, _IRIS_BY_TONE[group]),
        brow_thickness=_normal(rng, 1.22 if male else 0.9, 0.16, 0.5, 1.8),
        brow_height=_normal(rng, 0.92 if male else 1.08, 0.07, 0.75, 1.3),
        brow_arch=_normal(rng, 0.25 if male else 0.65, 0.18, 0, 1),
        nose_length=_normal(rng, (1.03 if male else 0.97) + 0.04 * old, 0.045, 0.85, 1.17),
        nose_width=_normal(rng, (1.05 if male else 0.93) + 0.05 * old, 0.085, 0.74, 1.32),
        lip_fullness=_normal(rng, (0.9 if male else 1.1) - 0.22 * old, 0.14, 0.5, 1.5),
        lip_redness=_normal(rng, 0.25 if male else 0.55, 0.16, 0, 1),
        mouth_width=_normal(rng, 1.02 if male else 0.97, 0.05, 0.85, 1.17),
        ear_size=_normal(rng, (1.03 if male else 0.95) + 0.08 * old, 0.06, 0.8, 1.25),
        asymmetry=_round(rng.beta(1.6, 3.2)),
        blemishes=_round(rng.beta(1.5, 3.0)),
        freckles=_normal(rng, -0.25, 0.45, 0, 1) if group < 2 else 0.0,
        wrinkles=_normal(rng, 1.05 * _ramp(age, 26, 78), 0.07, 0, 1),
        eye_bags=_normal(rng, 0.15 + 0.55 * old, 0.16, 0, 1),
        makeup=0.0 if male else _round(rng.beta(1.6, 1.8)),
        beard=beard,
        beard_length=_round(
            rng.uniform(0.35, 1.0) if beard else (rng.uniform(0, 0.25) if male else 0.0)
        ),
        moustache=bool(beard and rng.random() < 0.85),
        texture_seed=int(rng.integers(2**31)),
        **_draw_photo(rng, age),
    )


def another_photo(traits: Traits, rng: np.random.Generator) -> Traits:
    """The same person in another photo.

    New pose, light, expression, clothes, background and camera.
    """
    photo = _draw_photo(rng, traits.age)
    return replace(
        traits, **photo | {"glasses": traits.glasses, "glasses_round": traits.glasses_round}
    )


def _draw_photo(rng: np.random.Generator, age: float) -> dict:
    return {
        "smile": _round(rng.beta(0.75, 0.85)),
        "glasses": bool(rng.random() < 0.10 + 0.25 * _ramp(age, 35, 75)),
        "glasses_round": bool(rng.random() < 0.45),
        "yaw": _normal(rng, 0, 8, -18, 18),
        "pitch": _normal(rng, 0, 5, -11, 11),
        "roll": _normal(rng, 0, 6, -15, 15),
        "gaze": _normal(rng, 0, 0.12, -0.35, 0.35),
        "light_azimuth": _normal(rng, 0, 32, -65, 65),
        "light_elevation": _normal(rng, 33, 11, 8, 62),
        "light_strength": _normal(rng, 0.58, 0.1, 0.35, 0.8),
        "light_warmth": _normal(rng, 0.05, 0.4, -1, 1),
        "background": _pick(rng, BACKGROUNDS),
        "background_shade": _normal(rng, 1.0, 0.12, 0.7, 1.3),
        "clothes": _pick(rng, CLOTHES),
        "v_neck": bool(rng.random() < 0.4),
        "scale": _normal(rng, 1.0, 0.05, 0.87, 1.12),
        "shift_x": _normal(rng, 0, 0.018, -0.045, 0.045),
        "shift_y": _normal(rng, 0, 0.014, -0.035, 0.035),
        "blur": _round(float(rng.gamma(1.5, 0.7))),
        "noise": _round(float(rng.uniform(0.8, 3.5))),
    }


_HAIR_BY_TONE = (
    (0.12, 0.40, 0.34, 0.14),
    (0.28, 0.50, 0.17, 0.05),
    (0.62, 0.35, 0.02, 0.01),
    (0.84, 0.16, 0.00, 0.00),
)
_IRIS_BY_TONE = (
    (0.28, 0.14, 0.14, 0.34, 0.10),
    (0.50, 0.18, 0.12, 0.15, 0.05),
    (0.82, 0.12, 0.04, 0.01, 0.01),
    (0.95, 0.05, 0.00, 0.00, 0.00),
)


def _hair_style(rng: np.random.Generator, male: bool, age: float) -> tuple[str, bool, float]:
    """Style, fringe and recession (0 to 1) of the hairline."""
    old = _ramp(age, 30, 75)
    if not male:
        style = _pick(
            rng,
            HAIR_STYLES,
            _normalised((0.0, 0.01, 0.13 + 0.25 * old, 0.3, 0.4 - 0.25 * old, 0.16)),
        )
        return style, bool(style != "tied" and rng.random() < 0.28), _round(0.1 * rng.random())
    recession = float(np.clip(rng.normal(0.15 + 0.6 * old, 0.2), 0, 1))
    bald = 0.06 + 0.3 * old * recession
    style = _pick(rng, HAIR_STYLES, _normalised((bald, 0.18, 0.6, 0.1, 0.05, 0.02)))
    return (
        style,
        bool(style in ("short", "medium") and recession < 0.35 and rng.random() < 0.25),
        _round(recession),
    )


def _normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return _round(float(np.clip(rng.normal(mean, sd), low, high)))


def _pick(
    rng: np.random.Generator, options: tuple[str, ...], p: tuple[float, ...] | None = None
) -> str:
    return options[int(rng.choice(len(options), p=p))]


def _normalised(weights: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(weights)
    return tuple(w / total for w in weights)


def _ramp(x: float, low: float, high: float) -> float:
    return float(np.clip((x - low) / (high - low), 0, 1))


def _round(x: float) -> float:
    # What is written to truth.csv is then exactly what was drawn.
    return round(float(x), 4)
