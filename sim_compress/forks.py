"""Locks and forks.

A forked child has the thread that forked alone, and memory as the other threads had it: a lock that one of
them held is never released there.
"""

import functools
import os
import sys
import threading
from typing import Any, Protocol
from weakref import WeakSet


class Lock(Protocol):
    """A lock that a thread may take twice."""

    def acquire(self) -> Any: ...

    def release(self) -> Any: ...


class Owner(Protocol):
    """What has locks or threads."""

    def after_fork(self) -> None:
        """Take new locks, and leave the threads that are not here."""
        ...


def held(lock: Lock) -> None:
    """Fork only while no other thread has the lock: what it guards is whole in the child.

    A thread that has one such lock must not wait for another.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def renewed(owner: Owner) -> None:
    """Call `after_fork` in every child as long as the owner lives."""
    _OWNERS.add(owner)


_OWNERS: WeakSet[Any] = WeakSet()


def _renew() -> None:
    for owner in _OWNERS:
        owner.after_fork()


def _renew_properties() -> None:
    """Until Python 3.12 a cached property has a lock that is held while it is computed."""
    package = __name__.partition(".")[0]
    modules = [m for name, m in list(sys.modules.items()) if name.partition(".")[0] == package]
    classes = {c for module in modules for c in vars(module).values() if isinstance(c, type)}
    for found in (p for c in classes for p in vars(c).values()):
        if isinstance(found, functools.cached_property):
            vars(found)["lock"] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
    if sys.version_info < (3, 12):
        os.register_at_fork(after_in_child=_renew_properties)
