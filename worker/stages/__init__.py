"""One module a stage: load the inputs, call the science, save the result."""
