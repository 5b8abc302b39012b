"""Runs as tables, measured beside published: `collect` many, or the tables of one; reads run folders alone."""

from dmtkit.results.tables.collect import Collected, collect
from dmtkit.results.tables.experiment import methods_table, phases_table
from dmtkit.results.tables.findings import findings_table
from dmtkit.results.tables.one_run import class_table, error_table, phase_table, results_table
from dmtkit.results.tables.paper import LAYOUTS, paper_table, paper_tables
from dmtkit.results.tables.statistics import bootstrap_interval, paired_differences, spread
from dmtkit.results.tables.table import Table, styled, to_csv, to_html, to_latex, to_markdown, write


def all_tables(collected: Collected) -> list[Table]:
    """The paper's tables that runs fill, then of every experiment its methods, its phases and, where ablations were run,
    the paper's findings; none of no runs."""
    tables = paper_tables(collected)
    for experiment in collected.experiments:
        tables += [methods_table(collected, experiment), phases_table(collected, experiment)]
        findings = findings_table(collected, experiment)
        if (findings.tidy["verdict"][2:] != "not testable here").any():  # the first two need no ablation
            tables.append(findings)
    return tables
