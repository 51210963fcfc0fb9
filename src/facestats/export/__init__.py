"""The project's results in the formats of other programs: `facestats export`."""
