"""Pydantic's errors in an operator's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distributor.settings.problems import Problems, Trail, suggest

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo

_LONGEST_SHOWN = 40
_KINDS_OF_VALUE = {
    "string": "text, in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list, such as [one, two]",
    "tuple": "a list, such as [one, two]",
    "dict": "settings of its own, such as {name: value}",
    "model": "settings of its own, such as {name: value}",
    "url": "an address that begins with https://",
}


def add_errors(error: ValidationError, model: type[BaseModel], trail: Trail, problems: Problems) -> None:
    """Each error of a model as one problem, at the place of the value that is meant."""
    known = list_fields(model)
    for item in error.errors(include_url=False):
        inner = (*trail, *_find_place(item, known))
        if item["type"] == "extra_forbidden":
            siblings = list_fields(_find_inner(model, item["loc"][:-1]))
            problems.add_at_key(inner, f"is not a setting here; {suggest(str(item['loc'][-1]), siblings)}")
        elif item["type"] == "missing":
            problems.add(inner, _say_missing(str(item["loc"][-1]), known), problems.locate(trail))
        else:
            problems.add(inner, _say(item) + _show(item, problems, inner, known))


def list_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The model's fields by the names that the file uses."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _find_inner(model: type[BaseModel], loc: tuple[Any, ...]) -> type[BaseModel]:
    """The model that stands inside another one at `loc`, as `filter.not` does."""
    for part in loc:
        field = list_fields(model).get(str(part))
        model = next(filter(_is_model, list_types(field.annotation)), model) if field else model
    return model


def _is_model(kind: Any) -> bool:
    from pydantic import BaseModel

    return isinstance(kind, type) and issubclass(kind, BaseModel)


def list_types(annotation: Any) -> list[Any]:
    """The annotation and everything inside it: `SecretStr | None` gives SecretStr too."""
    inside = getattr(annotation, "__args__", ())
    return [annotation, *(kind for part in inside for kind in list_types(part))]


def _find_place(item: Mapping[str, Any], known: Mapping[str, Any]) -> Trail:
    """A validator of the whole model has no place; the setting its text begins with is the place then."""
    loc: Trail = item["loc"]
    if loc:
        return loc
    first = re.match(r"[a-z_]+", _say(item))
    return (first[0],) if first and first[0] in known else ()


def _say_missing(name: str, known: Mapping[str, FieldInfo]) -> str:
    field = known.get(name)
    meaning = f" ({field.description.rstrip('.')})" if field and field.description else ""
    return f"is missing{meaning}; add {name}: ..."


def _say(item: Mapping[str, Any]) -> str:
    kind: str = item["type"]
    context = item.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", item["msg"]))
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    value = _KINDS_OF_VALUE.get(kind.partition("_")[0])
    if value and kind.endswith(("_type", "_parsing", "_from_float")):
        return f"must be {value}"
    text = re.sub(r"^(Input|Value|String|List|URL) should ", "must ", str(item["msg"]))
    return text.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")


def _show(item: Mapping[str, Any], problems: Problems, trail: Trail, known: Mapping[str, FieldInfo]) -> str:
    """What was written, where that is short and cannot be a secret; our own validators say it themselves."""
    value = item.get("input")
    field = known.get(str(item["loc"][0])) if item["loc"] else None
    is_plain = isinstance(value, str | int | float) and len(str(value)) <= _LONGEST_SHOWN
    if item["type"] in ("value_error", "assertion_error") or not is_plain or field is None or is_secret(field):
        return ""
    return f', not "{value}"' if isinstance(value, str) else f", not {value}"


def is_secret(field: FieldInfo) -> bool:
    from pydantic import SecretStr

    return SecretStr in list_types(field.annotation)
