"""Which refusals a piece of the program can end in, found by following its code.

It reads the source of a function, of every function of ours that it names, and so on.
What is caught on the way is left out. Where it cannot know which object a method is
called on, it takes every class of ours that has a method of the name: it may find a
refusal too many, and misses none that is raised by name.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from django.db.models import Manager, Model, QuerySet
from django.http import HttpRequest
from rest_framework.serializers import Serializer

from credits_project.exceptions import DomainError

_OURS = ("credits_project", "wallets", "payments", "courses", "withdrawals")
# Names of these are called on things of Django and Python all over the place.
_COMMON = {
    name
    for kind in (QuerySet, Manager, Model, HttpRequest, Serializer, dict, list, str)
    for name in dir(kind)
}

Found = frozenset[type[DomainError]]


@functools.cache
def refusals_in(function: FunctionType, owner: type | None = None) -> Found:
    """Return the classes of the refusals that a call of `function` can end in."""
    # Known as nothing until it is known: a function that calls itself adds nothing.
    key = (function, owner)
    if key in _open:
        return frozenset()
    _open.add(key)
    try:
        source = textwrap.dedent(inspect.getsource(function))
        (tree,) = ast.parse(source).body
        assert isinstance(tree, ast.FunctionDef), source
        return frozenset(_Walk(function, owner, tree).of(tree.body))
    finally:
        _open.discard(key)


_open: set[Any] = set()


class _Walk:
    def __init__(
        self, function: FunctionType, owner: type | None, tree: ast.FunctionDef
    ) -> None:
        self._names: dict[str, Any] = {
            **vars(builtins),
            **inspect.getclosurevars(function).nonlocals,
            **function.__globals__,
        }
        own = {a.arg for a in (*tree.args.args, *tree.args.kwonlyargs)} | {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        for name in own:
            self._names.pop(name, None)
        self._owner = owner

    def of(self, nodes: list[Any]) -> set[type[DomainError]]:
        return {found for node in nodes for found in self._in(node)}

    def _in(self, node: ast.AST) -> Iterator[type[DomainError]]:
        match node:
            case ast.Try():
                yield from self._in_try(node)
            case ast.ImportFrom() if node.module:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    self._names[alias.asname or alias.name] = getattr(
                        module, alias.name, None
                    )
            case ast.Name() | ast.Attribute():
                yield from self._at(node)
            case _:
                if isinstance(node, ast.Call):
                    yield from self._in_methods(node.func)
                for child in ast.iter_child_nodes(node):
                    yield from self._in(child)

    def _in_try(self, node: ast.Try) -> Iterator[type[DomainError]]:
        caught: list[type] = []
        for handler in node.handlers:
            passes_on = any(
                isinstance(inner, ast.Raise) and inner.exc is None
                for inner in ast.walk(handler)
            )
            if handler.type is not None and not passes_on:
                types = self._value(handler.type)
                caught += types if isinstance(types, tuple) else [types]
            yield from self.of(handler.body)
        kinds = tuple(kind for kind in caught if isinstance(kind, type))
        for found in self.of(node.body):
            if not issubclass(found, kinds):
                yield found
        yield from self.of([*node.orelse, *node.finalbody])

    def _at(self, node: ast.Name | ast.Attribute) -> Iterator[type[DomainError]]:
        value = self._value(node)
        if isinstance(value, type) and issubclass(value, DomainError):
            if vars(value).get("code") or getattr(value, "code", None):
                yield value
        elif (function := _function_of(value)) is not None:
            yield from refusals_in(function)
        elif isinstance(node, ast.Attribute):
            yield from self._in(node.value)

    def _in_methods(self, called: ast.AST) -> Iterator[type[DomainError]]:
        if isinstance(called, ast.Attribute) and self._value(called) is None:
            for owner, method in self._methods(called):
                yield from refusals_in(method, owner)

    def _methods(self, node: ast.Attribute) -> Iterator[tuple[type, FunctionType]]:
        if self._owner is not None and ast.unparse(node.value) == "self":
            method = _function_of(getattr(self._owner, node.attr, None))
            if method is not None:
                yield self._owner, method
        elif node.attr not in _COMMON:
            yield from _methods_by_name().get(node.attr, [])

    def _value(self, node: ast.AST) -> Any:
        match node:
            case ast.Name():
                return self._names.get(node.id)
            case ast.Tuple():
                return tuple(self._value(part) for part in node.elts)
            case ast.Attribute():
                on = self._value(node.value)
                if isinstance(on, ModuleType | type):
                    return getattr(on, node.attr, None)
        return None


def _function_of(value: Any) -> FunctionType | None:
    """Return the function of ours that `value` is, whatever is wrapped around it."""
    if isinstance(value, functools.partial):
        value = value.func
    value = getattr(value, "__func__", value)
    if not callable(value) or isinstance(value, type):
        return None
    plain: Any = inspect.unwrap(value)
    if not isinstance(plain, FunctionType) or plain.__name__ == "<lambda>":
        return None
    return plain if plain.__module__.split(".")[0] in _OURS else None


@functools.cache
def _methods_by_name() -> dict[str, list[tuple[type, FunctionType]]]:
    methods: dict[str, list[tuple[type, FunctionType]]] = {}
    for module in _modules():
        for owner in vars(module).values():
            if isinstance(owner, type) and owner.__module__ == module.__name__:
                for name, value in vars(owner).items():
                    function = _function_of(value)
                    if function is not None and not name.startswith("__"):
                        methods.setdefault(name, []).append((owner, function))
    return methods


def _modules() -> Iterator[ModuleType]:
    for name in _OURS:
        package = importlib.import_module(name)
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            skipped = {"migrations", "management", "simulator", "run", "wsgi"}
            if not skipped & set(found.name.split(".")):
                yield importlib.import_module(found.name)


def of_view(view: type, method: str) -> Found:
    """Return the refusals of one method of a view, with what DRF calls in it."""
    handlers: list[Callable[..., Any]] = [getattr(view, method)]
    if method == "get" and hasattr(view, "get_queryset"):
        handlers.append(view.get_queryset)
    found: set[type[DomainError]] = set()
    for handler in handlers:
        function = _function_of(handler)
        if function is not None:
            found |= refusals_in(function, view)
    return frozenset(found)
