"""Files of `torch.save` are read without running them, and take no more memory than they hold."""

import io
import pickle
import tracemalloc
import zipfile

import pytest
import torch
from torch import nn

from facestats.core import checkpoint_files, torch_files
from facestats.core.checkpoint_files import read_checkpoint
from facestats.core.torch_files import DoctoredError, Stranger, read_torch
from facestats.errors import FaultError, ModelError
from facestats.scores.pretrained import load_pretrained

NUMBERS = torch.arange(12.0).reshape(3, 4)


def text(words):
    return b"X" + len(words).to_bytes(4, "little") + words.encode()


def number(value):
    return b"J" + value.to_bytes(4, "little")


def called(name, arguments):
    """A call of a function by name, with the program that leaves its arguments on the stack."""
    module, _, name = name.rpartition(".")
    return f"c{module}\n{name}\n".encode() + b"(" + arguments + b"tR"


def file_with(program):
    """A file of `torch.save` with one storage of 48 bytes and another program."""
    saved, doctored = io.BytesIO(), io.BytesIO()
    torch.save({"w": NUMBERS}, saved)
    with zipfile.ZipFile(saved) as before, zipfile.ZipFile(doctored, "w") as after:
        for name in before.namelist():
            after.writestr(
                name,
                b"\x80\x02" + program + b"." if name.endswith("data.pkl") else before.read(name),
            )
    return doctored.getvalue()


STORAGE = (
    b"("
    + text("storage")
    + b"ctorch\nFloatStorage\n"
    + text("0")
    + text("cpu")
    + number(12)
    + b"tQ"
)


def tensor(size, stride, offset=0):
    """A tensor of the storage, each time in 200 bytes."""
    shape = b"(" + b"".join(map(number, size)) + b"t(" + b"".join(map(number, stride)) + b"t"
    return called(
        "torch._utils._rebuild_tensor_v2",
        STORAGE + number(offset) + shape + b"\x89" + called("collections.OrderedDict", b""),
    )


def doubled(times):
    """Text, of which `hex` makes one twice as long, and so on."""
    program = text("aaaaaaaa")
    for codec in ["latin1", *["hex"] * times]:
        program = called("_codecs.encode", program + text(codec))
    return program


def in_each_other(times):
    """A tuple that holds another one twice, and so on: 2**times parts, all of them hashed."""
    return text("x") + b"".join(b"q%ch%c\x86" % (i, i) for i in range(times))


@pytest.mark.parametrize(
    "program",
    {
        "hex": doubled(60),
        "Tensor": called("torch.Tensor", number(10**6) + number(10**6)),
        "FloatTensor": called("torch.FloatTensor", number(2 * 10**9)),
        "UntypedStorage": called("torch.storage.UntypedStorage", number(2 * 10**9)),
        "set": called("builtins.set", b"]" + in_each_other(60) + b"a"),
        "rebuilt from arrays": called(
            "torch._utils._rebuild_wrapper_subclass", number(10**9) + number(10**9)
        ),
    }.values(),
)
def test_a_function_that_would_take_memory_is_not_called(tmp_path, program):
    data = b"}" + text("epoch") + program + b"s"
    (tmp_path / "m.pt").write_bytes(file_with(data))
    tracemalloc.start()
    content = read_checkpoint(tmp_path / "m.pt")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(content["epoch"], Stranger)
    assert peak < 1_000_000


@pytest.mark.long
@pytest.mark.parametrize(
    ("program", "message"),
    [
        (called("builtins.bytearray", number(2 * 10**9)), "torch.save never writes"),
        (
            b"]"
            + tensor([12], [1])[:-1].replace(b"_v2\n", b"_v2\nq\x01")
            + b"q\x02Ra"
            + b"h\x01h\x02Ra" * 2000,
            "times its bytes",
        ),
        (
            b"]q\x00("
            + b"NN\x86" * 60_000
            + b"e"
            + called("collections.OrderedDict", b"h\x00") * 300,
            "copies one list again and again",
        ),
        (b"N" * 300_000, "more than 200000 steps"),
        (b"(" + b"}" * 70_000 + b"t", "more than 200000 steps"),
        (STORAGE[:-1] + b"q\x00Q" + b"h\x00Q" * 50_001, "more than 50000 tensors"),
        (
            b"]q\x00(" + b"NN\x86" * 100 + b"e" + called("collections.OrderedDict", b"h\x00") * 50,
            "copies one list again and again",
        ),
        (text("a" * 17_000_000), "more than 16 MB"),
        (tensor([1] * 17, [1] * 17), "a shape that is none"),
        (
            called(
                "torch._tensor._rebuild_from_type_v2",
                (b"ctorch._tensor\n_rebuild_from_type_v2\nN)N"),
            ),
            "itself",
        ),
    ],
)
def test_a_program_that_asks_for_more_than_its_file_is_refused(program, message, monkeypatch):
    monkeypatch.setattr(torch_files, "MOST_STEPS", 200_000)
    with pytest.raises(DoctoredError, match=message):
        read_torch(io.BytesIO(file_with(program)))


@pytest.mark.parametrize(
    "shape",
    [([13], [1]), ([10**9, 512], [0, 0]), ([12], [1], 1), ([3, 4], [5, 1])],
)
def test_a_tensor_beyond_its_numbers_is_named(tmp_path, shape):
    (tmp_path / "m.pt").write_bytes(file_with(b"}" + text("net.0.weight") + tensor(*shape) + b"s"))
    with pytest.raises(ModelError, match=r"net\.0\.weight says that it has the shape"):
        read_checkpoint(tmp_path / "m.pt")


def test_keys_that_no_state_dict_has_are_left_out():
    """Hashing them would take for ever, and every name below a long one repeats it."""
    long, deep = text("k" * 2000), in_each_other(60)
    program = b"}" + b"".join(key + b"Ns" for key in (long, deep, text("epoch"), number(3)))
    assert read_torch(io.BytesIO(file_with(program))) == {"epoch": None, 3: None}


LONG = text("k" * 1000)


@pytest.mark.long
@pytest.mark.parametrize(
    ("levels", "content"),
    [
        (8, b"](" + tensor([12], [1]) + b"q\x00" + b"h\x00" * 10_000 + b"e"),
        (
            3,
            b"}("
            + (text("0") + b"}" + text("weight") + tensor([12], [1]) + b"sq\x00")
            + b"".join(text(str(i)) + b"h\x00" for i in range(1, 10_000))
            + b"u",
        ),
    ],
    ids=["tensor", "state dict"],
)
def test_what_is_referred_to_often_takes_no_memory_for_its_names(tmp_path, levels, content):
    """1 MB took 4 GB."""
    program = (b"}" + LONG) * levels + content + b"s" * levels
    (tmp_path / "m.pt").write_bytes(file_with(program))
    tracemalloc.start()
    with pytest.raises(ModelError, match=r"several models|no weights of layers") as caught:
        load_pretrained(tmp_path / "m.pt", 4, (1, 5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
    assert len(str(caught.value)) < 5000


def test_an_old_file_claims_no_more_than_follows():
    head = b"".join(
        pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    text_of_4_gb = b"\x80\x02X\xf0\xff\xff\xff" + b"a" * 100
    with pytest.raises(ValueError, match="expected 4294967280 bytes"):
        read_torch(io.BytesIO(head + text_of_4_gb))
    content = b"\x80\x02}" + text("w") + tensor([12], [1]) + b"s."
    numbers = pickle.dumps(["0"], 2) + (10**9).to_bytes(8, "little") + bytes(48)
    with pytest.raises(DoctoredError, match="cut off"):
        read_torch(io.BytesIO(head + content + numbers))


def test_bytes_in_front_of_an_archive_make_it_none():
    """Otherwise two readers may see two archives in one file."""
    saved = io.BytesIO()
    torch.save({"w": NUMBERS}, saved)
    with pytest.raises(DoctoredError, match=r"does not begin as a file of torch\.save does"):
        read_torch(io.BytesIO(b"\x80\x02N." * 3 + saved.getvalue()))


NET = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize(
    "content",
    [
        NET.state_dict(),
        {"epoch": 3, "lr": 0.5, "best": None, "big": 2**40, "betas": (0.9, 0.99), "on": [True]},
        {"columns": NUMBERS.T, "part": NUMBERS[1:, 2:], "none": NUMBERS[:0], "one": torch.ones(())},
        {str(kind): NUMBERS.to(kind) for kind in (torch.half, torch.bfloat16, torch.long)},
        {"parameter": nn.Parameter(NUMBERS), "buffer": nn.Buffer(NUMBERS), "type": torch.float16},
    ],
)
def test_what_people_save_is_read_as_torch_reads_it(content, old):
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not old)
    file.seek(0)
    read = read_torch(file)
    file.seek(0)
    expected = torch.load(file, weights_only=False)
    assert list(read) == list(expected)
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert read[key].dtype == value.dtype
            assert read[key].stride() == value.stride()
            assert torch.equal(read[key], value.detach())
        else:
            assert read[key] == value


@pytest.mark.parametrize("size", [[12], [13]])
def test_a_name_shows_no_escape_of_a_terminal(tmp_path, size):
    name = "\x1b[2J.weight"
    (tmp_path / "m.pt").write_bytes(file_with(b"}" + text(name) + tensor(size, [1]) + b"s"))
    with pytest.raises(ModelError, match=r"\\x1b\[2J") as caught:
        load_pretrained(tmp_path / "m.pt", 4, (1, 5))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "denied")])
def test_a_disk_that_fails_says_nothing_about_a_checkpoint(tmp_path, monkeypatch, error):
    torch.save({"w": NUMBERS}, tmp_path / "m.pt")

    def fail(_):
        raise error

    monkeypatch.setattr(checkpoint_files, "read_torch", fail)
    with pytest.raises(FaultError, match="That is no fault of the file") as caught:
        load_pretrained(tmp_path / "m.pt", 4, (1, 5))
    assert "dvc repro -f" not in str(caught.value)
