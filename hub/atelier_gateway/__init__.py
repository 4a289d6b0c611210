"""The way to what runs: routes, keys, limits, counting. A process of its own that needs nobody to go on."""
