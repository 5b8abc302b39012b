"""Every figure of the notebooks: pure functions of a run (or of data) that return their Axes or Figure."""

from dmtkit.plots.common import keep
from dmtkit.plots.diagrams import plot_chain, plot_framework, plot_label_way
from dmtkit.plots.images import plot_extremes, plot_reliability, plot_split
from dmtkit.plots.loss import (
    plot_gamma_ramp,
    plot_gammas,
    plot_made_labels,
    plot_normalisation,
    plot_weight_section,
    plot_weight_surface,
)
from dmtkit.plots.many import plot_methods, plot_paired, plot_progress
from dmtkit.plots.maps import plot_scenes, plot_weight_maps
from dmtkit.plots.opinions import plot_opinions, plot_rules
from dmtkit.plots.pixels import (
    plot_class_frequencies,
    plot_class_iou,
    plot_confusion,
    plot_error_search,
    plot_kept_shares,
    plot_label_quality,
    plot_roc,
)
from dmtkit.plots.review import (
    plot_agreement,
    plot_calibration,
    plot_class_errors,
    plot_contradicted,
    plot_disagreement,
    plot_errors_found,
    plot_filter,
    plot_wrong_labels,
)
from dmtkit.plots.thresholds import (
    plot_balance,
    plot_class_thresholds,
    plot_kept_accuracy,
    plot_kept_pixels,
    plot_label_progress,
    plot_label_rules,
    plot_repeated,
    plot_sampling,
)
from dmtkit.plots.training import plot_case_accuracy, plot_cases, plot_curves, plot_phases

__all__ = [
    "keep",
    "plot_agreement",
    "plot_balance",
    "plot_calibration",
    "plot_case_accuracy",
    "plot_cases",
    "plot_chain",
    "plot_class_errors",
    "plot_class_frequencies",
    "plot_class_iou",
    "plot_class_thresholds",
    "plot_confusion",
    "plot_contradicted",
    "plot_curves",
    "plot_disagreement",
    "plot_error_search",
    "plot_errors_found",
    "plot_extremes",
    "plot_filter",
    "plot_framework",
    "plot_gamma_ramp",
    "plot_gammas",
    "plot_kept_accuracy",
    "plot_kept_pixels",
    "plot_kept_shares",
    "plot_label_progress",
    "plot_label_quality",
    "plot_label_rules",
    "plot_label_way",
    "plot_made_labels",
    "plot_methods",
    "plot_normalisation",
    "plot_opinions",
    "plot_paired",
    "plot_phases",
    "plot_progress",
    "plot_reliability",
    "plot_repeated",
    "plot_roc",
    "plot_rules",
    "plot_sampling",
    "plot_scenes",
    "plot_split",
    "plot_weight_maps",
    "plot_weight_section",
    "plot_weight_surface",
    "plot_wrong_labels",
]
