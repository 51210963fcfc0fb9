"""A warm parent of programs that tests start: it has imported packages, and forks a copy for each
program.

Starting a stage or DVC takes 0.6 to 4 seconds of a processor, nearly all of them imports. A
`python` that lies first on PATH (`warm_client.py`) hands its words, folder, environment and files
over, passes signals on, and ends as the copy does. What the parent has imported of this project's
own code, the copy imports anew where a file has changed since or where the program has the project
from elsewhere.

Whatever would not be the same in a fresh process goes to one: other users, limits, processors, or
variables that a package may read as it loads, and all words but `python FILE.py`, `python -m dvc`,
`python -m facestats`, and those that pytest-xdist and `multiprocessing` start their workers with.
Copies share one hash seed: tests that hold bytes of two runs against each other start fresh
processes. Linux only; with FACESTATS_COLD=1 all programs start anew.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import fcntl
import gc
import importlib
import io
import marshal
import multiprocessing.spawn
import os
import pkgutil
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import weakref
from collections.abc import Iterator
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

from warm_client import MOST, surroundings

OFF = "FACESTATS_COLD"
FOLDER = "FACESTATS_WARM"  # of the socket, a log and the programs
MODULES = ("dvc", "facestats")  # that `python -m` may name
# Those that are left out cost their time and nothing else.
PACKAGES = [
    "numpy",
    "pandas",
    "pyarrow",
    "pyarrow.parquet",
    "pyarrow.compute",
    "scipy.stats",
    "scipy.optimize",
    "scipy.spatial",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.isotonic",
    "sklearn.cluster",
    "sklearn.decomposition",
    "sklearn.metrics",
    "torch",
    "torch.nn.functional",
    "torch.optim",
    "torch.fx.experimental.symbolic_shapes",
    "safetensors.torch",
    "safetensors.numpy",
    "transformers",
    "transformers.models.clip.modeling_clip",
    "transformers.models.clip.tokenization_clip",
    "PIL.Image",
    "PIL.ImageDraw",
    "PIL.ImageFilter",
    "PIL.ImageFont",
    "PIL.ImageOps",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "cv2",
    "pillow_heif",
    "simplejpeg",
    "ai_edge_litert.interpreter",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "jinja2",
    "tqdm",
    "threadpoolctl",
    "yaml",
    "psutil",
    "pydantic",
    "pydantic.main",
    "pydantic.fields",
    "pydantic.types",
    "pydantic.functional_validators",
    "pydantic.plugin._loader",
    "annotated_types",
    "filelock",
    "dvclive",
    "multiprocessing.pool",
    "multiprocessing.popen_spawn_posix",
    "xml.etree.ElementTree",
    "xml.sax.saxutils",
    "networkx",
    "dulwich",
    "dulwich.porcelain",
    "pyparsing",
    "configobj",
    "platformdirs",
    "dvc.cli",
    "dvc.cli.parser",
    "dvc.main",
    "dvc.repo",
    "dvc.repo.reproduce",
    "dvc.repo.experiments",
    "dvc.repo.status",
    "dvc.commands.repro",
    "dvc.stage.run",
    "dvc.data_cloud",
    "dvc.render.convert",
    "dvc.repo.artifacts",
    "dvc.repo.datasets",
    "dvc.repo.experiments.run",
    "dvc.repo.experiments.show",
    "dvc.repo.experiments.queue.celery",
    "dvc.repo.experiments.queue.tempdir",
    "dvc.repo.graph",
    "dvc.repo.metrics.diff",
    "dvc.repo.open_repo",
    "dvc.repo.plots",
    "dvc.repo.worktree",
    "dvc.utils.hydra",
    "dvc_data.index.checkout",
    "dvc_data.index.fetch",
    "dvc_data.index.push",
    "dulwich.worktree",
    "fsspec.implementations.memory",
    "hydra.compose",
    "hydra._internal.hydra",
    "pygit2",
    "kombu.transport.filesystem",
    "celery.app.amqp",
    "celery.app.events",
    "celery.app.task",
    "celery.backends.filesystem",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.worker",
]
# Of this project, all but what acts as it is imported: 0.3 s of a processor of a short stage's 0.5.
OWN = "facestats"
LEFT_OUT = ("facestats.__main__", "facestats.run.stage")
# Variables that no package reads as it loads, or that a copy reads again.
FREE = {"PATH", "PWD", "OLDPWD", "SHLVL", "_", "PYTHONPATH", "VIRTUAL_ENV"}
FREE |= {"LINES", "COLUMNS"}  # `readline`, which pytest loads, sets them in its own process
FREE |= {"TMPDIR"}  # see `_become`
FREE |= {"_RJEM_MALLOC_CONF"}  # so does polars, for its own memory
FREE_PREFIXES = ("DVC_", "GIT_", "FACESTATS_", "PYTEST_")
FREE_PREFIXES += ("CELERY_", "_MP_FORK_", "AWS_")  # set by celery, of `dvc queue`, and by moto


def start() -> None:
    """Start the parent, which ends with this process; the processes of pytest below find it."""
    if sys.platform == "linux" and not os.environ.get(OFF):
        start.parent, folder = _start_parent({})
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[FOLDER] = str(folder)


@contextlib.contextmanager
def other_parent(**environment: str) -> Iterator[None]:
    """Programs of this block are copies of a parent with further variables, such as the number of
    threads, and with a hash seed of its own.
    """
    before = os.environ.get(FOLDER)
    if before is None:
        yield
        return
    parent, folder = _start_parent(environment)
    os.environ[FOLDER] = str(folder)
    while parent.poll() is None and not (folder / "socket").exists():
        time.sleep(0.01)
    try:
        yield
    finally:
        os.environ[FOLDER] = before
        parent.stdin.close()
        parent.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _start_parent(environment: dict[str, str]) -> tuple[subprocess.Popen, Path]:
    folder = Path(tempfile.mkdtemp(prefix="facestats-warm-"))
    (folder / "bin").mkdir()
    place, source = str(folder / "socket"), Path(__file__).with_name("warm_client.py").read_text()
    for name, words in (("python", "sys.argv[1:]"), ("dvc", "['-m', 'dvc', *sys.argv[1:]]")):
        program = folder / "bin" / name
        call = f"main({words}, {sys.executable!r}, {place!r}, {MODULES!r})"
        program.write_text(f"#!{sys.executable} -IS\n{source}\n\n{call}\n", encoding="utf-8")
        program.chmod(0o755)
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with open(folder / "log", "wb") as log:
        parent = subprocess.Popen(
            [sys.executable, __file__, place],
            env=given | environment,
            stdin=subprocess.PIPE,  # which closes as this process ends
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return parent, folder


def path(search: str) -> str:
    """PATH with the warm programs before all others, where there are any."""
    folder = os.environ.get(FOLDER)
    return f"{folder}/bin{os.pathsep}{search}" if folder else search


def python() -> str:
    """The program to start scripts with that may run in a copy of the warm parent."""
    folder = os.environ.get(FOLDER)
    return f"{folder}/bin/python" if folder else sys.executable


class Parent:
    """Listens at a socket, forks copies, and tells who asked how they ended."""

    def __init__(self, place: str):
        self.before = dict(os.environ)
        self.folder = os.path.dirname(place)
        self.path = sys.path[1:]  # without this script's folder
        self.ready = False
        self.own: dict[str, tuple] = {}  # modules of this project, and what their files were
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(f"{place}.new")
        self.listener.listen(64)
        os.rename(f"{place}.new", place)  # who finds it is heard
        self.events = selectors.DefaultSelector()
        self.events.register(self.listener, selectors.EVENT_READ, self._take)
        self.events.register(sys.stdin.fileno(), selectors.EVENT_READ, sys.exit)  # pytest ended
        self.copies: dict[
            socket.socket, tuple[int, int]
        ] = {}  # process, and a file that tells its end

    def serve(self) -> None:
        try:
            while True:
                for key, _ in self.events.select():
                    if key.fileobj in self.events.get_map():  # it may be gone by the one before
                        key.data()
        finally:
            for process, _ in self.copies.values():
                os.kill(process, signal.SIGKILL)

    def _take(self) -> None:
        link, _ = self.listener.accept()
        try:
            size, files, _, _ = socket.recv_fds(link, 8, MOST)
            request = b""
            while len(request) < int.from_bytes(size, "big"):
                request += (more := link.recv(1 << 20))
                if not more:
                    raise EOFError
        except (OSError, EOFError):  # who asked is gone
            link.close()
            return
        words, folder, environment, around, deaf, numbers = marshal.loads(request)
        self._import_packages()
        why = self._refusal(words, folder, environment, around)
        if why:
            print("refused", words[:2], why, flush=True)
        try:
            link.sendall(b"R" if why else b"A")
        except OSError:  # who asked was killed in the meantime
            why = "gone"
        if why:
            link.close()
        else:
            if not (process := os.fork()):
                self._become(
                    words, folder, environment, dict(zip(numbers, files, strict=True)), deaf
                )
            end = os.pidfd_open(process)
            self.copies[link] = process, end
            self.events.register(end, selectors.EVENT_READ, lambda: self._tell(link))
            self.events.register(link, selectors.EVENT_READ, lambda: self._pass_on(link))
        for file in files:
            os.close(file)

    def _import_packages(self) -> None:
        if self.ready:
            return
        for name in PACKAGES:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        importlib.import_module("fast_dvc").install(self.folder)
        importlib.import_module("dvc.cli.parser").get_main_parser()  # which is kept; 0.1 s
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
        for name in _names_below(importlib.import_module(OWN)):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        del sys.path[0]
        self.own = {name: _source(module) for name, module in _own_modules()}
        for end, facts in weakref.finalize._registry.items():
            if facts.func.__module__ == "torch.library":
                end.atexit = False  # it takes its operators back: 8,000 pages, 0.05 s of each copy
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)  # a look every 700 objects takes 3 % of a processor
        self.ready = True

    def _refusal(self, words: list[str], folder: str, environment: dict, around: list) -> str:
        """Why a copy would not be what a fresh process is; empty: it would."""
        if around != surroundings():
            return "other surroundings"
        for name in {*environment, *self.before, *os.environ} - FREE:
            values = {self.before.get(name), os.environ.get(name)}  # some are set by packages
            if not name.startswith(FREE_PREFIXES) and environment.get(name) not in values:
                return f"another {name}"
        places = [folder if words[0] == "-m" else os.path.join(folder, os.path.dirname(words[0]))]
        places += [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p]
        loaded = {name.partition(".")[0] for name in sys.modules} - {"facestats"} | {
            "sitecustomize"
        }
        for place in places:
            for name in os.listdir(place) if os.path.isdir(place) else []:
                package = os.path.isfile(os.path.join(place, name, "__init__.py"))
                if name.partition(".")[0] in loaded and (package or name.endswith((".py", ".so"))):
                    return f"its own {name}"
        return ""

    def _tell(self, link: socket.socket) -> None:
        """Tell who asked how its copy ended."""
        process, _ = self.copies[link]
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with contextlib.suppress(OSError):
            link.sendall(code.to_bytes(4, "big", signed=True))
        self._forget(link)

    def _pass_on(self, link: socket.socket) -> None:
        """Pass a signal on to the copy; kill it where who asked for it is gone."""
        process, _ = self.copies[link]
        with contextlib.suppress(ConnectionError):
            if number := link.recv(1):
                os.kill(process, number[0])
                return
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        self._forget(link)

    def _forget(self, link: socket.socket) -> None:
        _, end = self.copies.pop(link)
        self.events.unregister(link)
        self.events.unregister(end)
        os.close(end)
        link.close()

    def _become(self, words: list, folder: str, environment: dict, files: dict, deaf: bool) -> None:
        """Go on as the program that was asked for; comes back never."""
        code = 1
        try:
            self.events.close()
            self.listener.close()
            for link, (_, end) in self.copies.items():
                link.close()
                os.close(end)
            _take_files(files)
            signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else signal.default_int_handler)
            os.chdir(folder)
            for name in {*os.environ} - {*environment}:
                del os.environ[name]
            os.environ.update(environment)
            tempfile.tempdir = None
            paths = [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p]
            sys.path[:] = [*paths, *(p for p in self.path if p not in paths)]
            if words[0] == "-u":  # pytest patches what it wants to; what its tests spawn, they kill
                sys.modules["fast_dvc"].uninstall()
            else:
                multiprocessing.spawn.set_executable(f"{self.folder}/bin/python")
            code = _run(words, self.own)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def _take_files(files: dict[int, int]) -> None:
    """Give the files their numbers; the first three are standard input, output and errors, in the
    encodings that this process has.
    """
    above = max(*files, *files.values()) + 1
    for number, file in [*files.items()]:
        files[number] = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, above)
        os.close(file)
    for number, file in files.items():
        os.dup2(file, number)
        os.close(file)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        raw = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115
        new = io.TextIOWrapper(
            raw,
            old.encoding,
            old.errors,
            line_buffering=number == 2 or os.isatty(number),
        )
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _names_below(package: types.ModuleType) -> list[str]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [module.name for module in found if module.name not in LEFT_OUT]


def _own_modules() -> list[tuple[str, types.ModuleType]]:
    return [pair for pair in sys.modules.items() if pair[0].partition(".")[0] == "facestats"]


def _source(module: types.ModuleType) -> tuple:
    """A module's file as it is now."""
    facts = os.stat(module.__file__)
    return module.__file__, facts.st_mtime_ns, facts.st_size, facts.st_ino


def _forget_changed_code(loaded: dict[str, tuple]) -> None:
    """Have this project's modules imported anew where a fresh process would find others."""
    spec = PathFinder.find_spec("facestats")
    with contextlib.suppress(OSError):
        own = {name: _source(module) for name, module in _own_modules()}
        if spec and own == loaded and own["facestats"][0] == spec.origin:
            return
    for name, _ in _own_modules():
        del sys.modules[name]


def _run(words: list[str], own: dict[str, tuple]) -> int:
    """Run a script or module as Python itself does; returns the exit code."""
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    code = 0
    try:
        if words[0] == "-m":
            sys.argv, _ = ["-m", *words[2:]], sys.path.insert(0, os.getcwd())
            _forget_changed_code(own)
            runpy._run_module_as_main(words[1])
        elif words[0] in ("-c", "-u"):
            place = words.index("-c")
            sys.argv, _ = ["-c", *words[place + 2 :]], sys.path.insert(0, "")
            _forget_changed_code(own)
            exec(words[place + 1], main.__dict__)
        else:
            sys.argv = words
            path = os.path.abspath(words[0])
            sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
            _forget_changed_code(own)
            main.__file__, main.__cached__ = path, None
            main.__loader__ = SourceFileLoader("__main__", path)
            with open(path, "rb") as file:
                exec(compile(file.read(), path, "exec"), main.__dict__)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException as error:
        _print(error)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError as error:
        print(f"Exception ignored in: {sys.stdout!r}\n{error}", file=sys.stderr)
        code = code or 120
    sys.stderr.flush()
    if code < 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return code & 0xFF


def _print(error: BaseException) -> None:
    """Its traceback without the lines of this file."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    sys.excepthook(type(error), error.with_traceback(frames), frames)


if __name__ == "__main__":
    Parent(sys.argv[1]).serve()
