"""Files of landmarks of other programs: read, written, and read again."""

import struct

import numpy as np
import pytest
from benchmarks.templates import compare, table
from PIL import Image

import facestats
from facestats import mesh_template, read_template, write_template
from facestats.composites.averaging import Average
from facestats.composites.folder import write_composite
from facestats.composites.templates import Template
from facestats.errors import InputError
from facestats.faces.landmarks import FaceLandmarks
from resources import ROOT

TEM = "3\n1.5\t2.25\n10\t20\n496.969\t825.7\n2\n0\n2\n0 1\n1\n3\n0 1 2\n"
IBUG = "version: 1\nn_points: 2\n{\n1 2\n30.5 4\n}\n"
SK = ROOT.parent / "shared/3dsk"


def test_a_tem_is_read_with_its_lines_and_written_to_the_byte(tmp_path):
    path = tmp_path / "a.tem"
    path.write_text(TEM)
    template = read_template(path)
    assert template.points.tolist() == [[1.5, 2.25], [10, 20], [496.969, 825.7]]
    assert template.lines == ((False, (0, 1)), (True, (0, 1, 2)))
    write_template(tmp_path / "b.tem", template)
    assert (tmp_path / "b.tem").read_text() == TEM


@pytest.mark.skipif(not SK.is_dir(), reason="needs ../shared/3dsk")
def test_real_templates_have_189_points_and_44_lines(tmp_path):
    path = SK / "female/agata.tem"
    template = read_template(path)
    assert template.points.shape == (189, 2)
    assert len(template.lines) == 44
    assert template.lines[2] == (False, (2, 3, 4, 5, 6, 7, 8, 9, 2))
    write_template(tmp_path / "b.tem", template)
    assert (tmp_path / "b.tem").read_text().split() == path.read_text().split()


@pytest.mark.parametrize("binary", [False, True])
def test_points_survive_both_kinds_of_pts(tmp_path, binary):
    points = np.array([[0, 1.25], [29.5, 3], [100, 200]])
    write_template(tmp_path / "a.pts", points, binary=binary)
    read = read_template(tmp_path / "a.pts")
    assert np.allclose(read.points, points, atol=1e-3)
    assert read.lines == ()


def test_ibug_counts_pixels_from_one_and_scut_from_zero(tmp_path):
    (tmp_path / "ibug.pts").write_text(IBUG)
    assert read_template(tmp_path / "ibug.pts").points.tolist() == [[0, 1], [29.5, 3]]
    (tmp_path / "scut.pts").write_bytes(struct.pack("<i4f", 2, 0, 1, 2, 3))
    assert read_template(tmp_path / "scut.pts").points.tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("CM152.pts", struct.pack("<i", 0), "names 0 points and holds 0"),
        ("a.pts", struct.pack("<i2f", 5, 1, 2), "names 5 points and holds 1"),
        ("a.pts", b"version: 1\nn_points: 3\n{\n1 2\n}\n", "names 3 points and holds 1"),
        ("a.tem", b"3\n1 2\n", "ends too early"),
        ("a.tem", b"1\n1 2\n1\n0\n2\n0 7\n", "a point that does not exist"),
        ("a.tem", b"1\nnan 2\n", "not finite"),
        ("a.tem", b"-5\n1 2\n", "no point"),
        ("a.tem", b"\xff\xd8", "no template"),
        ("a.tem", b"999999999999\n1 2\n", "ends too early"),
        ("a.tem", b"", "ends too early"),
    ],
)
def test_what_is_no_template_is_named(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=why):
        read_template(tmp_path / name)


def test_other_arguments_are_errors(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_template(tmp_path / "none.tem")
    with pytest.raises(InputError, match=r"ends in \.tem or \.pts"):
        write_template(tmp_path / "a.txt", [[1, 2]])
    with pytest.raises(InputError, match="finite pairs"):
        write_template(tmp_path / "a.tem", [[1, np.nan]])
    with pytest.raises(InputError, match="expected 468 landmarks"):
        mesh_template(np.zeros((189, 2)), 10, 10)


def test_a_mesh_becomes_a_template_with_the_contours_as_lines(tmp_path):
    landmarks = np.linspace(0, 1, 468 * 3).reshape(468, 3)
    template = facestats.mesh_template(landmarks, 200, 100)
    write_template(tmp_path / "mean.tem", template)
    read = read_template(tmp_path / "mean.tem")
    assert np.allclose(read.points, landmarks[:, :2] * (200, 100), atol=1e-3)
    assert len(read.lines) == 9
    assert read.lines[0][1][0] == read.lines[0][1][-1] == 10  # the oval comes back


def test_the_comparison_separates_what_is_systematic(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    shape = rng.uniform(0.3, 0.7, (468, 3))
    for i in range(4):
        points = np.zeros((189, 2))
        points[1] = (20, 0)  # pupils 20 px apart
        for theirs, mesh in (([18, 27], [33, 263]), ([22, 23], [133, 362]), ([87, 93], [61, 291]),
                             ([55], [94]), ([129], [152])):  # fmt: skip
            points[theirs] = shape[mesh, :2] * 100 + (0, 2)
        write_template(tmp_path / f"{i}.tem", Template(points))
        (tmp_path / f"{i}.jpg").write_bytes(b"")

    class Landmarker:
        def detect(self, pixels):
            return [FaceLandmarks(shape.astype(np.float32), np.zeros(4), 1.0, 1.0)]

    class Photo:
        rgb = np.zeros((100, 100, 3), np.uint8)

    monkeypatch.setattr("benchmarks.templates.open_photo", lambda data: Photo)
    differences, missed = compare(tmp_path, Landmarker())
    assert missed == []
    assert len(differences) == 4 * 8
    assert "| chin | 10.0 % | 10.0 % | 10.0 % | 0.0 % |" in table(differences)


def test_a_composite_has_its_mean_shape_beside_it_as_webmorph_expects(tmp_path):
    shape = np.linspace(0.1, 0.9, 468 * 2).reshape(468, 2).astype(np.float32)
    average = Average(np.zeros((64, 64, 3), np.uint8), ["a.jpg"], {}, shape)
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg")
    facts = {"built": True, "n": 1, "render": {}}
    write_composite(tmp_path / "out", "mine", average, facts, tmp_path, tmp_path / "scores.json")
    read = read_template(tmp_path / "out/composite.tem")
    assert np.allclose(read.points, shape * 64, atol=1e-3)
    assert (tmp_path / "out/composite.jpg").is_file()
