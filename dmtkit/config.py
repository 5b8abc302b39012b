"""Frozen, typed settings: one flat mapping of names, so that papermill can set each of them.

`make_config` checks a mapping: unknown keys, wrong types and impossible values raise ConfigError naming the
field, what was found and the remedy.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from dmtkit.errors import ConfigError, listing, quoted, unknown_name
from dmtkit.params import check_name, texts, unwritable
from dmtkit.registry import METHODS, Parameters, flat_names, gather, methods_in, of_task, owner_of

STORED = "stored"  # the context in which a run's own config is read


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or len(set(value)) != len(value):
        raise ValueError("expected at least one name, each once")
    return value


def _rising(value: tuple[float, ...]) -> tuple[float, ...]:
    if not value or not all(a < b for a, b in pairwise([0, *value])) or value[-1] > 1:
        raise ValueError("expected shares rising within (0, 1], such as [0.2, 0.4, 0.6, 0.8, 1.0]")
    return value


def _scales(value: tuple[float, float]) -> tuple[float, float]:
    if not 0.1 <= value[0] <= value[1] <= 10:
        raise ValueError("expected the smallest and the largest scale, between 0.1 and 10, such as [0.5, 1.5]")
    return value


def _known(value: Parameters, info: ValidationInfo) -> Parameters:
    """What of it differs from the defaults; of methods that are not known here (`code_from`) all, as it is.

    Those of a run that was started were checked then, maybe where more methods were known.
    """
    if info.context == STORED or "methods" not in info.data:  # the methods are what is wrong
        return value
    methods, task = info.data["methods"], info.data["task"]
    if foreign := [f"{name}_{each}" for name, given in value.items() if name not in methods for each in given or [""]]:
        raise ValueError(f"{quoted(', '.join(foreign))[1:-1]}: of a method that is not among `methods`")
    try:
        own = {name: METHODS[name].changed(task, given) if name in METHODS else given for name, given in value.items()}
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return {name: given for name, given in own.items() if given}


Positive = Annotated[int, Field(gt=0, le=10**9)]
Rate = Annotated[float, Field(gt=0, le=1e30)]
NotNegative = Annotated[float, Field(ge=0, le=1e30)]
Exponent = Annotated[float, Field(ge=0, le=1000)]
Batch = Annotated[int, Field(gt=0, le=65_536)]
Number = Annotated[int, Field(ge=0, le=10**9)]
Name = Annotated[str, AfterValidator(check_name)]
Names = Annotated[tuple[str, ...], AfterValidator(_distinct)]
Shares = Annotated[tuple[float, ...], AfterValidator(_rising)]
Scales = Annotated[tuple[float, float], AfterValidator(_scales)]
Side = Annotated[int, Field(gt=0, le=16_384)]
Size = tuple[Side, Side]  # height, width


class Config(BaseModel):
    """What every experiment has; `ClassificationConfig` and `SegmentationConfig` add the rest and the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # what is run
    task: str
    experiment: Name
    methods: Names
    parameters: Annotated[Parameters, AfterValidator(_known)] = {}
    code_from: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**64)] = 1
    published: str | None = None
    # data
    dataset: str
    data_dir: str | None = None
    lists: str | None = None
    # model and schedule
    model: str
    label_ratios: Shares = (0.2, 0.4, 0.6, 0.8, 1.0)
    epochs: Positive
    baseline_epochs: Positive
    batch_labeled: Batch
    batch_pseudo: Batch
    lr: Rate
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NotNegative = 5e-4
    # the dynamic loss
    gamma1: Exponent
    gamma2: Exponent
    online_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.9
    quiet_unlabeled: bool
    # how it is computed
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    threads: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"] = "auto"
    processes: Annotated[int, Field(gt=0, le=4096)] = 1
    sync_batchnorm: bool = True
    log_points: Positive = 20
    checkpoint_seconds: NotNegative = 60.0

    @property
    def variant(self) -> str:
        """The run folder's name below outputs/<experiment>/."""
        return f"seed-{self.seed}"

    @model_validator(mode="before")
    @classmethod
    def _as_people_give_it(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """`fixmatch_threshold: 0.9` is kept as `parameters: {fixmatch: {threshold: 0.9}}`; a list may be `a,b`; `no` is no 0."""
        values = gather(values, cls.model_fields)
        for name, value in values.items():
            annotation = cls.model_fields[name].annotation if name in cls.model_fields else bool
            if isinstance(value, str) and "tuple" in str(annotation):
                value = values[name] = [part.strip() for part in value.split(",") if part.strip()]
            if reason := next(filter(None, map(unwritable, texts(value))), ""):
                raise ValueError(f"{name}: found {quoted(value)}, expected {reason}")
            if isinstance(value, bool) and annotation is not bool:
                raise ValueError(
                    f"{name}: found {value}, expected {_type_name(annotation)} "
                    "(YAML reads yes/no/on/off as true/false: write a number, or quote the word)"
                )
        return values

    @model_validator(mode="after")
    def _located(self) -> Self:
        if self.dataset == "folder" and not self.data_dir:
            raise ValueError("data_dir: missing; dataset 'folder' needs the folder that holds the images")
        return self


class ClassificationConfig(Config):
    """Everything that decides a classification run; the defaults are those of `params/digits.yaml`.

    >>> config = ClassificationConfig(lr="1e-3", seed=2)
    >>> config.lr, config.seed
    (0.001, 2)
    """

    task: Literal["classification"] = "classification"
    experiment: Name = "digits"
    methods: Names = ("supervised", "cl", "dmt")
    dataset: str = "digits"
    labels: Positive | None = 2
    val: Number = 5
    model: str = "wrn-10-1"
    epochs: Positive = 40
    baseline_epochs: Positive = 400
    batch_labeled: Batch = 16
    batch_pseudo: Batch = 48
    lr: Rate = 0.1
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.98
    gamma1: Exponent = 4.0
    gamma2: Exponent = 4.0
    gamma_ramp: bool = True
    quiet_unlabeled: bool = True
    # augmentation
    mixup: NotNegative = 0.75
    crop_padding: Annotated[int, Field(ge=0, le=1000)] = 1
    flip: bool = False
    augment: Names = ("all",)


class SegmentationConfig(Config):
    """Everything that decides a segmentation run; the defaults are those of `params/scenes.yaml`.

    >>> SegmentationConfig(crop="65,65", split=2).variant
    'split-2_seed-1'
    """

    task: Literal["segmentation"] = "segmentation"
    experiment: Name = "scenes"
    methods: Names = ("supervised", "cbst", "dmt")
    # data
    dataset: str = "scenes"
    classes: tuple[str, ...] | None = None
    train_list: str = "train"
    test_list: str = "val"
    labeled_list: str | None = None
    denominator: Annotated[float, Field(ge=1)] | None = 6
    split: Annotated[int, Field(ge=0, le=999)] = 0
    val: Number = 0
    sampling: Literal["all", "dms"] = "all"
    resize: Size | None = None
    scenes: Annotated[int, Field(gt=0, le=100_000)] = 480
    scene_size: Annotated[int, Field(ge=16, le=1024)] = 48
    scene_difficulty: Annotated[float, Field(ge=0, le=1)] = 0.1
    # models and schedule
    model: str = "deeplab-tiny"
    label_ratios: Shares = (0.25, 0.5, 0.75, 1.0)
    aspp_rates: tuple[Side, ...] = (1, 2)
    init_a: str | None = None
    init_b: str | None = None
    epochs: Positive = 14
    baseline_epochs: Positive = 90
    batch_labeled: Batch = 4
    batch_pseudo: Batch = 12
    lr: Rate = 0.05
    baseline_lr: Rate = 0.1
    poly_power: Exponent = 0.9
    snapshot: Literal["last", "best"] = "last"
    # pseudo labels and the dynamic loss
    label_rule: Literal["argmax", "normalized"] = "argmax"
    gamma1: Exponent = 3.0
    gamma2: Exponent = 3.0
    quiet_unlabeled: bool = False
    # augmentation and evaluation
    crop: Size = (48, 48)
    scale: Scales = (0.7, 1.4)
    flip: bool = False
    eval_size: Size | None = None
    # how it is computed
    workers: Annotated[int, Field(ge=0, le=64)] = 0
    keep_labels: bool = True

    @property
    def variant(self) -> str:
        """The run folder's name below outputs/<experiment>/."""
        return f"split-{self.split}_seed-{self.seed}"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.dataset == "folder" and not self.classes:
            raise ValueError("classes: missing; dataset 'folder' needs the class names, in the order of their numbers")
        if self.classes and self.dataset != "folder":
            raise ValueError(f"classes: {self.dataset} has its own; leave it out")
        if self.classes and not 2 <= len(self.classes) <= 255:
            raise ValueError(f"classes: found {len(self.classes)} names, expected 2 to 255")
        if self.classes and (len(set(self.classes)) < len(self.classes) or "all" in self.classes):
            raise ValueError("classes: expected each name once, and none called 'all'")
        if not self.aspp_rates:
            raise ValueError("aspp_rates: expected at least one dilation")
        if self.lists and self.val:
            raise ValueError("val: with own `lists`, name the held-out images there, under val")
        if self.snapshot == "best" and not self.val and not self.lists:
            raise ValueError("val: found 0; snapshot 'best' needs labeled images held out to choose by")
        return self


TASKS: dict[str, type[Config]] = {"classification": ClassificationConfig, "segmentation": SegmentationConfig}


def make_config(values: Mapping[str, Any], context: str = "") -> Config:
    """Check `values` and return the frozen config; ConfigError lists every offending field at once.

    >>> make_config({"sed": 2})
    Traceback (most recent call last):
    dmtkit.errors.ConfigError: 1 bad parameter:
      - sed: unknown parameter; did you mean 'seed'?
    """
    kind = config_type(values)
    names = {name for name in values if isinstance(name, str) and name.isidentifier() and len(name) <= 100}
    lines = [unknown_name(str(name), [*kind.model_fields]) for name in values if name not in names]
    try:
        config = kind.model_validate({name: values[name] for name in values if name in names}, context=context)
    except ValidationError as error:
        methods = methods_in(values, kind.model_fields)
        lines += [_explain(item, kind, methods) for item in error.errors()]
    if lines := list(dict.fromkeys(lines)):
        count = "1 bad parameter" if len(lines) == 1 else f"{len(lines)} bad parameters"
        raise ConfigError(f"{count}:\n{listing(lines)}")
    return config


def config_type(values: Mapping[str, Any]) -> type[Config]:
    """The config class of the `task` in `values`, classification by default; ConfigError for an unknown one."""
    return of_task(TASKS, values.get("task", "classification"))


def _type_name(annotation: Any) -> str:
    text = getattr(annotation, "__name__", str(annotation))
    return {"int": "a whole number", "float": "a number", "str": "text"}.get(text, text)


def _explain(item: Any, kind: type[Config], methods: Sequence[str]) -> str:
    """One pydantic error as: field, what was found, what was expected."""
    name = ".".join(quoted(str(part))[1:-1] for part in item["loc"])
    if item["type"] == "extra_forbidden":
        if owner := owner_of(name, list(METHODS)):
            return f"{name}: of a method that is not among `methods` ({owner})"
        return unknown_name(name, [*kind.model_fields, *flat_names(methods)])
    if item["type"] == "missing" and len(item["loc"]) > 1:
        return f"{item['loc'][0]}: found {quoted(item['input'])}, expected more values"
    if item["loc"][:1] == ("threads",):  # of a union pydantic tells every part
        return f"threads: found {quoted(item['input'])}, expected auto or a number from 1 on"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("expected ")
    says_where = not name or (name == "parameters" and item["type"] == "value_error")
    return message if says_where else f"{name}: found {quoted(item['input'])}, expected {message}"
