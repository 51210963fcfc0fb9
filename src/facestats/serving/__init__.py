"""The models of a project folder, and what people import."""
