"""From a photo to the aligned crop of its largest face, with everything known about it."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from facestats.errors import ImageError
from facestats.faces.align import (
    CropTransform,
    align_face,
    center_square,
    crop_transform,
    to_crop_frame,
)
from facestats.faces.landmarks import FaceLandmarks, Landmarker
from facestats.faces.quality import GREY_SIZE, HeadPose, grey_crop, head_pose, measure
from facestats.faces.search import find_large_faces, find_small_faces
from facestats.photos.budget import MAX_PIXELS, MAX_SECONDS
from facestats.photos.decode import Photo, to_photo
from facestats.photos.reading import MAX_MEGABYTES

NO_FACE = "no face found"
# Long sides, px, that are enough to find a large face (the detector sees 128 px), and a small one.
_TO_DETECT = 1024
_TO_SEARCH = 3000


@dataclass(frozen=True)
class PreprocessConfig:
    """How a face is cut out.

    The limits (`max_…`) are not part of a row's key. Rows of photos beyond them are not kept,
    except those of photos beyond `max_pixels` by their header, for runs with the same `max_pixels`.

    Parameters
    ----------
    size : int, default 512
        Side of the crop, px.
    margin : float, default 0.3
        Around the face on each side, share of its size (2.5 eye distances).
    quality : int, default 95
        Of the JPEG, 1–100.
    align : str, default 'eyes'
        'eyes' (level, at fixed places) or 'none' (the same square, not turned).
    on_no_face : str, default 'reject'
        'reject' or 'center_crop'.
    max_megabytes : int, default MAX_MEGABYTES
        Size up to which a file is read, MB.
    max_pixels : int, default MAX_PIXELS
        What a photo may ask for, see `budget.check_budget`.
    max_seconds : float, default MAX_SECONDS
        Of a processor that it may take.
    """

    size: int = 512
    margin: float = 0.3
    quality: int = 95
    align: str = "eyes"
    on_no_face: str = "reject"
    max_megabytes: int = MAX_MEGABYTES
    max_pixels: int = MAX_PIXELS
    max_seconds: float = MAX_SECONDS


@dataclass(frozen=True)
class FaceCrop:
    """A face cut out of a photo.

    Attributes
    ----------
    rgb : np.ndarray
        (size, size, 3) uint8, before JPEG.
    width, height : int
        Of the whole upright photo, px.
    face_count : int
        The face and those larger than a third of it.
    confidence : float or None, optional
        Of the detector, 0–1; None without a face, like all that follow.
    presence : float or None, optional
        The mesh's own confidence that this is a face, 0–1.
    box : np.ndarray or None, optional
        (4,) float32, x0, y0, x1, y1 of the detector's box in the photo, px.
    landmarks, photo_landmarks : np.ndarray or None, optional
        (468, 3) float32, fractions of the crop and of the photo.
    pose : HeadPose or None, optional
        HeadPose in the photo.
    layers : tuple[np.ndarray, ...], default ()
        Of `FaceLandmarks`; without them neither `occlusion` nor `drawing` is known.
    view : np.ndarray or None, optional
        The same square with at least 256 px a side, for measures that no small `size` should spoil;
        None: `rgb` is it.
    """

    rgb: np.ndarray
    width: int
    height: int
    face_count: int
    confidence: float | None = None
    presence: float | None = None
    box: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    photo_landmarks: np.ndarray | None = None
    pose: HeadPose | None = None
    layers: tuple[np.ndarray, ...] = ()
    view: np.ndarray | None = None

    @cached_property
    def grey(self) -> np.ndarray:
        """`grey_crop` of what is measured."""
        return grey_crop(self.rgb if self.view is None else self.view)

    def facts(self) -> dict:
        """The facts about this picture in `faces.parquet`, by column."""
        facts = {
            "width": self.width,
            "height": self.height,
            "face_count": self.face_count,
            "confidence": self.confidence,
            "presence": self.presence,
            "box": self.box,
        }
        if self.pose is not None:
            facts |= {"yaw": self.pose.yaw, "pitch": self.pose.pitch, "roll": self.pose.roll}
        return facts | measure(
            self.rgb if self.view is None else self.view, self.grey, self.landmarks, self.layers
        )

    def jpeg(self, quality: int) -> bytes:
        """The crop as a JPEG without metadata, colours at full resolution (4:4:4)."""
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        return cv2.imencode(".jpg", cv2.cvtColor(self.rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()


class NoFaceError(ImageError):
    """A photo in which no face was found; `width` and `height` are its own, px."""

    def __init__(self, width: int, height: int):
        super().__init__(NO_FACE)
        self.width, self.height = width, height


def crop_face(image, config: PreprocessConfig, landmarker: Landmarker) -> FaceCrop:
    """Find the largest face of a photo and cut it out.

    Parameters
    ----------
    image : path, bytes, PIL image or np.ndarray
        An array is RGB, (H, W, 3) uint8.
    config, landmarker : PreprocessConfig
        See there.

    Raises
    ------
    ImageError
        The image can't be used; `NoFaceError` if it has no face and `config.on_no_face` is
        'reject'.
    InputError
        It is no image at all.
    """
    photo, faces = find_photo_faces(
        image, landmarker, config.max_megabytes, config.max_pixels, config.max_seconds
    )
    if faces:
        return _crop_largest(photo, image, faces, config)
    if config.on_no_face != "center_crop":
        raise NoFaceError(photo.width, photo.height)
    square = center_square(photo.width, photo.height)
    rgb, view = _cut(photo, image, square, config, config.size), _view(photo, image, square, config)
    return FaceCrop(rgb, photo.width, photo.height, face_count=0, view=view)


def find_photo_faces(
    image,
    landmarker: Landmarker,
    max_megabytes: float = MAX_MEGABYTES,
    max_pixels: int = MAX_PIXELS,
    max_seconds: float = MAX_SECONDS,
) -> tuple[Photo, list[FaceLandmarks]]:
    """The faces of a photo, the same whatever form it comes in.

    The only way in for the pipeline and the library.

    Parameters
    ----------
    image : path, bytes, PIL image or np.ndarray
        An array is RGB, (H, W, 3) uint8.
    landmarker : Landmarker
    max_megabytes : float, default MAX_MEGABYTES
        Size up to which a file is read.
    max_pixels : int, default MAX_PIXELS
        What it may ask for, see `budget.check_budget`.
    max_seconds : float, default MAX_SECONDS
        Of a processor that decoding may take.

    Returns
    -------
    tuple[Photo, list[FaceLandmarks]]
        The photo, as far as it was decoded, and its faces, largest first, with boxes in px of the
        whole photo.

    Raises
    ------
    ImageError, InputError
        See `crop_face`.
    """
    limits = max_megabytes, max_pixels, max_seconds
    photo = to_photo(image, _TO_DETECT, *limits)
    rgb = _reduced(photo.rgb, _TO_DETECT)
    faces = find_large_faces(rgb, landmarker)
    if not faces:
        photo = _at_least(photo, image, _TO_SEARCH, *limits)
        rgb = _reduced(photo.rgb, _TO_SEARCH)
        faces = find_small_faces(rgb, landmarker)
    zoom = np.tile([photo.width / rgb.shape[1], photo.height / rgb.shape[0]], 2)
    return photo, [replace(face, box=(face.box * zoom).astype(np.float32)) for face in faces]


def _crop_largest(
    photo: Photo, image, faces: list[FaceLandmarks], config: PreprocessConfig
) -> FaceCrop:
    face, width, height = faces[0], photo.width, photo.height
    crop = crop_transform(face.landmarks, width, height, config.margin, config.align)
    return FaceCrop(
        rgb=_cut(photo, image, crop, config, config.size),
        width=width,
        height=height,
        face_count=len(faces),
        confidence=face.score,
        presence=face.presence,
        box=face.box,
        landmarks=to_crop_frame(face.landmarks, width, height, crop),
        photo_landmarks=face.landmarks,
        pose=head_pose(face.landmarks, width, height),
        layers=face.layers,
        view=_view(photo, image, crop, config),
    )


def _view(photo: Photo, image, crop: CropTransform, config: PreprocessConfig) -> np.ndarray | None:
    """The square at the size at which it is measured, where the crop itself is smaller."""
    return _cut(photo, image, crop, config, GREY_SIZE) if config.size < GREY_SIZE else None


def _cut(
    photo: Photo, image, crop: CropTransform, config: PreprocessConfig, size: int
) -> np.ndarray:
    """Cut a square, in px of the whole photo, from a decoding with enough px for the crop."""
    enough = max(photo.width, photo.height) * size / crop.side
    limits = config.max_megabytes, config.max_pixels, config.max_seconds
    photo = _at_least(photo, image, enough, *limits)
    return align_face(photo.rgb, crop.scaled(photo.rgb.shape[1] / photo.width), size)


def _at_least(photo: Photo, image, long_side: float, *limits) -> Photo:
    """The photo decoded anew if it was reduced to fewer px than needed."""
    enough = not photo.reduced or max(photo.rgb.shape[:2]) >= long_side
    return photo if enough else to_photo(image, long_side, *limits)


def _reduced(rgb: np.ndarray, long_side: int) -> np.ndarray:
    """Pixels brought to 1/2, 1/4 or 1/8 as a JPEG's decoder would.

    So every form of a photo shows the same faces.
    """
    times = next(
        times for times in (8, 4, 2, 1) if times == 1 or max(rgb.shape[:2]) >= times * long_side
    )
    if times == 1:
        return rgb
    size = (-(-rgb.shape[1] // times), -(-rgb.shape[0] // times))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
