"""What is measured: scores of models, the three cases, the search for wrong labels; all of it adds up over batches and processes."""
