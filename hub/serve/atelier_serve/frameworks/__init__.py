"""One module for each framework: `load(found, settings)` returns its model. Only the served one is imported."""
