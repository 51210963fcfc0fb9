"""The tokenizer of a CLIP variant: the ids of a text's tokens.

One that takes CLIP's own steps is read in this process. Any other is asked in a process that ends
at the limits of time and memory.
"""

from __future__ import annotations

import math
import shutil
import threading
import weakref
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from facestats.checkpoints.folder import CONFIG, TOKENIZER_FILES
from facestats.errors import ModelError
from facestats.machine.child import Children
from facestats.machine.faults import is_fault
from facestats.machine.limits import CrashError, Limits, OverLimitError
from facestats.prompts.plain import is_plain

TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
LIMITS = Limits(30, 1 << 30)  # of loading, and of a text
MOST_IDS = 1 << 16  # of a text
WAY_OUT = (
    "choose a clip.variant with a text tower, or switch zero-shot off with `zeroshot: {}` "
    "(`-S zeroshot=null`)"
)
_children = Children("facestats.prompts.tokenizer_process", LIMITS, "a tokenizer")
_lock = threading.Lock()  # one process for all


class Tokenizer:
    """A CLIP variant's own tokenizer.

    Parameters
    ----------
    model_dir : Path
        Folder in Hugging Face layout.

    Attributes
    ----------
    context : int
        Most tokens of a text, with those that begin and end it, as its settings say.
    end : int or None
        The token that ends a text.

    Raises
    ------
    ModelError
        There is none, or it takes more time or memory than `LIMITS`.
    ValueError
        It can't be loaded.
    """

    def __init__(self, model_dir: Path):
        if not any(all((model_dir / name).is_file() for name in names) for names in TOKENIZERS):
            raise ModelError(
                f"{model_dir} has no tokenizer (tokenizer.json, or vocab.json and merges.txt), "
                f"so prompts can't be read; {WAY_OUT}"
            )
        self._file = next(
            model_dir / names[0] for names in TOKENIZERS if (model_dir / names[0]).is_file()
        )
        if is_plain(model_dir):
            from transformers import CLIPTokenizer

            self._own = load(CLIPTokenizer, model_dir)
            self.context, self.end = _facts(self._own.model_max_length, self._own.eos_token_id)
            return
        self._own = None
        # A process may start when other files lie in the folder: `dvc checkout` replaces them.
        self._copy = Path(mkdtemp(prefix="facestats-"))
        weakref.finalize(self, shutil.rmtree, self._copy, ignore_errors=True)
        for name in (CONFIG, *TOKENIZER_FILES):
            if (model_dir / name).is_file():
                shutil.copyfile(model_dir / name, self._copy / name)
        answer = self._ask({})
        if "context" not in answer:
            raise ValueError(self._reason(answer))
        self.context, self.end = _facts(answer["context"], answer.get("end"))

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, whole.

        Raises
        ------
        ModelError
            It can't read the text, its tokens are very many, or they take more time or memory
            than `LIMITS`.
        """
        if self._own is not None:
            try:
                return self._own(text)["input_ids"]
            except Exception as error:  # the tokenizers library raises nothing more precise
                if is_fault(error):
                    raise
                raise self._unreadable(str(error)) from None
        answer = self._ask({"text": text})
        ids = answer.get("ids")
        if not isinstance(ids, list) or not all(
            isinstance(each, int) and each >= 0 for each in ids
        ):
            raise self._unreadable(self._reason(answer))
        return ids

    def _unreadable(self, reason: str) -> ModelError:
        return ModelError(f"{self._file} can't read a text ({reason}); {WAY_OUT}")

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            with _lock:
                answer, _ = _children.call({"folder": str(self._copy), **question}, b"")
        except (OverLimitError, CrashError) as error:
            raise self._over(error) from None
        if "over" in answer:
            raise self._over(answer["over"])
        return answer

    def _over(self, reason: object) -> ModelError:
        return ModelError(
            f"{self._file} takes more than {LIMITS.seconds} s of a processor or "
            f"{LIMITS.memory >> 30} GB of memory, or ends what reads it ({reason}); {WAY_OUT}"
        )

    def _reason(self, answer: dict[str, Any]) -> str:
        return str(answer.get("error")).replace(str(self._copy), str(self._file.parent))


def load(tokenizer_class: Any, folder: Path) -> Any:
    """A tokenizer of transformers, from the files of a folder alone.

    Raises
    ------
    ValueError
        It can't be loaded.
    """
    try:
        return tokenizer_class.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except MemoryError:
        raise
    except Exception as error:  # the tokenizers library raises nothing more precise
        raise ValueError(f"tokenizer: {error}") from None


def _facts(context: object, end: object) -> tuple[int, int | None]:
    """Two settings of a tokenizer, if they are numbers."""
    if not isinstance(context, int | float) or not 1 <= context < math.inf:
        raise ValueError(f"tokenizer: model_max_length is {str(context)[:100]!r}")
    if end is not None and not (isinstance(end, int) and end >= 0):
        raise ValueError(f"tokenizer: the token that ends a text is {str(end)[:100]!r}")
    return int(context), end
