"""What all packages stand on."""
