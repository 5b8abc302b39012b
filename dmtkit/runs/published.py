"""The published numbers (published.csv, each with its source), shown beside measured ones."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from dmtkit.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).with_name("published.csv")


def tables() -> list[str]:
    """The names of the published tables.

    >>> tables()[:2]
    ['cifar10_4000', 'cityscapes_30']
    """
    with FILE.open(encoding="utf-8") as file:
        return sorted({row["table"] for row in csv.DictReader(file)})


def check_table(name: str | None) -> None:
    """ConfigError for a table that is not there."""
    if name and name not in tables():
        raise ConfigError("published: " + unknown_name(name, tables(), "table"))


def published(table: str) -> "pd.DataFrame":
    """The published numbers of one table: columns method, title, metric, value, source.

    >>> float(published("cifar10_4000").set_index("method").loc["dmt", "value"])
    94.21
    """
    import pandas as pd

    return pd.read_csv(FILE).query("table == @table").drop(columns="table")
