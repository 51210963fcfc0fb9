"""Two runs of the pipeline, compared on the faces of both."""
