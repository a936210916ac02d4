"""From an ini file's strings to typed, frozen settings; what is wrong is said in one line and ends the start.

Every group of keys has one owner, and the owner has one frozen dataclass: ``feed.push_limit`` is the field
``push_limit`` of the dataclass that is read with the prefix ``feed``. A variable of the environment goes
before the file: ``PHOTOAPP_TIER_STORAGE_SECRET_KEY`` is ``tier.storage.secret_key``. So secrets need not
stand in it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pyramid.config import Configurator

from photoapp.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_TRUTH = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


def parse_settings(
    cls: type[T],
    prefix: str,
    settings: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
    *,
    besides: Iterable[str] = (),
) -> T:
    """The dataclass ``cls`` filled from the keys ``<prefix>.<field>``.

    Fields are str, int, float, bool, Path, tuple[str, ...] (separated by white space or commas), or one of
    these or None (an empty value is None). ``besides`` names further keys of the group, which another owner
    reads. ``environ`` overrides ``settings``; None overrides nothing. A ``ValueError`` of
    ``cls.__post_init__`` is the owner's way to refuse a value.

    Raises ``ConfigurationError`` for a key that is unknown, missing or of the wrong type. A field whose
    metadata says ``secret`` has its value in no message, and must not be in the repr (``TypeError``).
    """
    fields = {each.name: each for each in dataclasses.fields(cls) if each.init}
    _refuse_unknown(prefix, settings, {*fields, *besides})
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, each in fields.items():
        key, secret = f"{prefix}.{name}", bool(each.metadata.get("secret"))
        if secret and each.repr:
            raise TypeError(f"{cls.__qualname__}.{name} is a secret and must have repr=False")
        text = value_of(key, settings, environ)
        if text is not None:
            values[name] = parse_value(key, hints[name], text, secret=secret)
        elif each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            raise ConfigurationError(f"{key} is missing; set it in the ini file or as {variable(key)}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigurationError(f"{prefix}: {error}") from error


def refuse_unknown_groups(settings: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise ``ConfigurationError`` for a key ``<group>.<field>`` of a group that nobody reads: a misspelt one."""
    groups = set(known)
    for key in settings:
        group, dot, _ = key.partition(".")
        if dot and group not in groups:
            raise ConfigurationError(f"unknown setting {key}{suggestion(group, groups)}")


def settings_of(config: Configurator, cls: type[T], prefix: str) -> T:
    """``parse_settings`` on the settings of an application that is being configured, the environment's before them."""
    return parse_settings(cls, prefix, config.registry.settings, os.environ)


def value_of(key: str, settings: Mapping[str, str], environ: Mapping[str, str] | None = None) -> str | None:
    """The text of one key, the environment's before the file's; None if neither has it."""
    text = (environ or {}).get(variable(key), settings.get(key))
    return None if text is None else text.strip()


def variable(key: str) -> str:
    """The name of the environment's variable that overrides a key."""
    return "PHOTOAPP_" + re.sub(r"\W", "_", key).upper()


def parse_value(key: str, kind: Any, text: str, *, secret: bool = False) -> Any:
    """One value of a field annotated ``kind``. Raises ``ConfigurationError``, which shows no secret."""
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        if not text:
            return None
        kind = next(each for each in typing.get_args(kind) if each is not types.NoneType)
    try:
        return _PARSERS[kind](text)
    except (ValueError, KeyError) as error:
        if kind not in _PARSERS:
            raise TypeError(f"{key}: settings cannot be of the type {kind}") from error
        shown = "its value" if secret else repr(text)
        raise ConfigurationError(f"{key}: {shown} is not {_NAMES[kind]}") from None


def suggestion(word: str, known: Iterable[str]) -> str:
    """``"; did you mean x?"`` for the known word that is nearest, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _refuse_unknown(prefix: str, settings: Mapping[str, str], known: set[str]) -> None:
    for key in settings:
        group, dot, name = key.partition(f"{prefix}.")
        if group or not dot or name in known:
            continue
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"did you mean {prefix}.{near[0]}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        raise ConfigurationError(f"unknown setting {key}; {hint}")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", text) if word)


def _path(text: str) -> Path:
    if not text:
        raise ValueError(text)  # Path("") is the working directory, which nobody means by an empty line
    return Path(text).expanduser().absolute()


_PARSERS: dict[Any, Any] = {
    str: str,
    int: int,
    float: _number,
    bool: lambda text: _TRUTH[text.lower()],
    Path: _path,
    tuple[str, ...]: _words,
}
_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}
