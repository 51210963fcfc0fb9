"""Pages on top of the service: `facestats app`, to look at a run and use it."""
