"""What images and pixels do differently: one object a task (`task.py` says what it must answer)."""
