"""The loss of the paper, and what it is made of: pure functions of tensors."""
