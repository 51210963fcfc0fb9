"""The machine under the pipeline: processes, threads, terminals, and what goes wrong with them."""
