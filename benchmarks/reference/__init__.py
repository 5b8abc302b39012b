"""DMT written the plain way, as most training scripts are: what the library's speed is measured against.

float32, contiguous NCHW, PIL transforms image by image in a DataLoader, weights by mask indexing with statistics read
in every step, a ranking pass followed by a labelling pass that saves float32 pairs. It is correct: tests/test_reference.py
checks that it gives the library's weights, losses, thresholds, labels and training steps.
"""
