"""What is shown while and after a run trains, interactively: the weight-map explorer."""
