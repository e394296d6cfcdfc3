"""From `mesh.toml` and the environment to a checked `Config` that knows where each value is from.

`MESH_<TABLE>__<KEY>` overrides the file; its value is TOML, a bare word is a string.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from common.config.schema import Config, ProjectConfig
from common.config.sense import check_sense
from common.errors import ConfigError
from common.paths import MeshPaths, refuse_if_shared

_ENV_KEY = re.compile(r"^MESH_([A-Z]+)__([A-Z0-9_]+)$")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: `default`, `mesh.toml` or an environment variable's name."""

    table: str
    key: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """`sources`: by table and key, what set a value otherwise than its default."""

    config: Config
    paths: MeshPaths
    sources: Mapping[tuple[str, str], str]

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Every value with where it is from."""
        return tuple(_origins(self.config, self.sources))


def load_config(env: Mapping[str, str]) -> LoadedConfig:
    """Read and check everything; ConfigError names the key, the fault and the nearest match."""
    paths = MeshPaths.from_env(env)
    raw = _read_file(paths.config_file)
    sources = {
        (table, key): paths.config_file.name
        for table, values in raw.items()
        if isinstance(values, dict)
        for key in values
    }
    for name, table, key, value in _overrides(env):
        raw.setdefault(table, {})[key] = value
        sources[table, key] = name
    _refuse_unknown(raw, paths.config_file, sources)
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_readable(error, sources, paths.config_file)) from error
    check_sense(config)
    return LoadedConfig(config, paths, sources)


def _read_file(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
        refuse_if_shared(file)
        return tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error


def _overrides(env: Mapping[str, str]) -> Iterator[tuple[str, str, str, Any]]:
    for name in sorted(env):
        if match := _ENV_KEY.match(name):
            yield name, match[1].lower(), match[2].lower(), _toml_value(env[name])


def _toml_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A text with a line break could define further keys: then it is no TOML value.
    return parsed["value"] if parsed.keys() == {"value"} else text


def _fields(struct: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(struct)]


def _refuse_unknown(
    raw: dict[str, Any], file: Path, sources: Mapping[tuple[str, str], str]
) -> None:
    tables = {field.name: field.type for field in msgspec.structs.fields(Config)}
    for table, values in raw.items():
        if table not in tables:
            set_by = next((s for (t, _), s in sources.items() if t == table), file.name)
            where = _where(set_by, file)
            raise ConfigError(f"{where}: unknown table [{table}]{_nearest(table, list(tables))}")
        if not isinstance(values, dict):
            raise ConfigError(f"{file}: {table} must be a table, [{table}]")
        known = _fields(tables[table])
        for key in values:
            if key not in known:
                where = _where(sources.get((table, key), file.name), file)
                raise ConfigError(f"{where}: unknown key {table}.{key}{_nearest(key, known)}")
    projects = raw.get("agent", {}).get("projects", {})
    for project, values in projects.items() if isinstance(projects, dict) else ():
        known = _fields(ProjectConfig)
        for key in values if isinstance(values, dict) else ():
            if key not in known:
                where = f"agent.projects.{project}.{key}"
                raise ConfigError(f"{file}: unknown key {where}{_nearest(key, known)}")


def _where(source: str, file: Path) -> str:
    return str(file) if source == file.name else source


def _nearest(word: str, known: list[str]) -> str:
    import difflib

    if match := difflib.get_close_matches(word, known, n=1, cutoff=0.5):
        return f". Did you mean {match[0]}?"
    return f". Known are: {', '.join(sorted(known))}."


def _readable(
    error: msgspec.ValidationError, sources: Mapping[tuple[str, str], str], file: Path
) -> str:
    """`Expected `int`, got `str` - at `$.agent.slots`` as a sentence with the value's origin."""
    text, _, path = str(error).partition(" - at `$.")
    path = path.rstrip("`")
    table, _, key = path.partition(".")
    source = sources.get((table, re.split(r"[.\[]", key)[0]), file.name)
    text = text.replace("`", "") + _choices(table, key)
    return f"{_where(source, file)}: {path or 'value'}: {text}"


def _choices(table: str, key: str) -> str:
    """The words a key may have, where they are few."""
    types = get_type_hints(Config)
    kind = get_type_hints(types[table]).get(key) if table in types else None
    words = get_args(kind) if get_origin(kind) is Literal else ()
    return f"; it is one of {', '.join(words)}" if words else ""


def _origins(config: Config, sources: Mapping[tuple[str, str], str]) -> Iterator[Origin]:
    for table in _fields(Config):
        values = getattr(config, table)
        for key in _fields(type(values)):
            source = sources.get((table, key), "default")
            yield Origin(table, key, getattr(values, key), source)
