"""What stands as `python` first on PATH of warm projects (tests/warm.py puts constants before it).

It starts in 15 ms, since it takes nothing but modules that are built in.
"""

import _signal
import _socket
import marshal
import os
import sys

SPAWNED = "--multiprocessing-fork"
MOST = 64  # files that a program may inherit


def surroundings() -> list:
    """What a copy has from its parent, not from who asks for it; equal, or the copy is no good."""
    parts = {}
    for name in ("limits", "cgroup", "status"):
        with open(f"/proc/self/{name}", "rb") as file:
            parts[name] = file.read()
    kept = (b"Uid", b"Gid", b"Groups", b"Umask", b"Cap", b"NoNewPrivs", b"Seccomp:")
    status = [line for line in parts["status"].split(b"\n") if line.startswith(kept)]
    links = [os.readlink(f"/proc/self/{n}") for n in ("root", "ns/mnt", "ns/net", "ns/pid")]
    return [parts["limits"], parts["cgroup"], *status, *links, *sorted(os.sched_getaffinity(0))]


def main(words: list[str], real: str, place: str, modules: tuple[str, ...]) -> None:
    """Have the words run by the parent at the socket `place`, or by the `real` Python."""
    script = bool(words) and words[0].endswith(".py")
    module = len(words) > 1 and words[0] == "-m" and words[1] in modules
    if not ((script or module or works_for_another(words)) and _ask(words, place)):
        os.execv(real, [real, *words])


def works_for_another(words: list[str]) -> bool:
    """Whether it is a worker process of pytest-xdist, or of `multiprocessing`."""
    return words[:2] == ["-u", "-c"] or (words[:1] == ["-c"] and words[2:] == [SPAWNED])


def inherited() -> list[int]:
    """The numbers of the open files, of which programs share the first three alone."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:  # of the listing itself
            continue
        found.append(int(name))
    return sorted(found)


def _ask(words: list[str], place: str) -> bool:
    numbers = inherited() if words[2:] == [SPAWNED] else [0, 1, 2]
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        for number in range(3):
            os.fstat(number)
        link.connect(place)
    except OSError:
        return False
    if len(numbers) > MOST:
        return False
    deaf = _signal.getsignal(_signal.SIGINT) == _signal.SIG_IGN
    passed_on = [_signal.SIGTERM] if deaf else [_signal.SIGTERM, _signal.SIGINT]
    before = [_signal.signal(n, lambda n, _: link.send(bytes([n]))) for n in passed_on]
    request = marshal.dumps((words, os.getcwd(), dict(os.environ), surroundings(), deaf, numbers))
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)]
    link.sendmsg([len(request).to_bytes(8, "big")], ancillary)
    link.sendall(request)
    if link.recv(1) == b"R":  # refused
        link.close()
        for number, handler in zip(passed_on, before, strict=True):
            _signal.signal(number, handler)
        return False
    answer = link.recv(4)
    if len(answer) < 4:
        os.write(2, b"the warm parent of tests has ended\n")
        os._exit(1)
    code = int.from_bytes(answer, "big", signed=True)
    if code >= 0:
        os._exit(code)
    if -code in (_signal.SIGTERM, _signal.SIGINT):  # also where pytest itself is deaf to Ctrl-C
        _signal.signal(-code, _signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    os._exit(1)
