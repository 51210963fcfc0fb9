"""Any of Pillow's colour modes to 8-bit sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

from facestats.errors import ImageError

_WITH_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_PROFILED = {"L", "RGB", "CMYK"}  # modes that LittleCMS can take as they are


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image to mode RGB.

    Transparency is laid onto white. 16-bit and float greys are scaled (Pillow's own conversion would clip
    them). An embedded ICC profile is converted to sRGB; a broken one is ignored.

    Raises
    ------
    ImageError
        A mode that can't be converted.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(scale_grey(np.asarray(image))).convert("RGB")
    try:
        if image.mode in _WITH_ALPHA or "transparency" in image.info:
            rgba = image.convert("RGBA")
            opaque = Image.new("RGB", image.size, "white")
            opaque.paste(_apply_profile(rgba.convert("RGB"), profile), mask=rgba.getchannel("A"))
            return opaque
        if image.mode not in _PROFILED:
            image = image.convert("RGB")
        return _apply_profile(image, profile)
    except ValueError:
        raise ImageError(f"colour mode {image.mode} can't be converted to RGB") from None


def scale_grey(values: np.ndarray) -> np.ndarray:
    """Bring a one-channel image of more than 8 bits to uint8.

    Whole numbers are taken as 8 bits up to 255, as 16 bits up to 65,535, and scaled by their maximum above;
    an unsigned 16-bit array is always 16 bits. Fractions are taken as 0–1 if they stay there, as 0–255 if
    they stay there, and stretched from their minimum to their maximum otherwise.

    Parameters
    ----------
    values : (H, W), any numeric dtype

    Returns
    -------
    (H, W) uint8
    """
    low, high = 0.0, 255.0
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        if values.min() < 0 or values.max() > 255:
            low, high = values.min(), values.max()
        elif values.max() <= 1:
            high = 1.0
    elif values.dtype.itemsize == 2 or 255 < values.max() <= 65535:
        high = 65535.0
    else:
        high = max(255.0, float(values.max()))
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / max(high - low, 1e-12))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def is_srgb(image: Image.Image) -> bool:
    """Whether an RGB image's values are sRGB as they stand: by its profile, or for lack of one."""
    profile = image.info.get("icc_profile")
    try:
        return not profile or _says_srgb(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return True


def _says_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return ImageCms.getProfileDescription(profile).strip().startswith("sRGB")


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """From the embedded profile to sRGB; without one, or with one that is broken, as Pillow converts."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            # Most photos are sRGB already; the transform would cost 20 ms a megapixel to change nothing.
            if image.mode != "RGB" or not _says_srgb(source):
                converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
