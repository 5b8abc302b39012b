"""What the walkthroughs alone need: the loss taken apart, exercises, sliders, and their figures."""

from dmtkit.teach.error_review import percent
from dmtkit.teach.exercises import check, reveal, say
from dmtkit.teach.figures_diagrams import plot_chain, plot_framework, plot_label_way
from dmtkit.teach.figures_errors import (
    plot_agreement,
    plot_calibration,
    plot_class_errors,
    plot_contradicted,
    plot_disagreement,
    plot_errors_found,
    plot_filter,
    plot_wrong_labels,
)
from dmtkit.teach.figures_loss import (
    plot_gamma_ramp,
    plot_gammas,
    plot_made_labels,
    plot_normalisation,
    plot_weight_section,
    plot_weight_surface,
)
from dmtkit.teach.figures_opinions import plot_opinions, plot_rules
from dmtkit.teach.figures_thresholds import (
    plot_balance,
    plot_class_thresholds,
    plot_kept_accuracy,
    plot_kept_pixels,
    plot_label_progress,
    plot_label_rules,
    plot_repeated,
    plot_sampling,
)
from dmtkit.teach.sliders import explore_plot

__all__ = [
    "check",
    "explore_plot",
    "percent",
    "plot_agreement",
    "plot_balance",
    "plot_calibration",
    "plot_chain",
    "plot_class_errors",
    "plot_class_thresholds",
    "plot_contradicted",
    "plot_disagreement",
    "plot_errors_found",
    "plot_filter",
    "plot_framework",
    "plot_gamma_ramp",
    "plot_gammas",
    "plot_kept_accuracy",
    "plot_kept_pixels",
    "plot_label_progress",
    "plot_label_rules",
    "plot_label_way",
    "plot_made_labels",
    "plot_normalisation",
    "plot_opinions",
    "plot_repeated",
    "plot_rules",
    "plot_sampling",
    "plot_weight_section",
    "plot_weight_surface",
    "plot_wrong_labels",
    "reveal",
    "say",
]
