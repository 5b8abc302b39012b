"""A notebook run, a training run, or many of them on Dask, and the processes that they are."""
