"""Any of Pillow's colour modes to 8-bit sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from facestats.errors import ImageError
from facestats.machine.faults import memory_is_there

_WITH_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_PROFILED = {"L", "RGB", "CMYK"}  # modes that LittleCMS can take as they are
_STRIP = 256  # rows of a grey image that are scaled at a time
_SPARE = 1 << 24  # bytes that a colour transform takes at most, beside the profile's own
_KEPT_PROFILE = 1 << 16  # bytes; cameras' and programs' profiles of curves have a few kB
_NEAR = 3  # of 255: a profile that moves no colour further is equivalent to sRGB's own


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image to mode RGB.

    Transparency is laid onto white. 16-bit and float greys are scaled (Pillow's own conversion
    would clip them). An embedded ICC profile is converted to sRGB; a broken one is ignored.

    Raises
    ------
    ImageError
        A mode that can't be converted.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        return _apply_profile(Image.fromarray(scale_grey(np.asarray(image))), profile)
    try:
        if image.mode == "LAB":
            return _transformed(image, _from_lab())
        if image.mode in _WITH_ALPHA or "transparency" in image.info:
            rgba = image.convert("RGBA")
            opaque = Image.new("RGB", image.size, "white")
            colours = rgba.getchannel("R") if image.mode in ("L", "LA") else rgba.convert("RGB")
            opaque.paste(_apply_profile(colours, profile), mask=rgba.getchannel("A"))
            return opaque
        if image.mode not in _PROFILED:
            image = image.convert("RGB")
        return _apply_profile(image, profile)
    except ValueError:
        raise ImageError(f"colour mode {image.mode} can't be converted to RGB") from None


def scale_grey(values: np.ndarray) -> np.ndarray:
    """Bring a one-channel image of more than 8 bits to uint8.

    Whole numbers are taken as 8 bits up to 255, as 16 bits up to 65,535, and scaled by their
    maximum above; an unsigned 16-bit array is always 16 bits. Fractions are taken as 0–1 if they
    stay there, as 0–255 if they stay there, and stretched from their minimum to their maximum
    otherwise.

    Parameters
    ----------
    values : np.ndarray
        (H, W), any numeric dtype.

    Returns
    -------
    np.ndarray
        (H, W) uint8.
    """
    low, high = 0.0, 255.0
    # of a large photo, copies of the whole would take 24 bytes a pixel
    strips = [values[at : at + _STRIP] for at in range(0, len(values), _STRIP)]
    if values.dtype.kind == "f":
        least = min(_finite(strip).min() for strip in strips)
        most = max(_finite(strip).max() for strip in strips)
        if least < 0 or most > 255:
            low, high = least, most
        elif most <= 1:
            high = 1.0
    elif values.dtype.itemsize == 2 or 255 < values.max() <= 65535:
        high = 65535.0
    else:
        high = max(255.0, float(values.max()))
    scaled = np.empty(values.shape, np.uint8)
    for at, strip in zip(range(0, len(values), _STRIP), strips, strict=True):
        strip = _finite(strip) if strip.dtype.kind == "f" else strip
        tones = (strip.astype(np.float32) - np.float32(low)) * np.float32(
            255 / max(high - low, 1e-12)
        )
        scaled[at : at + _STRIP] = np.clip(np.rint(tones), 0, 255)
    return scaled


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def is_srgb(image: Image.Image) -> bool:
    """Whether an RGB image's values are sRGB: by its profile, or for lack of one that works."""
    profile = image.info.get("icc_profile")
    return not profile or _transform(profile, "RGB") is None


def _transformed(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    result = ImageCms.applyTransform(image, transform)
    assert result is not None  # it is None in place alone
    return result


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """From the embedded profile to sRGB.

    Without one, or with one that is broken or for another kind of image, as Pillow converts.
    """
    for mode in dict.fromkeys((image.mode, "RGB")) if image.mode == "L" else (image.mode,):
        # greys may have a profile for colours
        transform = _transform(profile, mode) if profile else None
        if transform is not None:
            return _transformed(image if image.mode == mode else image.convert(mode), transform)
    return image if image.mode == "RGB" else image.convert("RGB")


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB, see `_new_transform`; that of a small profile is kept."""
    if len(profile) <= _KEPT_PROFILE:
        return _kept_transform(profile, mode)
    return _new_transform(profile, mode)


@lru_cache(maxsize=16)  # photos of one camera share a profile
def _kept_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    return _new_transform(profile, mode)


def _new_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None if it is broken, for other modes, or changes nothing.

    A profile is judged by what it does to a grid of colours, not by its name.

    Raises
    ------
    MemoryError
        LittleCMS refuses the profile, and there is no memory for it: it may be good.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB")
        if mode == "RGB":  # the transform would cost 20 ms a megapixel to change nothing
            moved = (
                np.asarray(ImageCms.applyTransform(Image.fromarray(_COLOURS), transform)).astype(
                    int
                )
                - _COLOURS
            )
            return None if np.abs(moved).max() <= _NEAR else transform
        return transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        if not memory_is_there(len(profile) + _SPARE):
            raise MemoryError from None
        return None


_COLOURS = np.stack(np.meshgrid(*[np.arange(0, 256, 17, dtype=np.uint8)] * 3), axis=-1).reshape(
    64, 64, 3
)


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=1)
def _from_lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
