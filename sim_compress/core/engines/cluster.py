"""Which Ray cluster is taken, and whether its workers give the same bytes as this process.

The cluster is the one that is named, by RAY_ADDRESS too, else one that runs on this machine, else one started
here for as long as the engine lives.
"""

import os
import socket
from pathlib import Path
from typing import Any

from sim_compress.compilation.environment import environment
from sim_compress.errors import InputError

ADDRESS = "RAY_ADDRESS"
SCHEME = "ray://"
# How the notice of a cluster begins that takes the memory of this machine.
STARTED = "engine 'ray': started a cluster of its own"
# Seconds for a connection to a cluster that is named.
PATIENCE = 5.0


def connected(cluster: Any, workers: int, address: str | None = None) -> str:
    """Join the cluster that is named or found, else start one; says which.

    Raises:
        InputError: the cluster that is named, or one that was found, cannot be joined.
    """
    named = address or os.environ.get(ADDRESS, "")
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if named != "local" and _answers(named):
        try:
            cluster.init(address=address or "auto", **quiet)
            return joined(cluster)
        except ConnectionError as error:
            if named not in ("", "auto"):
                raise _unreachable(named, error) from error
        # Of these the last says that a package of Ray is missing.
        except (RuntimeError, ValueError, ImportError) as error:
            raise _unreachable(named or "found on this machine", error) from error
    cluster.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    return f"{STARTED} on this machine, with {workers} processors"


def joined(cluster: Any) -> str:
    """Says which cluster this process is connected to."""
    address = cluster.get_runtime_context().gcs_address
    processors = int(cluster.cluster_resources().get("CPU", 0))
    return f"engine 'ray': joined the cluster at {address}, which has {processors} processors"


def check_nodes(cluster: Any) -> None:
    """Ask every node.

    Raises:
        InputError: a node has another processor or release of a package, or no package; its name and both.
    """
    nodes = [node for node in cluster.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    # A resource that a node alone has sends a task there.
    only = [{f"node:{node['NodeManagerAddress']}": 1e-3} for node in nodes]
    asked = [cluster.remote(num_cpus=0, resources=own)(environment).remote() for own in only]
    ours = environment()
    for node, answer in zip(nodes, asked, strict=True):
        place = node["NodeManagerHostname"]
        try:
            theirs = cluster.get(answer)
        # Unpickling the question imports this package.
        except cluster.exceptions.RayTaskError as error:
            raise InputError(
                f"engine 'ray': node {place} has no sim-compress ({error.cause}): install it"
            ) from error
        for name, wanted in ours.items():
            if theirs[name] != wanted:
                raise InputError(
                    f"engine 'ray': node {place} has {name} {theirs[name]}, this process {wanted}: results "
                    "could differ in their last bits, so take nodes of one kind with the same releases"
                )


def _answers(named: str) -> bool:
    """Whether something listens at HOST:PORT, named or left in Ray's file; Ray itself would wait for minutes.

    Raises:
        InputError: nothing does where the user named it.
    """
    left = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    address = named if named not in ("", "auto") else left.read_text() if left.is_file() else ""
    host, _, port = address.strip().removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return True
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        if address == named:
            raise _unreachable(named, error) from error
        return False
    return True


def _unreachable(address: str, error: Exception) -> InputError:
    return InputError(
        f"engine 'ray': the cluster {address} cannot be joined ({' '.join(str(error).split())}): check "
        f"{ADDRESS}, or set it to 'local' for a cluster of its own"
    )
