"""A Ray cluster of two nodes on this machine: prints its address, and ends when its input does.

A line of input kills the node that is not the head.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    Cluster = import_module("ray.cluster_utils").Cluster
    memory = {"object_store_memory": 100 * 2**20, "num_cpus": 1}
    cluster = Cluster(initialize_head=True, head_node_args={**memory, "include_dashboard": False})
    other = cluster.add_node(**memory)
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(other, allow_graceful=False)
        print("killed", flush=True)
    cluster.shutdown()
