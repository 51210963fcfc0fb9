"""The tables of `benchmarks.pipeline`, as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.limits import tower_flop

Round = dict[str, float]


def report(benchmark, rounds: list[Round], facts: str) -> str:
    """Rows with medians and ratios; what bounds the model; start-up; the machine."""
    names = list(benchmark.encoders)
    fast = "bfloat16" if "bfloat16" in names else names[-1]
    lines = [
        f"{len(benchmark.faces)} faces of {len(benchmark.sizes)} photos of "
        f"{median(benchmark.sizes):.0f} px (median of the shorter edge), {len(rounds)} "
        "rounds. "
        f"{facts}",
        "",
        (
            "| | plain, ms an image | ours, ms an image | ours, images a second | times as "
            "fast (least–most) |"
        ),
        "|---|---|---|---|---|",
        _row(
            "photo → aligned 512 px face", rounds, lambda r: r["resize plain"], lambda r: r["crop"]
        ),
        _row(
            "the same, start-up of its workers left in",
            rounds,
            lambda r: r["resize plain"],
            lambda r: r["crop with start-up"],
        ),
    ]
    lines += [
        _row(
            f"face → embedding, {name}",
            rounds,
            lambda r: r["embed plain"],
            lambda r, name=name: r[f"seconds {name}"],
        )
        for name in names
    ]
    lines += [
        _row(
            f"photo → embedding in all, {name}",
            rounds,
            lambda r: r["resize plain"] + r["embed plain"],
            lambda r, name=name: r["crop"] + r[f"seconds {name}"],
        )
        for name in dict.fromkeys(("float32", fast))
    ]
    flop = tower_flop(benchmark.model.config.vision_config)
    lines += [
        "",
        f"An image is {flop / 1e9:.2f} GFLOP. The limit is the faster of two products "
        "timed in "
        "the same round: the tower's own shapes with packed weights, and one large "
        "`torch.matmul` of squares.",
        "",
        "| | limit, GFLOP/s (shapes; squares) | face → embedding, share of it | model "
        "alone, "
        "share of it | cores' time decoding | model waiting | least cosine to plain | the "
        "same, means subtracted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names:

        def limit(r: Round, name: str = name) -> float:
            return max(
                rate
                for key, rate in r.items()
                if key.startswith("rate ") and key.endswith(f" {name}")
            )

        kinds = "; ".join(
            f"{median(r[f'rate {kind} {name}'] for r in rounds) / 1e9:.0f}"
            if f"rate {kind} {name}" in rounds[0]
            else "–"
            for kind in ("tower", "square")
        )
        shares = [
            median(part(r) for r in rounds)
            for part in (
                lambda r, name=name: flop / r[f"seconds {name}"] / limit(r),
                lambda r, name=name: flop / r[f"model {name}"] / limit(r),
                lambda r, name=name: r[f"decoding {name}"],
                lambda r, name=name: r[f"waiting {name}"],
            )
        ]
        raw, centred = benchmark.cosines[name]
        lines.append(
            f"| {name} | {kinds} | {' | '.join(f'{share:.0%}' for share in shares)} | "
            f"{raw:.6f} | {centred:.4f} |"
        )
    start_up = benchmark.start_up | {
        "ours: preprocess_folder": median(r["start-up of preprocess_folder"] for r in rounds)
    }
    lines += [
        "",
        f"Decoding alone, all cores: {1e3 * median(r['decoder'] for r in rounds):.1f} ms a face.",
        "",
        "Start-up, seconds: "
        + "; ".join(f"{name} {value:.1f}" for name, value in start_up.items())
        + ".",
    ]
    return "\n".join(lines)


def _row(
    name: str, rounds: list[Round], plain: Callable[[Round], float], ours: Callable[[Round], float]
) -> str:
    ratios = [plain(r) / ours(r) for r in rounds]
    seconds = median(ours(r) for r in rounds)
    return (
        f"| {name} | {1e3 * median(plain(r) for r in rounds):.1f} | {1e3 * seconds:.1f} | "
        f"{1 / seconds:.1f} | {median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) |"
    )
