"""The engine: runs the phases of any method, each verb once, and its steps."""
