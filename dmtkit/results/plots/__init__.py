"""Every figure of the notebooks: pure functions of a run (or of data) that return their Axes or Figure."""

from dmtkit.results.plots.common import keep
from dmtkit.results.plots.images import plot_extremes, plot_reliability, plot_split
from dmtkit.results.plots.many import plot_methods, plot_paired, plot_progress
from dmtkit.results.plots.maps import plot_scenes, plot_weight_maps
from dmtkit.results.plots.pixels import (
    plot_class_frequencies,
    plot_class_iou,
    plot_confusion,
    plot_error_search,
    plot_kept_shares,
    plot_label_quality,
    plot_roc,
)
from dmtkit.results.plots.training import plot_case_accuracy, plot_cases, plot_curves, plot_live, plot_phases
