"""Pictures of two composites: continua and differences."""
