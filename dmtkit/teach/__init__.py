"""What the walkthroughs alone need: the loss taken apart, a run's labels beside the truth, exercises, sliders, figures."""

from dmtkit.teach.diagrams import plot_chain, plot_framework, plot_label_way
from dmtkit.teach.exercises import about_disagreement, about_search, check, percent, reveal, say
from dmtkit.teach.figures_labels import (
    plot_bars,
    plot_calibration,
    plot_errors_found,
    plot_filter,
    plot_kept_pixels,
    plot_wrong_labels,
)
from dmtkit.teach.loss import (
    plot_gamma_ramp,
    plot_gammas,
    plot_normalisation,
    plot_opinions,
    plot_weight_surface,
    rule_table,
    take_apart,
)
from dmtkit.teach.pixel_labels import agreement, kept_labels, labels, searches
from dmtkit.teach.sliders import explore_plot
