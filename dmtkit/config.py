"""Frozen, typed settings: one flat mapping of names, so that papermill can set each of them.

A params file is a YAML mapping; `load_params` reads it, `make_config` checks it. Unknown keys, wrong
types and impossible values raise ConfigError naming the field, what was found and the remedy.
"""

import os
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dmtkit.errors import ConfigError, unknown_name

Positive = Annotated[int, Field(gt=0)]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+=,-]*")


class ClassificationConfig(BaseModel):
    """Everything that decides a classification run; the defaults are those of `params/digits.yaml`.

    >>> config = ClassificationConfig(lr="1e-3", seed=2)
    >>> config.lr, config.seed
    (0.001, 2)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # what is run
    task: Literal["classification"] = "classification"
    experiment: str = "digits"
    methods: tuple[str, ...] = ("supervised", "cl", "dmt")
    seed: Annotated[int, Field(ge=0)] = 1
    published: str | None = None
    # data
    dataset: Literal["digits", "cifar10", "cifar100", "folder"] = "digits"
    data_dir: str | None = None
    lists: str | None = None
    labels: Positive | None = 2
    val: Annotated[int, Field(ge=0)] = 5
    # model and schedule
    model: str = "wrn-10-1"
    label_ratios: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    epochs: Positive = 40
    baseline_epochs: Positive = 400
    batch_labeled: Positive = 16
    batch_pseudo: Positive = 48
    lr: Annotated[float, Field(gt=0)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.98
    # the dynamic loss
    gamma1: Annotated[float, Field(ge=0)] = 4.0
    gamma2: Annotated[float, Field(ge=0)] = 4.0
    gamma_ramp: bool = True
    # augmentation
    mixup: Annotated[float, Field(ge=0)] = 0.75
    crop_padding: Annotated[int, Field(ge=0)] = 1
    flip: bool = False
    augment: tuple[str, ...] = ("all",)
    # how it is computed
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    log_points: Positive = 20
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0

    @model_validator(mode="before")
    @classmethod
    def _no_booleans_for_numbers(cls, values: Any) -> Any:
        """YAML reads `no`, `off` and `yes` as booleans, which Python would take for 0 and 1."""
        for name, value in values.items() if isinstance(values, Mapping) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation is not bool:
                raise ValueError(
                    f"{name}: found {value}, expected {_type_name(field.annotation)} "
                    "(YAML reads yes/no/on/off as true/false: write a number, or quote the word)"
                )
        return values

    @field_validator("methods", "label_ratios", "augment", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        """Lists may be given as `a,b`, which is what a command line can carry."""
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("experiment")
    @classmethod
    def _name_stays_inside(cls, value: str) -> str:
        return check_name(value)

    @field_validator("methods", "augment")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("expected at least one name, each once")
        return value

    @field_validator("label_ratios")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        rising = all(a < b for a, b in pairwise(value))
        if not value or not rising or not (value[0] > 0 and value[-1] <= 1):
            raise ValueError("expected shares rising within (0, 1], such as [0.2, 0.4, 0.6, 0.8, 1.0]")
        return value

    @model_validator(mode="after")
    def _located(self) -> Self:
        if self.dataset == "folder" and not self.data_dir:
            raise ValueError("data_dir: missing; dataset 'folder' needs the folder that holds train/")
        return self


Config = ClassificationConfig


def check_name(value: str) -> str:
    """Return `value` if it can name a run folder without leaving its parent, else ValueError."""
    if not NAME.fullmatch(value) or ".." in value:
        raise ValueError("expected letters, digits and _ . + = , - (no '..', no slash): it names a folder")
    return value


def make_config(values: Mapping[str, Any]) -> Config:
    """Check `values` and return the frozen config; ConfigError lists every offending field at once.

    >>> make_config({"sed": 2})
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: 1 bad parameter:
      - sed: unknown parameter; did you mean 'seed'?
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        lines = [_explain(item) for item in error.errors()]
        count = "1 bad parameter" if len(lines) == 1 else f"{len(lines)} bad parameters"
        raise ConfigError(f"{count}:\n" + "\n".join(f"  - {line}" for line in lines)) from None


def load_params(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a params file; ConfigError if it is missing, not YAML or not a mapping of names."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such params file; see params/ for those that exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(
            f"{path}: found a {type(values).__name__}, expected a mapping of parameter names to values "
            "(lines such as 'seed: 1')"
        )
    return values


def notebook_config(namespace: dict[str, Any]) -> Config:
    """Make the config from a notebook's variables; call it right after the parameters cell.

    Every variable set so far must be a parameter, so that a name mistyped on papermill's command
    line is an error and not a warning. Later calls in the same kernel check values alone, since by
    then the notebook has variables of its own.
    """
    values = {name: value for name, value in namespace.items() if _is_parameter(name, value)}
    if namespace.get("_dmtkit_checked"):
        values = {name: value for name, value in values.items() if name in Config.model_fields}
    values.pop("output_dir", None)
    config = make_config(values)
    namespace["_dmtkit_checked"] = True
    return config


def project_root() -> Path:
    """The folder that relative `data_dir` and `outputs/` start from: the nearest one upwards that holds params/
    and notebooks/, else the current folder."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return here


def _is_parameter(name: str, value: Any) -> bool:
    plain = value is None or isinstance(value, (str, int, float, list, tuple, dict))
    return plain and not name.startswith("_") and name not in ("In", "Out")


def _type_name(annotation: Any) -> str:
    text = getattr(annotation, "__name__", str(annotation))
    return {"int": "a whole number", "float": "a number", "str": "text"}.get(text, text)


def _explain(item: Any) -> str:
    """One pydantic error as: field, what was found, what was expected."""
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return unknown_name(name, list(Config.model_fields))
    message = item["msg"].removeprefix("Value error, ")
    if not name:
        return message
    message = message.removeprefix("Input should be ")
    message = message if message.startswith("expected") else f"expected {message}"
    return f"{name}: found {item['input']!r}, {message}"
