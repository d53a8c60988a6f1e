"""Worlds by name: ours first, then every one that gymnax registers.

A world is registered as a factory or as the text ``"module:attribute"`` of one, so that this
module imports no world (and starts no backend) before one is made.
"""

import dataclasses
import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["available", "change", "make", "register"]

Factory = Callable[..., Any]

_FACTORIES: dict[str, Factory | str] = {
    "MaskedCartPole-v1": "envs_jax.games.masked_cartpole:MaskedCartPole",
    "Spread-particles": "envs_jax.particles.spread:Spread",
    "Reference-particles": "envs_jax.particles.reference:Reference",
    "SpeakerListener-particles": "envs_jax.particles.speaker_listener:SpeakerListener",
    "Pushing-v1": "envs_jax.pushing.env:Pushing",
    "Platformer-v1": "envs_jax.platformer.env:Platformer",
    "Quadruped-v1": "envs_jax.quadruped.env:Quadruped",
}

# Which kinds of number (numpy's letters) a parameter takes, by the kind of its default.
_ACCEPTED_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "U": "U"}


def register(env_id: str, factory: Factory | str) -> None:
    """Add a world to those that `make` knows; it may shadow one of gymnax's.

    Args:
        env_id: its name.
        factory: makes the environment, or ``"module:attribute"`` that does. Its named arguments
            can be given to `make`.

    Raises:
        ValueError: for an empty or taken name, or a factory of neither kind.
    """
    if not isinstance(env_id, str) or not env_id:
        raise ValueError(f"environment id {env_id!r}: expected a non-empty text")
    if env_id in _FACTORIES:
        raise ValueError(f"environment id {env_id!r} is taken: expected one that is not registered")
    if not callable(factory) and (not isinstance(factory, str) or factory.count(":") != 1):
        raise ValueError(f"factory {factory!r}: expected a callable or 'module:attribute'")
    _FACTORIES[env_id] = factory


def available() -> tuple[str, ...]:
    """Every name that `make` knows: ours, then gymnax's in its order."""
    from gymnax import registered_envs

    return (*_FACTORIES, *(name for name in registered_envs if name not in _FACTORIES))


def make(env_id: str, **overrides: Any) -> tuple[Any, Any]:
    """Make a world.

    Args:
        env_id: one of `available`, or ``"module:attribute"`` of a factory.
        overrides: fields of the world's parameters, or arguments of its constructor (such as
            ``map_name`` of FrozenLake-misc, which fixes shapes and so cannot be a parameter). A
            name that is both is the constructor's.

    Returns:
        The environment and its parameters.

    Raises:
        ValueError: for an unknown name, an unknown override, or a value of the wrong type or
            shape; each message names the nearest that is known.
    """
    factory = _factory(env_id)
    env = factory()
    is_ours = env_id in _FACTORIES or _is_path(env_id)
    arguments = _arguments(factory if is_ours else type(env))
    fields = [field.name for field in dataclasses.fields(env.default_params)]
    for name in overrides:
        if name not in fields and name not in arguments:
            known = (*fields, *arguments)
            raise ValueError(
                f"{env_id} has no parameter {name!r}{_nearest(name, known)}; "
                f"it has {', '.join(known)}"
            )
    built = {
        name: _checked(env_id, name, value, arguments[name])
        for name, value in overrides.items()
        if name in arguments
    }
    if built:
        env = factory(**built)
    fitting = {name: value for name, value in overrides.items() if name not in arguments}
    return env, change(env_id, env, env.default_params, fitting)


def change(env_id: str, env: Any, params: Any, overrides: Mapping[str, Any]) -> Any:
    """A world's parameters with some fields changed.

    Args:
        env_id: the world's name, for messages.
        env: the world.
        params: its parameters.
        overrides: what is wanted instead, which gets the types that the fields have.

    Raises:
        ValueError: as `make`, which takes more: what the constructor fixes cannot be changed.
    """
    fields = [field.name for field in dataclasses.fields(params)]
    for name in overrides:
        if name not in fields:
            raise ValueError(
                f"{env_id} has no parameter {name!r} that can change{_nearest(name, fields)}; "
                f"it has {', '.join(fields)}"
            )
    changed = params.replace(
        **{
            name: _checked(env_id, name, value, getattr(params, name))
            for name, value in overrides.items()
        }
    )
    if hasattr(env, "check_params"):  # gymnax's have none
        env.check_params(changed)
    return changed


def _factory(env_id: str) -> Factory:
    factory = _FACTORIES.get(env_id, env_id if _is_path(env_id) else None)
    if isinstance(factory, str):
        module, attribute = factory.split(":")
        try:
            return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
        except (ModuleNotFoundError, AttributeError) as error:
            if factory is not env_id:
                raise
            raise ValueError(f"environment {env_id!r}: {error}") from None
    if factory is not None:
        return factory
    import gymnax

    if env_id not in gymnax.registered_envs:
        raise ValueError(f"unknown environment {env_id!r}{_nearest(env_id, available(), 3)}")
    return lambda **arguments: gymnax.make(env_id, **arguments)[0]


def _is_path(env_id: str) -> bool:
    """Whether it names a factory by its place, ``"module:attribute"``."""
    return env_id.count(":") == 1


def _arguments(factory: Factory) -> dict[str, Any]:
    """Named arguments of `factory` and their defaults, None where there is none."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        parameter.name: None if parameter.default is parameter.empty else parameter.default
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.kind in named
    }


def _checked(env_id: str, name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`; a default of None says nothing about its type."""
    if default is None or (isinstance(default, str) and isinstance(value, Mapping)):
        return value  # a mapping says in full what a word stands for
    expected = np.asarray(default)
    if expected.dtype.kind not in _ACCEPTED_KINDS:  # no array but a structure, such as a level
        if isinstance(value, type(default)):
            return value
        raise ValueError(
            f"{env_id} parameter {name!r} is {value!r}: expected {type(default).__name__}"
        )
    try:
        given = np.asarray(value)
    except ValueError:  # rows of unequal length
        given = np.asarray(None)
    kind_fits = given.dtype.kind in _ACCEPTED_KINDS[expected.dtype.kind]
    if not kind_fits or given.shape != expected.shape:
        what = type(default).__name__ if expected.ndim == 0 else f"shape {expected.shape} of"
        what = what if expected.ndim == 0 else f"{what} {expected.dtype}"
        raise ValueError(
            f"{env_id} parameter {name!r} is {value!r}: expected {what}, such as {default!r}"
        )
    if isinstance(default, jax.Array):
        return jnp.asarray(given, default.dtype)
    if isinstance(default, np.ndarray):
        return given.astype(default.dtype)
    return type(default)(value)


def _nearest(name: str, known: Iterable[str], count: int = 1) -> str:
    """A clause that names the known words most like `name`, letter case aside."""
    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), by_lower, count, 0.0)
    return f": nearest is {' or '.join(by_lower[word] for word in near)}" if near else ""
