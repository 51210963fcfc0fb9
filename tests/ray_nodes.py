"""A Ray cluster of several nodes on this machine, on which a project's rows are filled.

    python tests/ray_nodes.py ROOT NODES PHOTOS [--kill]

PHOTOS is the size of a batch. With `--kill`, the first node that has done one, and is not the
head, is killed then. Prints what `rows fill` prints.
"""

import argparse
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

from facestats.__main__ import main
from facestats.cli import rows_ray
from facestats.cli.rows_work import Report

STORE = 80 * 2**20  # bytes
# A node that is gone is missed after two seconds, not ten.
CHECKS = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}


def fill(root: Path, count: int, kill: bool) -> int:
    """Run `rows fill` on so many nodes; returns its exit code."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "object_store_memory": STORE,
            "include_dashboard": False,
            "_system_config": CHECKS,
        },
    )
    others = {}
    for _ in range(count - 1):
        node = cluster.add_node(num_cpus=1, object_store_memory=STORE)
        others[node.node_id[:6]] = node
    if kill:
        _kill_first(cluster, others)
    try:
        return main(
            ["rows", "fill", "--engine", "ray", "--address", cluster.address, "--root", str(root)]
        )
    finally:
        cluster.shutdown()


def _kill_first(cluster: Cluster, others: dict) -> None:
    add = rows_ray.Totals.add

    def add_and_kill(totals: rows_ray.Totals, stage: str, text: str) -> None:
        add(totals, stage, text)
        number = Report.from_json(text).node.partition("(")[2][:6]
        if number in others:
            cluster.remove_node(others[number], allow_graceful=False)
            others.clear()
            print(f"killed {number} after a batch of {stage}", flush=True)

    rows_ray.Totals.add = add_and_kill


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("nodes", type=int)
    parser.add_argument("photos", type=int)
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    rows_ray.PHOTOS = options.photos
    sys.exit(fill(options.root, options.nodes, options.kill))
