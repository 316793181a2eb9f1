"""Changes of JSON values: keys, kinds and numbers, at the borders of what a reader may take."""

from collections.abc import Iterator
from random import Random
from typing import Any

from tools.fuzz import numbers

Place = tuple[Any, Any]
WORDS = ("", "relu", "identity", "inf", "float16", "float64", "bias.0", "A.0.0", "\ud800", "x" * 1000)
OTHERS: tuple[Any, ...] = (
    *(True, False, None, [], {}, [0], [-1], [1] * 9, [2**31 - 1] * 3, [[[[]]]], [1.5]),
    *({"name": "relu"}, {"source": 0}),
)


def edit(rng: Random, value: Any) -> None:
    """One change somewhere inside a JSON object or array; half of the time a value stays of its type."""
    places = list(walk(value))
    if not places:
        return
    holder, key = rng.choice(places)
    if rng.random() < 0.5:
        typed(rng, holder, key)
    else:
        any_change(rng, holder, key)


def walk(value: Any) -> Iterator[Place]:
    """Every place in a JSON value: the object or array, and the key or index."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from walk(value[key])


def typed(rng: Random, holder: Any, key: Any) -> None:
    """Another value of the same type, so that it passes what only looks at types."""
    match holder[key]:
        case bool(found):
            holder[key] = not found
        case int(found):
            holder[key] = rng.choice((found + 1, found - 1, 2 * found, -found, numbers.integer(rng)))
        case float():
            holder[key] = rng.choice((numbers.real(rng), numbers.usual(rng)))
        case str():
            holder[key] = rng.choice(WORDS)
        case list(found) if found:
            rearrange(rng, found)
        case dict(found) if found:
            del found[rng.choice(list(found))]


def rearrange(rng: Random, found: list[Any]) -> None:
    """One entry of a list repeated, left out, or in another place."""
    place, other = rng.randrange(len(found)), rng.randrange(len(found))
    match rng.randrange(4):
        case 0:
            found.insert(place, found[other])
        case 1:
            del found[place]
        case 2:
            found[place], found[other] = found[other], found[place]
        case _:
            found[place] = found[other]


def any_change(rng: Random, holder: Any, key: Any) -> None:
    """Another value of any type, or none."""
    chosen = rng.choice(
        (numbers.integer(rng), numbers.real(rng), rng.choice(WORDS), rng.choice(OTHERS), rng.choice(OTHERS))
    )
    match rng.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, chosen)
        case 2:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            holder[key] = holder[rng.choice(keys)]
        case _:
            holder[key] = chosen
