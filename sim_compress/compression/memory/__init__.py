"""Memory of a run, planned before any work: what each part takes, and how it is done in what there is."""

from sim_compress.compression.memory.parts import Part
from sim_compress.compression.memory.plan import MemoryPlan, Room, memory_plan

__all__ = ["MemoryPlan", "Part", "Room", "memory_plan"]
