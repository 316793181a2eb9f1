"""Deflate streams (RFC 1951, without a header): the shortest of a few, and back within a known size."""

import zlib

from sim_compress.errors import ArtifactError

RAW = -zlib.MAX_WBITS
MEMORY_LEVEL = 9
# Symbols that repeat no stretch are shortest with Huffman codes alone; patterns repeat.
SYMBOLS = (zlib.Z_HUFFMAN_ONLY,)
PATTERNS = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY)


def deflated(data: bytes, strategies: tuple[int, ...] = PATTERNS, window: bytes = b"") -> bytes:
    """The shortest stream that one of zlib's strategies gives.

    Args:
        window: what the stream may refer to as if it stood before it.
    """
    return min((_packed(data, strategy, window) for strategy in strategies), key=len)


def _packed(data: bytes, strategy: int, window: bytes) -> bytes:
    packer = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, RAW, MEMORY_LEVEL, strategy, window)
    return packer.compress(data) + packer.flush()


def inflated(stream: bytes | memoryview, most: int, window: bytes = b"") -> bytes:
    """The bytes of exactly one stream; no more than `most` + 1 of them are made.

    Args:
        window: what the stream may refer to as if it stood before it.

    Raises:
        ArtifactError: the stream is damaged, longer than `most`, cut short or followed by more.
    """
    data, used = inflated_front(stream, most, window)
    if used < len(stream):
        raise ArtifactError(f"expected one deflate stream, found {len(stream) - used} more bytes behind it")
    return data


def inflated_front(stream: bytes | memoryview, most: int, window: bytes = b"") -> tuple[bytes, int]:
    """The bytes of the first stream, and how many bytes that stream takes.

    Raises:
        ArtifactError: the stream is damaged, longer than `most` or cut short.
    """
    unpacker = zlib.decompressobj(RAW, window)
    try:
        data = unpacker.decompress(stream, most + 1)
    except zlib.error as error:
        raise ArtifactError(f"expected a deflate stream, found an error: {error}") from error
    if len(data) > most:
        raise ArtifactError(f"expected at most {most} bytes in the deflate stream, found more")
    if not unpacker.eof:
        raise ArtifactError("expected a whole deflate stream, found the beginning of one")
    return data, len(stream) - len(unpacker.unused_data)
