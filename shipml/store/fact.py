"""Facts with a type: one codec between frozen dataclasses and what the store keeps as JSON."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shipml.errors import ShipmlError
from shipml.oci.digest import Digest
from shipml.store.files import BlobStore

__all__ = ["Fact", "decode", "encode", "read_fact"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """Facts of one kind. The kind carries its version: a fact of another shape has another kind."""

    kind: str
    shape: type[T]
    """A frozen dataclass of str, int, float, bool, Digest, tuples, lists, dicts, unions with None, and of its like."""

    def last(self, store: BlobStore, key: str) -> T | None:
        """What is kept, or borrowed, under `key`; None where there is nothing, or something of another shape."""
        return read_fact(store, self.kind, key, lambda kept: typing.cast("T", decode(kept, self.shape)))

    def keep(self, store: BlobStore, key: str, value: T) -> None:
        """Keep a value under `key`, in place of what was there."""
        store.keep_fact(self.kind, key, encode(value))


def read_fact(store: BlobStore, kind: str, key: str, read: Callable[[Any], T | None]) -> T | None:
    """What `read` makes of what is kept; None where there is nothing, or something of another shape.

    `read` may fail in any way that a wrong shape makes it fail.
    """
    kept = store.fact(kind, key)
    if kept is None:
        return None
    try:
        return read(kept)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError, ShipmlError):
        return None


def encode(value: object) -> object:
    """The value as JSON: a dataclass is an object of its fields, a digest is text."""
    if isinstance(value, Digest):
        return str(value)
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value


def decode(document: object, shape: Any) -> object:  # noqa: ANN401, PLR0911  (any type of a field; a table of shapes)
    """What `encode` made of a value of this type. Fields that have defaults may be missing; others are ignored.

    Raises:
        TypeError: the document has another shape.
        UntrustedInputError: a digest is malformed.
    """
    if shape is Any:
        return document
    if shape is Digest:
        return Digest.parse(_checked(document, str))
    if dataclasses.is_dataclass(shape):
        return _decode_fields(_checked(document, dict), typing.cast("type[Any]", shape))
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin is tuple:
        items = _checked(document, list)
        if arguments[1:] == (Ellipsis,):
            return tuple(decode(item, arguments[0]) for item in items)
        return tuple(decode(item, argument) for item, argument in zip(items, arguments, strict=True))
    if origin is list:
        return [decode(item, arguments[0]) for item in _checked(document, list)]
    if origin is dict:
        return {name: decode(item, arguments[1]) for name, item in _checked(document, dict).items()}
    if origin in {typing.Union, types.UnionType}:
        return None if document is None else decode(document, next(one for one in arguments if one is not type(None)))
    if shape is float and type(document) is int:
        return float(document)
    return _checked(document, shape)


def _decode_fields(document: dict[str, Any], shape: type[Any]) -> object:
    hints = typing.get_type_hints(shape)
    known = [field.name for field in dataclasses.fields(shape) if field.name in document]
    return shape(**{name: decode(document[name], hints[name]) for name in known})


def _checked(document: object, shape: type[T]) -> T:
    if typing.get_origin(shape) is typing.Literal and document in typing.get_args(shape):
        return typing.cast("T", document)
    if type(document) is not shape:  # True is not a number
        raise TypeError(f"{type(document).__name__} instead of {shape.__name__}")
    return document
